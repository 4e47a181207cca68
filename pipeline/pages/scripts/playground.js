// The playground: a drawing, the responses of a layer to it, and ascent from it.
//
// For tests and consoles, artiphys.playground offers what the page itself uses, on the layer that is chosen. Values
// are Float32Array [3 * height * width], planar, in network-input space, (pixel - mean) / std:
//   respond(values) -> Promise<Float32Array [units]>         responses of all units of the layer
//   gradient(values, unit) -> Promise<{response, gradient}>  gradient: Float32Array like values
//   ascend(values, unit, {optimizer, lr, steps}) -> Promise<{values, response}>   "sgd", "momentum" or "adam"
//   values() -> Float32Array                                 a copy of what is on the canvas

import { climb } from "./ascent.js";
import { Bars, responseText } from "./bars.js";
import { Climbing } from "./climbing.js";
import { el, fill } from "./dom.js";
import { Drawing } from "./drawing.js";
import { latest, spoken } from "./frames.js";
import { Network, inMegabytes } from "./network.js";
import { layerData, link, parseLink, siteData, unitData } from "./paths.js";
import { Photo } from "./photo.js";
import { inputOf, midBytes } from "./preprocessing.js";
import { comparedRows, drivenRows, known } from "./readings.js";
import { Spikes, clickRate } from "./sound.js";
import { startsOf } from "./starts.js";
import { load } from "./store.js";

const SHOWN_STARTS = { black: 0, white: 1 };

const by = (id) => document.getElementById(id);

// What is chosen: the site, a layer of it and its data, a unit, and what runs.
const chosen = { site: null, layer: null, data: null, unit: null, network: null, times: 0 };
let followed = null; // the address that was chosen from
let ready = Promise.resolve();

const brush = () => ({ color: by("color").value, diameter: by("diameter").valueAsNumber });
const drawing = new Drawing(by("canvas"), by("outline"), brush, changed);
const photo = new Photo(
  { photo: by("photo"), target: by("easel"), placing: by("placing"), zoom: by("zoom"), across: by("across"), down: by("down") },
  drawing,
  tell,
);
const spikes = new Spikes();
const compared = new Bars(by("compared"));
const driven = new Bars(by("driven"), (row) => go(chosen.layer.name, row.unit));
const speak = spoken(by("spoken"));
const refresh = latest(async () => {
  const { network } = chosen;
  try {
    if (network) await respond(drawing.values);
  } catch (error) {
    if (network === chosen.network) tell(error.message);
  }
});
const climbing = new Climbing(
  Object.fromEntries(["optimizer", "lr", "run", "step", "reset", "steps", "curve"].map((id) => [id, by(id)])),
  drawing,
  { respond, gradient: (values) => chosen.network.gradient(values, chosen.unit), top: () => topOf(chosen.unit) },
  tell,
);

/** Show a sentence about what is wrong; null takes it away. */
function tell(text) {
  by("trouble").hidden = !text;
  by("trouble").textContent = text ?? "";
}

// Responses.

/** Return the unit's response to values, after showing the responses of the layer. */
async function respond(values) {
  const { times, network, unit } = chosen;
  const responses = await network.respond(values);
  if (times === chosen.times) showResponses(responses);
  return responses[unit];
}

function showResponses(responses) {
  const response = responses[chosen.unit];
  by("response").textContent = responseText(response);
  speak(`Response ${responseText(response)}`);
  spikes.rate = clickRate(response, topOf(chosen.unit));
  compared.show(comparedRows(chosen.data, chosen.unit, response));
  driven.show(drivenRows(chosen.data, chosen.unit, responses));
  showOutside();
}

function topOf(unit) {
  return known(chosen.data, unit).top;
}

function showOutside() {
  const { outside, values } = drawing;
  by("outside").hidden = outside === 0;
  by("outside").textContent =
    `${outside} of ${values.length} values lie beyond what a screen can show: they are shown clipped and kept in full.`;
}

// The canvas.

function changed(how) {
  if (how !== "drawn") climbing.forget();
  if (how !== "moved") photo.forget();
  tell(null);
  refresh();
}

function clear(name) {
  const [height, width] = drawing.size;
  const values = new Float32Array(3 * height * width);
  if (name in SHOWN_STARTS) {
    values.forEach((_, i) => {
      values[i] = inputOf(SHOWN_STARTS[name], Math.floor(i / (height * width)), chosen.site.preprocessing);
    });
  }
  drawing.replace(values);
}

function showStarts(stored) {
  const { starts, leftOut } = startsOf(stored, chosen.layer.network.size, chosen.site.preprocessing);
  const buttons = starts.map(({ name, png, values }) =>
    el("button", { type: "button", class: "button", onclick: () => values().then((found) => drawing.replace(found), (error) => tell(error.message)) },
      png && el("img", { src: png, alt: "", class: "pixels start" }), name),
  );
  fill(by("starts"), buttons);
  by("starts").hidden = !buttons.length;
  by("starts-note").hidden = leftOut === 0;
  by("starts-note").textContent = `${leftOut} images of the run have another size than this unit's field and cannot be put on the canvas.`;
}

// Layer and unit.

/** Return the units that the run knows; a layer that was climbed as a whole stands among them as -1. */
function shownUnits(layer) {
  return layer.units.filter((unit) => unit >= 0);
}

/** Return the units that can be chosen: all of the layer where its network is there. */
function unitsOf(layer) {
  return layer.network ? Array.from({ length: layer.network.units }, (_, unit) => unit) : shownUnits(layer);
}

/** Choose a unit by the address, so that it can be linked to and gone back from. */
function go(layer, unit) {
  location.hash = link(chosen.site.model, layer, unit);
}

function follow() {
  if (location.hash === followed) return;
  followed = location.hash;
  ready = choose(parseLink(followed)).catch((error) => tell(error.message));
}

/** Return what a link asks for, {layer, unit}, or the first of what there is, with a sentence on why. */
function resolved(wanted) {
  const { layers, model } = chosen.site;
  const first = layers.find((layer) => layer.network) ?? layers[0];
  if (!wanted) return { layer: first, unit: shownUnits(first)[0] ?? 0 };
  const layer = layers.find(({ name }) => name === wanted.layer);
  if (wanted.model !== model || !layer) {
    const why = `This site holds no ${wanted.model}/${wanted.layer}; it has ${layers.map(({ name }) => `${model}/${name}`).join(", ")}.`;
    return { layer: first, unit: shownUnits(first)[0] ?? 0, why };
  }
  const units = unitsOf(layer);
  if (wanted.unit === null) return { layer, unit: shownUnits(layer)[0] ?? units[0] ?? 0 };
  if (units.includes(wanted.unit)) return { layer, unit: wanted.unit };
  return { layer, unit: units[0] ?? 0, why: `Layer ${layer.name} has no such unit; it has ${units[0]} to ${units.at(-1)}.` };
}

async function choose(wanted) {
  const { layer, unit, why } = resolved(wanted);
  const times = ++chosen.times;
  const same = chosen.layer === layer;
  tell(why ?? null);
  chosen.layer = layer;
  chosen.unit = unit;
  if (!same) chosen.data = null;
  showChoice();
  if (!same) changeNetwork();
  climbing.forget();
  const [data, stored] = await Promise.all([
    load(...layerData(layer.name)),
    layer.units.includes(unit) ? load(...unitData(layer.name, unit)) : null,
  ]);
  if (times !== chosen.times) return;
  chosen.data = data;
  showKnown();
  if (!layer.network) return;
  showStarts(stored);
  await openNetwork(times);
}

function changeNetwork() {
  const { layer, site } = chosen;
  chosen.network?.close();
  chosen.network = layer.network ? new Network(layer) : null;
  by("bench").hidden = !layer.network;
  if (!layer.network) return;
  const { size } = layer.network;
  if (String(drawing.size) !== String(size)) drawing.begin(size, site.preprocessing);
  by("easel").style.aspectRatio = `${size[1]} / ${size[0]}`;
  by("easel").style.maxWidth = `${28 * Math.min(1, size[1] / size[0])}rem`;
  by("size").textContent = `${size[0]} × ${size[1]} pixels, the receptive field of a unit of this layer. It starts at zero to the network, the mid color, shown as bytes ${midBytes(site.preprocessing).join(", ")}. Images of the run are 8-bit copies: their responses differ a little from those of the run.`;
}

async function openNetwork(times) {
  const { layer, network } = chosen;
  by("status").textContent = `Loading the network of ${layer.name} (${inMegabytes(layer.network.forward_bytes)}) …`;
  try {
    await network.session("forward");
    if (times === chosen.times) await respond(drawing.values);
  } catch (error) {
    if (times !== chosen.times) return;
    tell(error.message);
    by("bench").hidden = true;
  } finally {
    if (times === chosen.times) by("status").textContent = "";
  }
}

function showChoice() {
  const { site, layer, unit } = chosen;
  const units = unitsOf(layer);
  const options = site.layers.map(({ name, network }) => el("option", { value: name, selected: name === layer.name }, network ? name : `${name} (no network)`));
  fill(by("layer"), options);
  Object.assign(by("unit"), { value: unit, max: units.at(-1) ?? 0 });
  by("previous").disabled = units.indexOf(unit) <= 0;
  by("next").disabled = units.indexOf(unit) === units.length - 1;
  fill(by("about"), `${layer.module}, unit ${unit}. `, el("a", { href: `gallery.html${link(site.model, layer.name, unit)}` }, "See it in the gallery"));
  by("response").textContent = "…";
  document.title = `${layer.name} unit ${unit} · Playground`;
  if (!layer.network) tell(withoutNetwork(site, layer));
}

function withoutNetwork(site, layer) {
  if ((site.channels ?? 3) !== 3) {
    const count = site.channels === 1 ? "1 channel" : `${site.channels} channels`;
    return `The playground draws in red, green and blue, and this network takes ${count}, so there is nothing to play with.`;
  }
  const others = site.layers.filter(({ network }) => network).map(({ name }) => name);
  return others.length
    ? `Layer ${layer.name} has no network in this site, so there is nothing to play with; layers that have one: ${others.join(", ")}.`
    : "This site was built without networks, so there is nothing to play with. They are written by the stage export: stages=[export,pages].";
}

function showKnown() {
  const { top, bottom } = known(chosen.data, chosen.unit);
  const both = top !== null && bottom !== null;
  by("natural").textContent = both
    ? `Shaded: what the run's images can do, from ${responseText(bottom)} (bottom patch) to ${responseText(top)} (top patch), each in its image. A patch whose field reaches beyond its image drives the unit otherwise by itself.`
    : "The run has no top and bottom patch of this unit, so no natural range is marked.";
  const climbable = Boolean(chosen.layer.network?.gradient_bytes);
  for (const id of ["run", "step"]) by(id).disabled = !climbable;
  by("unclimbable").hidden = climbable;
}

function neighbor(steps) {
  const units = unitsOf(chosen.layer);
  const unit = units[units.indexOf(chosen.unit) + steps];
  if (unit !== undefined) go(chosen.layer.name, unit);
}

// What listens.

function listen() {
  by("choice").addEventListener("submit", (event) => event.preventDefault());
  by("layer").addEventListener("change", () => go(by("layer").value, null));
  by("unit").addEventListener("change", () => by("unit").reportValidity() && go(chosen.layer.name, by("unit").valueAsNumber));
  by("previous").addEventListener("click", () => neighbor(-1));
  by("next").addEventListener("click", () => neighbor(1));
  by("diameter").addEventListener("input", () => (by("diameter-shown").textContent = by("diameter").value));
  by("undo").addEventListener("click", () => drawing.undo());
  for (const button of document.querySelectorAll("[data-clear]")) button.addEventListener("click", () => clear(button.dataset.clear));
  by("sound").addEventListener("change", hear);
  document.addEventListener("keydown", key);
  addEventListener("hashchange", follow);
}

function hear() {
  try {
    if (by("sound").checked) spikes.start();
    else spikes.stop();
  } catch (error) {
    by("sound").checked = false;
    tell(error.message);
  }
}

function key(event) {
  if (event.altKey || event.target.closest("input, select, textarea")) return;
  const control = event.ctrlKey || event.metaKey;
  if (control && event.key === "z" && drawing.size) drawing.undo();
  else if (!control && event.key === "ArrowLeft") neighbor(-1);
  else if (!control && event.key === "ArrowRight") neighbor(1);
  else return;
  event.preventDefault();
}

async function running() {
  if (chosen.site) follow(); // the address may have changed just now
  await ready;
  if (!chosen.network) throw new Error(by("trouble").textContent || "No network is loaded.");
  return chosen.network;
}

globalThis.artiphys.playground = {
  respond: async (values) => (await running()).respond(values),
  gradient: async (values, unit) => (await running()).gradient(values, unit),
  ascend: async (values, unit, how) => {
    const network = await running();
    const climbed = await climb(values, (now) => network.gradient(now, unit), how);
    return { values: climbed, response: (await network.respond(climbed))[unit] };
  },
  values: () => drawing.values.slice(),
};

async function start() {
  chosen.site = await load(...siteData());
  listen();
  followed = location.hash;
  await choose(parseLink(followed));
}

ready = start().catch((error) => tell(error.message));
