// Sections that stages add to a unit: a title, a few sentences, and parts of a few kinds.

import { el, svg } from "./dom.js";
import { linePlot } from "./line_plot.js";
import { ringPlot } from "./ring_plot.js";
import { numberText } from "./words.js";

const MAP_SIDE = 136; // pixels on the screen, about, of the longer side of the largest map
const KINDS = { numbers, words, plot: linePlot, ring: ringPlot, outlines, maps };

/**
 * Return a section of a unit.
 * @param {{title: string, about: string, parts: {kind: string}[]}} section
 */
export function sectionOf(section) {
  const images = section.parts.flatMap((part) => part.maps ?? []).map(({ image }) => image).filter(Boolean);
  const largest = Math.max(0, ...images.flatMap(({ width, height }) => [width, height]));
  const scale = largest ? MAP_SIDE / largest : 1; // a pixel is as large in every map
  return el("section", { class: "added", "aria-label": section.title }, el("h2", {}, section.title),
    section.about ? el("p", { class: "caption" }, section.about) : null,
    el("div", { class: "parts" }, section.parts.map((part) => KINDS[part.kind](part, scale))));
}

function titled(part, kind, ...children) {
  return el("div", { class: `part ${kind}` }, part.title ? el("h3", {}, part.title) : null, children);
}

function words(part) {
  return titled(part, "said", el("p", { class: "missing" }, part.text));
}

function numbers(part) {
  const rows = part.numbers.map(({ name, value, unit, note }) => [
    el("dt", {}, name),
    el("dd", {}, el("strong", {}, valueText(value, unit)), note ? el("span", { class: "note" }, ` ${note}`) : null),
  ]);
  return titled(part, "numbers", el("dl", { class: "facts" }, rows));
}

function valueText(value, unit) {
  if (value === null) return "none";
  const text = typeof value === "string" ? value : numberText(value);
  if (!unit) return text;
  return unit === "°" ? text + unit : `${text} ${unit}`;
}

function outlines({ title, reach, outlines: shapes }) {
  return titled({ title }, "outlines", el("div", { class: "shapes" }, shapes.map(({ points, value, name }) =>
    el("figure", {},
      svg("svg", { viewBox: `${-reach} ${-reach} ${2 * reach} ${2 * reach}`, role: "img", "aria-label": `${title}: ${name}, ${numberText(value)}` },
        svg("title", {}, name),
        svg("rect", { class: "ground", x: -reach, y: -reach, width: 2 * reach, height: 2 * reach }),
        svg("path", { class: "shape", d: pathOf(points, -1) })),
      el("figcaption", {}, numberText(value))))));
}

function maps({ title, maps: all }, scale) {
  return titled({ title }, "maps", el("div", { class: "side-by-side" }, all.map((map) => mapFigure(title, map, scale))));
}

function mapFigure(title, { name, captions, image }, scale) {
  if (!image) return el("figure", { class: "map" }, el("p", { class: "name" }, name), el("p", { class: "missing" }, captions.join(" ")));
  const { width, height, outline, png } = image;
  const said = [`${title}: ${name}`, ...captions].join("; ");
  return el("figure", { class: "map" }, el("p", { class: "name" }, name),
    el("div", { class: "frame", style: `width:${(width * scale).toFixed(1)}px;aspect-ratio:${width}/${height}` },
      el("img", { class: "pixels", src: png, alt: said }),
      outline && svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
        ["halo", "line"].map((kind) => svg("path", { class: kind, d: pathOf(outline, 1) })))),
    el("figcaption", {}, captions.map((caption) => el("span", {}, caption))));
}

function pathOf(points, up) {
  return `M${points.map(([x, y]) => `${x} ${up * y}`).join("L")}Z`;
}
