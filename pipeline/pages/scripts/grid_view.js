// All units of a layer: thumbnails cut from one sheet, sortable; one stop of the tab key, arrows inside.

import { el } from "./dom.js";
import { link } from "./paths.js";
import { draw, fromBytes, pixelsOf, sharedRange } from "./panels.js";
import { correlationText, numberText, ofCopies, unitName } from "./words.js";

const WIDTH = 72; // pixels on the screen, about, of a thumbnail

/** Return what a layer can be sorted by: {name, values, text}, values in the order of its units. */
export function orders(site, rows) {
  const found = [{ name: "index", values: rows.units, text: () => "" }];
  for (const pair of rows.pairs) {
    const copies = rows.pairs.some((other) => other.copy > 0) ? `, copy ${pair.copy}` : "";
    found.push({ name: `r (${pair.a}, ${pair.b}${copies})`, values: pair.r, text: correlationText });
  }
  found.push({ name: "top patch response", values: rows.top_response, text: numberText });
  for (const init of site.inits) {
    if (rows.final[init]) found.push({ name: `final response from ${init}${ofCopies(site)}`, values: rows.final[init], text: numberText });
  }
  return found.filter(({ values }) => values.some((value) => value !== null));
}

/** Return the places of units in a new order; those without a value come last, either way. */
export function sorted(values, descending) {
  const places = values.map((_, place) => place);
  const sign = descending ? -1 : 1;
  return places.sort((a, b) => {
    if (values[a] === null || values[b] === null) return (values[a] === null) - (values[b] === null) || a - b;
    return sign * (values[a] - values[b]) || a - b;
  });
}

/**
 * Return the grid of a layer.
 * @param {{site, layer, rows}} shown
 * @param {Object|null} sheet data of the thumbnails, null where there are none
 * @returns {Promise<{element, sort: (order, descending) => void, scale: (mode: string) => void}>}
 */
export async function gridView({ site, layer, rows }, sheet) {
  const tiles = sheet ? await cutTiles(sheet) : new Map();
  const cells = rows.units.map((unit) => cell(site, layer, unit, tiles.get(unit)));
  const element = el("ol", { class: "grid", "data-sheet": sheet?.name, onkeydown: (event) => move(event, element) }, cells.map(({ item }) => item));
  const own = { element };
  own.sort = (order, descending) => {
    const places = sorted(order.values, descending);
    places.forEach((place) => cells[place].say(order.text(order.values[place]), order.name));
    element.replaceChildren(...places.map((place) => cells[place].item));
    element.querySelectorAll("a").forEach((anchor, index) => anchor.setAttribute("tabindex", index ? "-1" : "0"));
  };
  own.scale = (mode) => {
    const shared = tiles.size ? sharedRange([...tiles.values()]) : null;
    cells.forEach(({ canvas, tile }) => tile && draw(canvas, tile, mode, shared));
  };
  return own;
}

async function cutTiles(sheet) {
  const bytes = await pixelsOf(sheet.url, sheet.sheet.width, sheet.sheet.height);
  return new Map(sheet.units.map((unit, index) => [unit, cutTile(sheet, bytes, index)]));
}

function cutTile(sheet, bytes, index) {
  const { width, height, kind } = sheet;
  const [low, high] = [sheet.low[index], sheet.high[index]];
  const top = Math.floor(index / sheet.columns) * sheet.down;
  const left = (index % sheet.columns) * sheet.across;
  const cut = new Uint8ClampedArray(width * height * 4);
  for (let row = 0; row < height; row += 1) {
    const from = ((top + row) * sheet.sheet.width + left) * 4;
    cut.set(bytes.subarray(from, from + width * 4), row * width * 4);
  }
  const values = fromBytes(cut, low, high);
  return { width, height, kind, values, ...ownRange(values, kind) };
}

// What was made smaller has a smaller range.
function ownRange(values, kind) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const most = Math.max(-low, high);
  return kind === "added" ? { low: -most, high: most } : { low, high };
}

function cell(site, layer, unit, tile) {
  const width = tile ? tile.width * Math.max(1, Math.round(WIDTH / tile.width)) : WIDTH;
  const canvas = tile
    ? el("canvas", { class: "pixels", width: tile.width, height: tile.height, style: `width:${width}px`, "aria-hidden": "true" })
    : el("span", { class: "missing", style: `width:${width}px;height:${width}px` }, "none");
  const number = el("span", { class: "index" }, unit < 0 ? "layer" : unit);
  const value = el("span", { class: "value" });
  const anchor = el("a", { href: link(site.model, layer.name, unit), "data-unit": unit }, canvas,
    el("span", { class: "name" }, number, " ", value));
  const say = (text, name) => {
    value.textContent = text;
    anchor.setAttribute("aria-label", text ? `${unitName(unit)}, ${name} ${text}` : unitName(unit));
  };
  return { item: el("li", {}, anchor), canvas, tile, say };
}

function move(event, element) {
  const anchors = [...element.querySelectorAll("a")];
  const at = anchors.indexOf(event.target.closest("a"));
  const to = target(event.key, at, anchors);
  if (at < 0 || to === null || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const next = anchors[Math.min(anchors.length - 1, Math.max(0, to))];
  anchors[at].setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
}

function target(key, at, anchors) {
  const columns = anchors.filter((anchor) => anchor.offsetTop === anchors[0].offsetTop).length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  if (key in steps) return at + steps[key];
  return { Home: 0, End: anchors.length - 1 }[key] ?? null;
}
