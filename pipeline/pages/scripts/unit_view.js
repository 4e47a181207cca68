// One unit: what was climbed from every init, how, its patches, and its place in the layer.

import { el } from "./dom.js";
import { decode, draw, sharedRange } from "./panels.js";
import { patchFigure, sourceImage } from "./patches.js";
import { curvePlot, lineSample, stripPlot } from "./plots.js";
import { sectionOf } from "./sections.js";
import { correlationText, numberText, ofCopies, placeText, statusText, unitName } from "./words.js";

const WIDTH = 280; // pixels on the screen, about, of an image of a unit

/**
 * Return the view of a unit, and a function that scales its images in another way.
 * @param {{site, layer, rows, data, width}} shown description of the layer, its rows, the unit's data, width in pixels
 * @returns {Promise<{element: Element, scale: (mode: string) => void}>}
 */
export async function unitView({ site, layer, rows, data, width }) {
  const panels = await Promise.all(data.panels.map(decode));
  const drawn = panels.map((panel) => ({ panel, canvas: canvasOf(panel, layer, data.unit) }));
  const element = el("div", { class: "unit" },
    images(site, layer, rows, data, drawn),
    el("div", { class: "columns" }, climb(site, data, width), place(site, rows, data, width)),
    data.sections.map(sectionOf),
    patches(site, layer, data, 1),
    patches(site, layer, data, -1));
  return { element, scale: (mode) => scaled(drawn, mode) };
}

function scaled(drawn, mode) {
  for (const kind of ["image", "added"]) {
    const own = drawn.filter(({ panel }) => panel.kind === kind);
    const shared = own.length ? sharedRange(own.map(({ panel }) => panel)) : null;
    for (const { panel, canvas } of own) draw(canvas, panel, mode, shared);
  }
}

function canvasOf(panel, layer, unit) {
  const factor = Math.max(1, Math.round(WIDTH / panel.width));
  return el("canvas", { class: "pixels", width: panel.width, height: panel.height, role: "img",
    style: `width:${panel.width * factor}px`, "aria-label": `${layer.name} ${unitName(unit)}: ${panel.name}`,
    "data-panel": panel.name });
}

// Images side by side: one column for every ascent, then the top patch.

function images(site, layer, rows, data, drawn) {
  const at = rows.units.indexOf(data.unit);
  const columns = site.inits.flatMap((init) => {
    if (!layer.climbed[init]) return [column(`from ${init}`, words(`Not climbed from ${init} in this run.`))];
    const copies = data.curves.filter((curve) => curve.init === init);
    if (copies.length === 0) return [column(`from ${init}`, words(`${sentence(unitName(data.unit))} was not climbed.`))];
    return copies.map((curve) => ascent(site, curve, drawn));
  });
  return el("section", { "aria-label": "Images" }, el("div", { class: "side-by-side" }, columns, topPatch(layer, data, drawn)));
}

function ascent(site, curve, drawn) {
  const own = drawn.filter(({ panel }) => panel.init === curve.init && panel.copy === curve.copy);
  const name = site.copies > 1 ? `from ${curve.init}, copy ${curve.copy}` : `from ${curve.init}`;
  const [start, final] = [curve.responses[0], curve.responses.at(-1)];
  const said = statusText(curve.status);
  return column(name,
    own.length ? null : words("There is no image: its pixels are not finite."),
    own.map(({ panel, canvas }) => labelled(canvas, panel.kind === "added" ? "added to the start" : "after the last step")),
    el("p", { class: "caption" }, `response ${numberText(start)} → ${numberText(final)}`),
    said && el("p", { class: "caption warn" }, `This ascent ${said}.`));
}

function topPatch(layer, data, drawn) {
  const found = drawn.find(({ panel }) => panel.init === null);
  const first = data.patches.find((patch) => patch.sign > 0 && patch.rank === 0);
  if (data.unit < 0) return null;
  if (!layer.searched) return column("top patch", words("No top patches: this layer was not searched in this run."));
  if (!found) return column("top patch", words(first?.fault ?? "There is no top patch."));
  return column("top patch", labelled(found.canvas, "the patch of rank 0"),
    el("figure", {}, sourceImage(first, data.images[first.number]), el("figcaption", {}, first.image)),
    el("p", { class: "caption" }, `response ${numberText(first.response)}`));
}

function column(title, ...children) {
  return el("div", { class: "column" }, el("h3", {}, title), children);
}

function labelled(canvas, text) {
  return el("figure", {}, canvas, el("figcaption", {}, text));
}

function words(text) {
  return el("p", { class: "missing" }, text);
}

function sentence(text) {
  return text[0].toUpperCase() + text.slice(1);
}

// How the response rose.

function climb(site, data, width) {
  const title = el("h2", {}, "Response over the steps");
  if (data.curves.length === 0) return el("section", {}, title, words("There are no ascents of it in this run."));
  const curves = data.curves.map((curve) => ({
    ...curve,
    series: site.inits.indexOf(curve.init),
    name: site.copies > 1 ? `${curve.init}, copy ${curve.copy}` : curve.init,
  }));
  const label = curves.map((curve) => `From ${curve.name}: ${numberText(curve.responses[0])} to `
    + `${numberText(curve.responses.at(-1))}.`).join(" ");
  const legend = el("ul", { class: "legend" },
    curves.map((curve) => el("li", {}, lineSample(curve.series, curve.copy), `from ${curve.name}`)));
  const apart = curves.some((curve) => curve.transformed)
    ? el("p", { class: "caption" }, "Lines are responses to the images as they were transformed at each step; the points at the start"
      + " and at the end are those to the images themselves.") : null;
  return el("section", {}, title, curvePlot(curves, width, `Response over ${curves[0].responses.length - 1} steps. ${label}`), apart, legend);
}

// Where the unit lies among those of its layer.

function place(site, rows, data, width) {
  const at = rows.units.indexOf(data.unit);
  const strips = data.unit < 0 ? [] : [...responseStrips(site, rows, at, width), ...correlationStrips(rows, at, width)];
  return el("section", {}, el("h2", {}, "Place in the layer"), correlations(site, rows, at),
    strips.length ? el("p", { class: "caption" }, "One dot a unit; the line is the median, the triangle this unit.") : null,
    strips);
}

function correlations(site, rows, at) {
  if (rows.pairs.length === 0) return words("No correlations: there is nothing to compare, or the stage has not run.");
  return el("ul", { class: "plain" }, rows.pairs.map((pair) => {
    const r = pair.r[at];
    const between = pairName(rows, pair);
    const said = r === null ? statusText(pair.status[at]) : null;
    return el("li", {}, el("strong", {}, `r = ${correlationText(r)}`), ` between ${between}`,
      `; with another unit ${correlationText(pair.null_r[at])} (null)`,
      `; median of the layer${ofCopies(site)} ${correlationText(pair.summary.median)}`,
      said && el("span", { class: "warn" }, ` It ${said}.`));
  }));
}

function pairName(rows, pair) {
  if (pair.a === pair.b) return `copy ${pair.copy} from ${pair.a} and the next`;
  const copies = rows.pairs.some(({ copy }) => copy > 0);
  return `${pair.a} and ${pair.b}${copies ? `, copy ${pair.copy}` : ""}`;
}

function responseStrips(site, rows, at, width) {
  const kinds = [["Response to the top patch", rows.top_response, 5]];
  site.inits.forEach((init, series) => {
    if (rows.final[init]) kinds.push([`Final response from ${init}${ofCopies(site)}`, rows.final[init], series]);
  });
  return kinds.map(([name, values, series]) => strip(name, values, at, numberText, { width, series }));
}

function correlationStrips(rows, at, width) {
  const known = rows.pairs.flatMap((pair) => [...pair.r, ...pair.null_r]).filter((value) => value !== null);
  const range = [Math.min(-0.05, ...known), Math.max(1, ...known)];
  return rows.pairs.filter((pair) => pair.copy === 0).flatMap((pair) => [
    strip(`r between ${pairName(rows, pair)}`, pair.r, at, correlationText, { width, series: 3, range }),
    strip("The same with another unit (null)", pair.null_r, at, correlationText, { width, series: 5, range }),
  ]);
}

function strip(name, values, at, text, options) {
  if (values.every((value) => value === null)) return null;
  const own = values[at];
  const said = own === null ? `${name}: none for this unit` : `${name}: ${text(own)}, ${placeText(own, values)}`;
  return el("figure", { class: "strip" }, el("figcaption", {}, said), stripPlot(values, own, { ...options, label: said }));
}

// Patches.

function patches(site, layer, data, sign) {
  const name = sign > 0 ? "Top patches" : "Bottom patches";
  const found = data.patches.filter((patch) => patch.sign === sign);
  if (data.unit < 0) return null;
  const shown = found.length
    ? el("div", { class: "patches" }, found.map((patch) => patchFigure(patch, data.images, color(site.preprocessing.mean))))
    : words(layer.searched ? `There are no ${name.toLowerCase()}.` : "This layer was not searched in this run.");
  const which = sign > 0 ? "most" : "least";
  const note = `The parts of images that drive the unit ${which}, by rank, with the response; below each, its source image`
    + " with the receptive field outlined. Plain color in a patch lies outside its image. The response is that in the image.";
  return el("section", {}, el("h2", {}, name), found.length ? el("p", { class: "caption" }, note) : null, shown);
}

function color(mean) {
  return `rgb(${mean.map((value) => Math.round(Math.min(1, Math.max(0, value)) * 255)).join(" ")})`;
}
