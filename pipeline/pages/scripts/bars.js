// Bars of responses, from zero, each with its natural range behind it; and the curve of responses over steps.

import { el, fill, svg } from "./dom.js";

/** Return a response as it is written. */
export function written(value) {
  if (value === null || value === undefined) return "none";
  if (!Number.isFinite(value)) return "not finite";
  const size = Math.abs(value);
  if (size >= 1000) return value.toPrecision(4);
  return value.toFixed(size === 0 || size >= 0.1 ? 2 : 4).replace(/^-(?=[0.]+$)/, "");
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
  parts.value.textContent = written(row.value);
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

const [WIDTH, HEIGHT, LEFT, BELOW, ABOVE] = [300, 120, 44, 20, 8];

/** Draw responses over steps in an <svg viewBox="0 0 300 120">, with a line at the response to the top patch. */
export function drawCurve(element, responses, top = null) {
  element.toggleAttribute("hidden", responses.length < 2);
  if (responses.length < 2) return;
  const [low, high] = rangeOf([...responses, top]);
  const last = responses.length - 1;
  const x = (step) => LEFT + ((WIDTH - LEFT - 4) * step) / last;
  const y = (value) => ABOVE + ((HEIGHT - BELOW - ABOVE) * (high - value)) / (high - low);
  const points = responses.map((value, step) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const level = (value, kind) => svg("line", { x1: LEFT, x2: WIDTH - 4, y1: y(value), y2: y(value), class: kind });
  const text = (content, at, anchor) => svg("text", { ...at, "text-anchor": anchor }, content);
  fill(
    element,
    level(0, "axis"),
    Number.isFinite(top) && level(top, "top-patch"),
    svg("polyline", { points, class: "line" }),
    text(written(high), { x: LEFT - 4, y: ABOVE + 4 }, "end"),
    text(written(low), { x: LEFT - 4, y: HEIGHT - BELOW + 3 }, "end"),
    text("0", { x: LEFT, y: HEIGHT - 5 }, "middle"),
    text(`${last} ${last === 1 ? "step" : "steps"}`, { x: WIDTH - 4, y: HEIGHT - 5 }, "end"),
    Number.isFinite(top) && text("top patch", { x: WIDTH - 6, y: y(top) + (y(top) < 20 ? 11 : -3) }, "end"),
  );
  const ends = `from ${written(responses[0])} to ${written(responses.at(-1))} in ${last} steps`;
  element.setAttribute("aria-label", `Response over steps: ${ends}`);
}
