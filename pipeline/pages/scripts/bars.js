// Bars of responses, from zero, each with its natural range behind it.

import { el } from "./dom.js";

/** Return a response as it is shown while it changes: as many digits for all of a size. */
export function responseText(value) {
  if (value === null || !Number.isFinite(value)) return "none";
  const text = value.toFixed(Math.abs(value) < 0.0995 ? 3 : 2);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "\u2212");
}

/** Return the places, in percent of a range, between which a bar from zero to a value lies. */
export function span([from, to], [low, high]) {
  const place = (x) => (100 * (Math.min(high, Math.max(low, x)) - low)) / (high - low);
  return [place(Math.min(from, to)), place(Math.max(from, to))];
}

/** Return the range that holds zero and all numbers given. */
export function rangeOf(values) {
  const known = values.filter(Number.isFinite);
  const [low, high] = [Math.min(0, ...known), Math.max(0, ...known)];
  return high > low ? [low, high] : [low, low + 1];
}

/** A list of bars whose elements stay while their values change. */
export class Bars {
  /** @param list an empty <ul> or <ol>; choose(row) makes the rows buttons. */
  constructor(list, choose = null) {
    this.list = list;
    this.choose = choose;
    this.shown = [];
  }

  /** Show rows of {label, value, range: [low, high] or null, current: whether it stands out}. */
  show(rows) {
    const range = rangeOf(rows.flatMap((row) => [row.value, ...(row.range ?? [])]));
    while (this.shown.length > rows.length) this.shown.pop().item.remove();
    while (this.shown.length < rows.length) this.shown.push(this.added());
    rows.forEach((row, i) => set(this.shown[i], row, range));
  }

  added() {
    const parts = {
      label: el("span", { class: "label" }),
      natural: el("span", { class: "natural" }),
      filled: el("span", { class: "filled" }),
      zero: el("span", { class: "zero" }),
      value: el("span", { class: "number" }),
      row: null,
    };
    const bar = el("span", { class: "bar", "aria-hidden": "true" }, parts.natural, parts.filled, parts.zero);
    const inside = [parts.label, bar, parts.value];
    const { choose } = this;
    parts.holder = choose
      ? el("button", { type: "button", class: "bar-row", onclick: () => choose(parts.row) }, ...inside)
      : el("span", { class: "bar-row" }, ...inside);
    parts.item = el("li", {}, parts.holder);
    this.list.append(parts.item);
    return parts;
  }
}

function set(parts, row, range) {
  parts.row = row;
  if (parts.label.textContent !== row.label) parts.label.textContent = row.label;
  parts.value.textContent = responseText(row.value);
  parts.holder.classList.toggle("current", Boolean(row.current));
  const known = Number.isFinite(row.value);
  stretch(parts.filled, known ? span([0, row.value], range) : null);
  stretch(parts.natural, row.range ? span(row.range, range) : null);
  stretch(parts.zero, span([0, 0], range));
}

function stretch(element, ends) {
  element.hidden = ends === null;
  if (ends === null) return;
  element.style.left = `${ends[0]}%`;
  element.style.width = `${ends[1] - ends[0]}%`;
}
