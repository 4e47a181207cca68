// Panels: 8-bit images with the range that they stand for, and how they are scaled for display.
// A stored byte b means low + b / 255 * (high - low), in pixel space: 0 is black and 1 is white.

export const SCALINGS = {
  image: "Each image is scaled to its own range; what was added, to its own largest magnitude, and zero is gray.",
  shared: "All images are scaled to one range; what was added, to one largest magnitude, and zero is gray.",
  clip: "Pixels are shown as they are and clipped to black and white; what was added, on gray.",
};

/**
 * Return the pixels of a stored panel.
 * @param {{png: string, width: number, height: number, low: number, high: number, kind: string}} panel
 * @returns {Promise<{width, height, low, high, kind, values: Float32Array}>} values: RGB of each pixel, row by row
 */
export async function decode(panel) {
  const { width, height, low, high } = panel;
  const bytes = await pixelsOf(panel.png, width, height);
  return { ...panel, values: fromBytes(bytes, low, high) };
}

/** Return the bytes (RGBA) of an image given as a data URL. */
export async function pixelsOf(url, width, height) {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, width, height).data;
}

/** Return RGB values from RGBA bytes that stand for a range. */
export function fromBytes(bytes, low, high) {
  const values = new Float32Array((bytes.length / 4) * 3);
  const step = (high - low) / 255;
  for (let from = 0, to = 0; from < bytes.length; from += 4, to += 3) {
    for (let channel = 0; channel < 3; channel += 1) values[to + channel] = low + step * bytes[from + channel];
  }
  return values;
}

/**
 * Return the values that are shown black and white, [black, white].
 * @param {{low: number, high: number, kind: string}} panel
 * @param {"image"|"shared"|"clip"} mode
 * @param {[number, number]} shared range of all panels of this kind, for "shared"
 */
export function shownRange(panel, mode, shared) {
  if (mode === "clip") return panel.kind === "added" ? [-0.5, 0.5] : [0, 1];
  return mode === "shared" && shared ? shared : [panel.low, panel.high];
}

/** Return the range that several panels of one kind share. */
export function sharedRange(panels) {
  return [Math.min(...panels.map((panel) => panel.low)), Math.max(...panels.map((panel) => panel.high))];
}

/** Draw a decoded panel on a canvas, which takes its size. */
export function draw(canvas, panel, mode, shared) {
  canvas.width = panel.width;
  canvas.height = panel.height;
  canvas.getContext("2d").putImageData(shown(panel, shownRange(panel, mode, shared)), 0, 0);
}

function shown({ width, height, values }, [black, white]) {
  const data = new ImageData(width, height);
  const scale = white > black ? 255 / (white - black) : 0;
  const offset = white > black ? 0 : 127.5; // nothing to tell apart: gray
  for (let from = 0, to = 0; from < values.length; from += 3, to += 4) {
    // The array of bytes clips and rounds.
    for (let channel = 0; channel < 3; channel += 1) data.data[to + channel] = offset + (values[from + channel] - black) * scale;
    data.data[to + 3] = 255;
  }
  return data;
}
