// A small plot of a few curves as SVG, for anything that depends on one variable.

import { el, svg } from "./dom.js";
import { lineSample, ticks } from "./plots.js";
import { numberText } from "./words.js";

const [WIDTH, HEIGHT] = [284, 200];
const [LEFT, RIGHT, TOP, BOTTOM] = [60, 14, 8, 40];

/**
 * Return a plot with its title, and a legend where there are several curves.
 * @param {{title, x_name, y_name, curves: {name, x: number[], y: (number|null)[], points: boolean}[], names: string[],
 *   x_ticks: number[], y_range: [number, number]|null, log: boolean}} plot
 */
export function linePlot(plot) {
  const known = plot.curves.flatMap(({ y }) => y).filter((value) => value !== null);
  const title = el("h3", {}, plot.title);
  if (known.length === 0) return el("figure", { class: "small-plot" }, title, el("p", { class: "missing" }, "There are no values."));
  const axes = scales(plot, known);
  const label = `${plot.title}: ${plot.y_name} against ${plot.x_name}. ${plot.curves.map((curve) => told(curve, plot.names)).join(" ")}`;
  const drawing = svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label },
    rows(axes), columns(plot, axes), titles(plot), plot.curves.map((curve, series) => drawn(curve, series, axes)));
  return el("figure", { class: "small-plot" }, title, drawing, plot.curves.length > 1 ? legend(plot.curves) : null);
}

function scales(plot, known) {
  const across = plot.names.length ? [-0.5, plot.names.length - 0.5] : range(plot.curves.flatMap(({ x }) => x));
  const given = plot.y_range ?? [0, 0];
  const [low, high] = range([...known, ...given]);
  const spare = (high - low) * 0.05;
  const place = plot.log ? Math.log : (value) => value;
  const [bottom, top] = [low < 0 ? low - spare : low, high > 0 ? high + spare : high];
  return {
    across, low: bottom, high: top,
    x: (value) => LEFT + ((place(value) - place(across[0])) / (place(across[1]) - place(across[0]))) * (WIDTH - LEFT - RIGHT),
    y: (value) => HEIGHT - BOTTOM - ((value - bottom) / (top - bottom)) * (HEIGHT - TOP - BOTTOM),
  };
}

function range(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return high > low ? [low, high] : [low - 0.5, high + 0.5];
}

// Powers of 2, or of 10 where there would be many.
function powers([low, high]) {
  const base = high / low > 64 ? 10 : 2;
  const first = Math.ceil(Math.log(low) / Math.log(base) - 1e-9);
  const count = Math.floor(Math.log(high) / Math.log(base) + 1e-9) - first + 1;
  return count < 2 ? [low, high] : Array.from({ length: count }, (_, at) => base ** (first + at));
}

function rows({ low, high, y }) {
  return ticks(low, high).map((value) => [
    svg("line", { class: value === 0 ? "zero" : "gridline", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
    svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, numberText(value)),
  ]);
}

function columns({ names, x_ticks: given, log }, { across, x }) {
  const shown = names.length ? names.map((name, at) => [at, name])
    : (given.length ? given : log ? powers(across) : ticks(...across)).map((value) => [value, numberText(value)]);
  const every = Math.ceil(shown.length / 8); // more would run into each other
  return [
    svg("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }),
    shown.map(([at, text], index) => [
      svg("line", { class: "tick", x1: x(at), x2: x(at), y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4 }),
      index % every ? null : svg("text", { x: x(at), y: HEIGHT - BOTTOM + 17, "text-anchor": "middle" }, text),
    ]),
  ];
}

function titles({ x_name: across, y_name: up }) {
  const [middle, center] = [(LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2];
  return [
    svg("text", { x: middle, y: HEIGHT - 5, "text-anchor": "middle", class: "title" }, across),
    svg("text", { transform: `translate(11 ${center}) rotate(-90)`, "text-anchor": "middle", class: "title" }, up),
  ];
}

function drawn({ name, x: across, y: up, points }, series, { x, y }) {
  let path = "";
  up.forEach((value, at) => {
    const before = at > 0 && up[at - 1] !== null; // a value that is missing interrupts the line
    if (value !== null) path += `${before ? "L" : "M"}${x(across[at]).toFixed(1)} ${y(value).toFixed(1)}`;
  });
  const dots = points ? up.map((value, at) => (value === null ? null
    : svg("circle", { class: "point", cx: x(across[at]).toFixed(1), cy: y(value).toFixed(1), r: 3 },
      svg("title", {}, `${name}: ${numberText(across[at])}, ${numberText(value)}`)))) : null;
  return svg("g", { class: `series-${series % 6}` },
    svg("path", { class: "curve", d: path, "stroke-dasharray": DASHES[series % DASHES.length] }), dots);
}

export const DASHES = ["none", "6 3", "2 3", "8 3 2 3"]; // those of lineSample, so that curves differ without color, too

/** Return a legend of curves. */
export function legend(curves) {
  return el("ul", { class: "legend" }, curves.map(({ name }, series) => el("li", {}, lineSample(series, series), name)));
}

/** For those who do not see it: the highest and the lowest value of a curve, and where they are. */
export function told({ name, x, y }, names) {
  const known = y.map((value, at) => [value, at]).filter(([value]) => value !== null).sort(([a], [b]) => a - b);
  if (known.length === 0) return `${name}: no values.`;
  const where = ([value, at]) => `${numberText(value)} at ${names.length ? names[x[at]] : numberText(x[at])}`;
  return `${name}: highest ${where(known.at(-1))}, lowest ${where(known[0])}.`;
}
