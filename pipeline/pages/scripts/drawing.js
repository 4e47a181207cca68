// A canvas of the image's own size, drawn on with a round brush. What counts are the float values in
// network-input space; the canvas shows them clipped to bytes.

import { bytesOfInput, inputOfColor } from "./preprocessing.js";

const REMEMBERED = 40; // images kept for undo

/** Return the distance of point p from the segment from a to b; points are [row, column]. */
export function distance(p, a, b) {
  const [rows, columns] = [b[0] - a[0], b[1] - a[1]];
  const squared = rows * rows + columns * columns;
  const along = squared ? ((p[0] - a[0]) * rows + (p[1] - a[1]) * columns) / squared : 0;
  const t = Math.min(1, Math.max(0, along));
  return Math.hypot(p[0] - a[0] - t * rows, p[1] - a[1] - t * columns);
}

/** Return where a brush of some diameter sits when pointed at a place: odd ones on the center of a pixel, even
 * ones on a corner, so that a brush of 1 paints one pixel and a brush of 2 paints four. */
export function snapped(place, diameter) {
  return place.map((x) => (diameter % 2 ? Math.floor(x) + 0.5 : Math.round(x)));
}

/** Paint planar values, [3, height, width], in place: every pixel whose center lies less than half a diameter
 * from the segment between two places gets the color, three values, and nothing of what was there. */
export function paint(values, [height, width], from, to, diameter, color) {
  const radius = diameter / 2;
  const first = (axis) => Math.max(0, Math.floor(Math.min(from[axis], to[axis]) - radius));
  const last = (axis, size) => Math.min(size, Math.ceil(Math.max(from[axis], to[axis]) + radius));
  for (let row = first(0); row < last(0, height); row++) {
    for (let column = first(1); column < last(1, width); column++) {
      if (distance([row + 0.5, column + 0.5], from, to) >= radius) continue;
      for (let c = 0; c < 3; c++) values[(c * height + row) * width + column] = color[c];
    }
  }
}

/** Return the part of a picture of a given size that covers a canvas, and no more: zoom 1 shows as much as fits,
 * x and y (0 to 1) say which part. */
export function cover(picture, [height, width], { zoom = 1, x = 0.5, y = 0.5 } = {}) {
  const scale = Math.max(width / picture.width, height / picture.height) * zoom;
  const part = { width: width / scale, height: height / scale };
  return { ...part, left: x * (picture.width - part.width), top: y * (picture.height - part.height) };
}

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** What is on a canvas. Strokes by pointer (mouse, pen, finger) or by arrow keys and the space bar. */
export class Drawing {
  /**
   * @param canvas its element; `outline` is moved over it to show where the brush is.
   * @param brush () => {color: "#rrggbb", diameter: pixels}.
   * @param changed called with "drawn" after a stroke's part and "replaced" after all else.
   */
  constructor(canvas, outline, brush, changed) {
    Object.assign(this, { canvas, outline, brush, changed, past: [], last: null });
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (this.last = null));
    canvas.addEventListener("pointerleave", () => (this.outline.hidden = true));
    canvas.addEventListener("blur", () => (this.outline.hidden = true));
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  /** Begin with an image of zeros, which has no past. */
  begin(size, preprocessing) {
    Object.assign(this, { size, preprocessing, past: [], last: null, cursor: size.map((n) => n / 2) });
    [this.canvas.height, this.canvas.width] = size;
    this.values = new Float32Array(3 * size[0] * size[1]);
    this.show();
  }

  /** Put other values on the canvas; undo returns to the former. */
  replace(values) {
    this.remember();
    this.put(values);
    this.changed("replaced");
  }

  /** Put other values on the canvas, with no step of undo. */
  put(values) {
    this.values = values;
    this.show();
  }

  remember() {
    this.past.push(this.values.slice());
    if (this.past.length > REMEMBERED) this.past.shift();
  }

  undo() {
    if (!this.past.length) return;
    this.put(this.past.pop());
    this.changed("replaced");
  }

  /** Draw the values, clipped, on the canvas, and note how many were clipped. */
  show() {
    const { bytes, outside } = bytesOfInput(this.values, this.preprocessing);
    this.outside = outside;
    this.canvas.getContext("2d").putImageData(new ImageData(bytes, this.size[1], this.size[0]), 0, 0);
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientY - box.top) / box.height) * this.size[0],
      ((event.clientX - box.left) / box.width) * this.size[1],
    ];
  }

  /** Paint along places, one after the other. */
  stroke(...places) {
    const { color, diameter } = this.brush();
    const ends = places.map((place) => snapped(place, diameter));
    for (let i = 1; i < ends.length; i++) {
      paint(this.values, this.size, ends[i - 1], ends[i], diameter, inputOfColor(color, this.preprocessing));
    }
    this.show();
    this.changed("drawn");
  }

  press(event) {
    if (event.button !== 0 || this.last) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.remember();
    this.last = this.place(event);
    this.pointer = event.pointerId;
    this.stroke(this.last, this.last);
    this.point(this.last);
  }

  move(event) {
    this.point(this.place(event));
    if (!this.last || event.pointerId !== this.pointer) return;
    const parts = event.getCoalescedEvents?.() ?? []; // the way between two frames
    const places = (parts.length ? parts : [event]).map((part) => this.place(part));
    this.stroke(this.last, ...places);
    this.last = places.at(-1);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    if (arrow) {
      const former = this.cursor;
      this.cursor = this.cursor.map((x, axis) => Math.min(this.size[axis] - 0.5, Math.max(0.5, x + arrow[axis])));
      if (event.shiftKey) this.strokeByKey(former);
    } else if (event.key === " ") this.strokeByKey(this.cursor);
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.point(this.cursor);
  }

  strokeByKey(from) {
    this.remember();
    this.stroke(from, this.cursor);
  }

  /** Show the brush at a place. */
  point(place) {
    const { diameter } = this.brush();
    this.cursor = place;
    const center = snapped(place, diameter);
    const [top, left] = center.map((x, axis) => `${(100 * (x - diameter / 2)) / this.size[axis]}%`);
    const [height, width] = this.size.map((n) => `${(100 * diameter) / n}%`);
    Object.assign(this.outline.style, { top, left, height, width });
    this.outline.hidden = false;
  }
}
