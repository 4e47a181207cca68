// A small plot around a circle as SVG, for what depends on an angle: orientation on the screen, hue.

import { el, svg } from "./dom.js";
import { DASHES, legend, told } from "./line_plot.js";
import { numberText } from "./words.js";

const [SIDE, OUT, RIM] = [212, 72, 10]; // of the drawing, from the center to the highest value, and of the colors around

/**
 * Return a plot around a circle with its title, and a legend where there are several curves.
 * @param {{title, x_name, y_name, curves: {name, x: number[], y: (number|null)[], points: boolean}[], clockwise: boolean,
 *   rim: string[]}} ring
 */
export function ringPlot(ring) {
  const known = ring.curves.flatMap(({ y }) => y).filter((value) => value !== null);
  const title = el("h3", {}, ring.title);
  if (known.length === 0) return el("figure", { class: "small-plot ring" }, title, el("p", { class: "missing" }, "There are no values."));
  const top = Math.max(...known, 1e-12);
  const place = places(ring.clockwise, top);
  const label = `${ring.title}: ${ring.y_name} around ${ring.x_name}. ${ring.curves.map((curve) => told(curve, [])).join(" ")}`;
  const drawing = svg("svg", { class: "plot", viewBox: `0 0 ${SIDE} ${SIDE}`, role: "img", "aria-label": label },
    rim(ring), grid(place, top), ring.curves.map((curve, series) => drawn(curve, series, place)));
  const caption = el("figcaption", {}, `${ring.y_name}, 0 to ${numberText(top)}, around ${ring.x_name}`);
  return el("figure", { class: "small-plot ring" }, title, drawing, caption, ring.curves.length > 1 ? legend(ring.curves) : null);
}

function places(clockwise, top) {
  return (degrees, value) => {
    const [turn, far] = [(degrees * Math.PI) / 180, (OUT * Math.max(0, value)) / top];
    return [SIDE / 2 + far * Math.cos(turn), SIDE / 2 + (clockwise ? 1 : -1) * far * Math.sin(turn)].map((at) => at.toFixed(1));
  };
}

function grid(place, top) {
  const center = { cx: SIDE / 2, cy: SIDE / 2, fill: "none" };
  return [
    svg("circle", { class: "gridline", ...center, r: OUT / 2 }),
    svg("circle", { class: "axis", ...center, r: OUT }),
    [0, 90].map((turn) => {
      const [[x1, y1], [x2, y2]] = [place(turn, top), place(turn + 180, top)];
      return svg("line", { class: "gridline", x1, y1, x2, y2 });
    }),
    [0, 90, 180, 270].map((turn) => {
      const [x, y] = place(turn, top * 1.25);
      return svg("text", { x, y: Number(y) + 4, "text-anchor": "middle" }, turn);
    }),
  ];
}

function rim({ rim: colors, clockwise }) {
  const far = OUT + RIM / 2 - 2;
  const sign = clockwise ? 1 : -1;
  const at = (turn) => [Math.cos(turn), sign * Math.sin(turn)].map((part) => (SIDE / 2 + far * part).toFixed(2)).join(" ");
  const half = Math.PI / colors.length;
  return colors.map((color, number) => svg("path", { class: "rim", stroke: color, "stroke-width": RIM - 4,
    d: `M${at((2 * number - 1.05) * half)}A${far} ${far} 0 0 ${clockwise ? 1 : 0} ${at((2 * number + 1.05) * half)}` }));
}

function drawn({ name, x: around, y: out, points }, series, place) {
  let path = "";
  out.forEach((value, at) => {
    const before = at > 0 && out[at - 1] !== null; // a value that is missing interrupts the line
    if (value !== null) path += `${before ? "L" : "M"}${place(around[at], value).join(" ")}`;
  });
  if (!out.includes(null)) path += "Z";
  const dots = points ? out.map((value, at) => {
    if (value === null) return null;
    const [cx, cy] = place(around[at], value);
    return svg("circle", { class: "point", cx, cy, r: 2.5 }, svg("title", {}, `${name}: ${numberText(around[at])}, ${numberText(value)}`));
  }) : null;
  return svg("g", { class: `series-${series % 6}` },
    svg("path", { class: "curve", d: path, "stroke-dasharray": DASHES[series % DASHES.length] }), dots);
}
