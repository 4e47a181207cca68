// Images of the run that a drawing can start from: a unit's ascended images and its top patch.

import { decode } from "./panels.js";
import { inputOfPixels } from "./preprocessing.js";

/**
 * Return what can be started from: {starts: [{name, png, values() -> Promise<Float32Array>}], leftOut}.
 * @param stored a unit's data, or null
 * @param size [height, width] of the canvas; images of another size are left out and counted
 */
export function startsOf(stored, [height, width], preprocessing) {
  const images = (stored?.panels ?? []).filter((panel) => panel.kind === "image");
  const fitting = images.filter((panel) => panel.height === height && panel.width === width);
  const starts = fitting.map((panel) => ({
    name: panel.name,
    png: panel.png,
    values: async () => inputOfPixels((await decode(panel)).values, preprocessing),
  }));
  return { starts, leftOut: images.length - fitting.length };
}
