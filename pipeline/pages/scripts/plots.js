// Plots as SVG: the responses of ascents over their steps, and where a unit lies in its layer.

import { svg } from "./dom.js";
import { numberText, median } from "./words.js";

const DASHES = ["none", "6 3", "2 3", "8 3 2 3"];
const LEFT = 54;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 38;

/** Return round numbers that span a range, about as many as asked for. */
export function ticks(low, high, wanted = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

/**
 * Return a plot of responses over steps.
 * Of transformed curves the first and the last response are points apart: those of the images themselves.
 * @param {{name: string, series: number, copy: number, responses: (number|null)[], transformed: boolean}[]} curves
 * @param {number} width in pixels
 * @param {string} label for those who do not see it
 */
export function curvePlot(curves, width, label) {
  const height = 250;
  const known = curves.flatMap((curve) => curve.responses).filter((value) => value !== null);
  const steps = Math.max(1, ...curves.map((curve) => curve.responses.length - 1));
  const [low, high] = padded(Math.min(0, ...known), Math.max(0, ...known));
  const x = (step) => LEFT + (step / steps) * (width - LEFT - RIGHT);
  const y = (value) => height - BOTTOM - ((value - low) / (high - low)) * (height - TOP - BOTTOM);
  const grid = ticks(low, high).map((value) => [
    svg("line", { class: value === 0 ? "zero" : "gridline", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
    svg("text", { x: LEFT - 7, y: y(value) + 4, "text-anchor": "end" }, numberText(value)),
  ]);
  const whole = ticks(0, steps).filter(Number.isInteger);
  const below = whole.map((step) => [
    svg("line", { class: "tick", x1: x(step), x2: x(step), y1: height - BOTTOM, y2: height - BOTTOM + 4 }),
    svg("text", { x: x(step), y: height - BOTTOM + 17, "text-anchor": "middle" }, step),
  ]);
  const titles = [
    svg("text", { x: (LEFT + width - RIGHT) / 2, y: height - 4, "text-anchor": "middle", class: "title" }, "step"),
    svg("text", { transform: `translate(12 ${(TOP + height - BOTTOM) / 2}) rotate(-90)`, "text-anchor": "middle",
      class: "title" }, "response"),
  ];
  const axis = svg("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: height - BOTTOM, y2: height - BOTTOM });
  const paths = curves.map((curve) =>
    svg("path", { class: `curve series-${curve.series % 6}`, d: pathOf(curve.transformed ? between(curve.responses) : curve.responses, x, y),
      "stroke-dasharray": DASHES[curve.copy % DASHES.length] }),
  );
  const points = curves.filter((curve) => curve.transformed).flatMap(({ series, responses }) =>
    [0, responses.length - 1].filter((step) => responses[step] !== null).map((step) =>
      svg("circle", { class: `point series-${series % 6}`, cx: x(step), cy: y(responses[step]), r: 4 })));
  return svg("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    grid, below, titles, axis, paths, points);
}

/** Return responses without those of the images themselves, the first and the last. */
function between(responses) {
  return responses.map((value, step) => (step > 0 && step < responses.length - 1 ? value : null));
}

/** Return the sample of a line in the legend of a plot of curves. */
export function lineSample(series, copy) {
  return svg("svg", { class: "sample", viewBox: "0 0 28 8", width: 28, height: 8, "aria-hidden": "true" },
    svg("path", { class: `curve series-${series % 6}`, d: "M1 4H27", "stroke-dasharray": DASHES[copy % DASHES.length] }));
}

/**
 * Return a strip of one dot a unit, the unit itself marked, the median as a line.
 * @param {(number|null)[]} values of all units
 * @param {number|null} own value of the unit
 * @param {{width: number, series: number, label: string, range: [number, number]|null}} options
 */
export function stripPlot(values, own, { width, series, label, range = null }) {
  const height = 58;
  const middle = 20;
  const known = values.filter((value) => value !== null);
  const [low, high] = range ?? padded(Math.min(...known), Math.max(...known));
  const x = (value) => 8 + ((value - low) / (high - low)) * (width - 16);
  const dots = known.map((value, index) => `M${x(value).toFixed(1)} ${(middle + jitter(index) * 11).toFixed(1)}h0`).join("");
  const center = median(values);
  const axis = ticks(low, high, 6).map((value) => [
    svg("line", { class: "tick", x1: x(value), x2: x(value), y1: 36, y2: 40 }),
    svg("text", { x: x(value), y: 53, "text-anchor": anchor(x(value), width) }, numberText(value)),
  ]);
  return svg("svg", { class: `plot series-${series % 6}`, viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-label": label },
    svg("line", { class: "axis", x1: 8, x2: width - 8, y1: 36, y2: 36 }), axis,
    svg("path", { class: "dots", d: dots }),
    center === null ? null : svg("line", { class: "median", x1: x(center), x2: x(center), y1: 4, y2: 36 }),
    own === null ? null : svg("path", { class: "own", d: `M${x(own)} 30l-6 12h12z` }));
}

function anchor(x, width) {
  if (x < 20) return "start";
  return x > width - 20 ? "end" : "middle";
}

function padded(low, high) {
  if (!(high > low)) return [low - 0.5, high + 0.5];
  const more = (high - low) * 0.04;
  return [low < 0 ? low - more : low, high + more];
}

function jitter(index) {
  return ((index * 0.618034) % 1) * 2 - 1; // spread evenly, and always the same
}

function pathOf(values, x, y) {
  let path = "";
  let drawing = false; // a value that is missing interrupts the line
  values.forEach((value, step) => {
    if (value !== null) path += `${drawing ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`;
    drawing = value !== null;
  });
  return path;
}
