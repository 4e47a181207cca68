// The gallery: a grid of a layer at #model/layer, one unit at #model/layer/unit. The address is the state; menus, keys
// and links change it, and what it asks for is shown.

import { el, fill } from "./dom.js";
import { layerData, link, parseLink, siteData, thumbnailData, unitData } from "./paths.js";
import { SCALINGS } from "./panels.js";
import { load } from "./store.js";
import { gridView, orders } from "./grid_view.js";
import { unitView } from "./unit_view.js";
import { correlationText, unitName } from "./words.js";

const part = (id) => document.getElementById(id);
const state = { site: null, at: null, view: null, mode: "image", order: "index", descending: false, sheet: null, last: null };
let turn = 0; // what is asked for later overtakes what is still being read

async function show() {
  const mine = (turn += 1);
  // The link that skips to the content changes the address, too.
  const asked = (location.hash === "#main" ? state.at : parseLink(location.hash)) ?? first();
  try {
    const found = find(asked);
    const rows = await load(...layerData(found.layer.name));
    const view = found.unit === null ? await grid(found.layer, rows) : await unit(found.layer, rows, found.unit);
    if (mine === turn) put(found, rows, view);
  } catch (error) {
    if (mine === turn) complain(error);
  }
}

function first() {
  return { model: state.site.model, layer: state.site.layers[0].name, unit: null };
}

function find({ model, layer: name, unit }) {
  const { site } = state;
  if (model !== site.model) throw new Error(`This site shows ${site.model}, not ${model}.`);
  const layer = site.layers.find((other) => other.name === name);
  if (!layer) throw new Error(`There is no layer ${name} here; there are ${site.layers.map((other) => other.name).join(", ")}.`);
  if (unit !== null && !layer.units.includes(unit)) {
    throw new Error(`${layer.name} shows ${unitList(layer.units)}; ${unit} is not among them.`);
  }
  return { layer, unit };
}

function unitList(units) {
  const [low, high] = [units[0], units.at(-1)];
  if (units.length === 1) return unitName(low);
  return units.length === high - low + 1 ? `units ${low} to ${high}` : `${units.length} units from ${low} to ${high}`;
}

function complain(error) {
  state.view = null;
  fill(part("shown"), el("p", { class: "notice", role: "alert" }, error.message), el("p", {}, el("a", { href: link(state.site.model, state.site.layers[0].name) }, "Show the first layer")));
}

// The two views.

async function grid(layer, rows) {
  const at = Math.max(0, rows.thumbnails.findIndex((sheet) => sheet.name === state.sheet));
  const sheet = rows.thumbnails.length ? await load(...thumbnailData(layer.name, at)) : null;
  return gridView({ site: state.site, layer, rows }, sheet);
}

async function unit(layer, rows, number) {
  const data = await load(...unitData(layer.name, number));
  return unitView({ site: state.site, layer, rows, data, width: plotWidth() });
}

function plotWidth() {
  return Math.max(260, Math.min(520, document.querySelector("main").clientWidth - 4));
}

function put({ layer, unit: number }, rows, view) {
  const before = state.at;
  state.at = { model: state.site.model, layer: layer.name, unit: number };
  Object.assign(state, { view, rows, layer });
  const name = number === null ? `${layer.name}` : `${layer.name}, ${unitName(number)}`;
  document.title = `${name} · ${state.site.title}`;
  fill(part("heading"), name);
  fill(part("about"), about(layer, rows, number));
  fillControls(layer, rows, number);
  if (number === null) sort();
  scale();
  fill(part("shown"), view.element);
  moveTo(before, number);
}

function about(layer, rows, number) {
  const [height, width] = layer.field;
  const module = layer.module === layer.name ? "" : `${layer.module}; `;
  const units = layer.units.filter((unit) => unit >= 0).length;
  const parts = [`${module}receptive field ${height} × ${width} pixels`];
  if (number === null && units) parts.push(`${units} unit${units > 1 ? "s" : ""}`);
  for (const pair of number === null ? rows.pairs.filter(({ copy }) => copy === 0) : []) {
    const { summary } = pair;
    parts.push(`median r between ${pair.a} and ${pair.b} ${correlationText(summary.median)} `
      + `(null ${correlationText(summary.null_median)}, noise ceiling ${correlationText(summary.noise_ceiling)})`);
  }
  for (const init of state.site.inits.filter((name) => !layer.climbed[name])) parts.push(`not climbed from ${init}`);
  if (!layer.searched) parts.push("not searched: no top or bottom patches");
  return parts.join("; ");
}

// After a change of view the focus would be nowhere; back in the grid it is on the unit that was looked at.
function moveTo(before, number) {
  if (number !== null) state.last = number;
  if (!before || (before.unit === null) === (number === null)) return;
  const cell = number === null ? part("shown").querySelector(`[data-unit="${state.last}"]`) : null;
  if (cell) {
    cell.focus({ preventScroll: true });
    cell.scrollIntoView({ block: "center" });
  } else {
    scrollTo(0, 0);
    part("heading").focus({ preventScroll: true });
  }
}

// Controls.

function fillControls(layer, rows, number) {
  const { site } = state;
  part("layer").value = layer.name;
  part("all").href = link(site.model, layer.name);
  for (const id of ["all", "stepper"]) part(id).hidden = number === null;
  for (const id of ["sheets", "sorting"]) part(id).hidden = number !== null;
  if (number === null) {
    part("sheets").hidden = rows.thumbnails.length === 0;
    options(part("sheet"), rows.thumbnails.map(({ name }) => [name, name]), state.sheet);
    options(part("order"), orders(site, rows).map(({ name }) => [name, name]), state.order);
  } else {
    part("unit").value = number;
    part("unit").min = layer.units[0];
    part("unit").max = layer.units.at(-1);
    fill(part("units"), layer.units.map((unit) => el("option", { value: unit })));
    const at = layer.units.indexOf(number);
    part("previous").disabled = at === 0;
    part("next").disabled = at === layer.units.length - 1;
  }
}

function options(select, pairs, chosen) {
  fill(select, pairs.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
}

function sort() {
  const found = orders(state.site, state.rows);
  const order = found.find(({ name }) => name === state.order) ?? found[0];
  state.view.sort(order, state.descending);
  part("descending").setAttribute("aria-pressed", String(state.descending));
}

function scale() {
  state.view.scale(state.mode);
  fill(part("scaling-text"), SCALINGS[state.mode]);
}

function go(layer, number, replace = false) {
  const to = link(state.site.model, layer, number);
  if (replace) location.replace(to);
  else location.hash = to;
}

function step(by) {
  const { layer } = state;
  const { unit: from } = parseLink(location.hash) ?? state.at; // what is shown may lag behind quick keys
  const next = layer.units[layer.units.indexOf(from) + by];
  if (next !== undefined) go(layer.name, next, true);
}

function changeUnit(event) {
  const { layer, at } = state;
  const asked = Number(event.target.value);
  if (event.target.value === "" || asked === at.unit) return;
  if (Math.abs(asked - at.unit) === 1) step(asked - at.unit); // units need not follow each other
  else go(layer.name, asked);
}

function press(event) {
  const typing = event.target.closest("input, select, textarea, .grid");
  if (typing || event.altKey || event.ctrlKey || event.metaKey || !state.at || state.at.unit === null) return;
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by) step(by);
  else if (event.key === "Escape") go(state.layer.name, null);
  else return;
  event.preventDefault();
}

function listen() {
  const on = (id, kind, does) => part(id).addEventListener(kind, does);
  on("controls", "submit", (event) => event.preventDefault());
  on("layer", "change", (event) => go(event.target.value, null));
  on("unit", "change", changeUnit);
  on("previous", "click", () => step(-1));
  on("next", "click", () => step(1));
  on("sheet", "change", (event) => { state.sheet = event.target.value; show(); });
  on("order", "change", (event) => { state.order = event.target.value; sort(); });
  on("descending", "click", () => { state.descending = !state.descending; sort(); });
  on("scaling", "change", (event) => { state.mode = event.target.value; if (state.view) scale(); });
  document.addEventListener("keydown", press);
  addEventListener("hashchange", show);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width && state.at?.unit !== null) show();
    width = innerWidth;
  });
}

async function start() {
  try {
    state.site = await load(...siteData());
    options(part("model"), [[state.site.model, state.site.model]], state.site.model);
    options(part("layer"), state.site.layers.map(({ name }) => [name, name]), null);
    listen();
    part("controls").hidden = false;
    await show();
  } catch (error) {
    fill(part("shown"), el("p", { class: "notice", role: "alert" }, error.message));
  }
}

start();
