// Bytes of a canvas (RGBA, interleaved), pixels (0 to 1) and network-input space, (pixel - mean) / std
// for each channel. Values in network-input space are planar, [3, height, width], as networks take them.

const CHANNELS = [0, 1, 2];

/** Return what a pixel value of a channel is to the network. */
export function inputOf(pixel, channel, { mean, std }) {
  return (pixel - mean[channel]) / std[channel];
}

/** Return a color such as "#ff8000" as three values of network-input space. */
export function inputOfColor(color, preprocessing) {
  return CHANNELS.map((c) => inputOf(parseInt(color.slice(1 + 2 * c, 3 + 2 * c), 16) / 255, c, preprocessing));
}

/** Return RGBA bytes of a canvas, [height * width * 4], as planar values; alpha plays no part. */
export function inputOfBytes(bytes, preprocessing) {
  const area = bytes.length / 4;
  const values = new Float32Array(3 * area);
  for (const c of CHANNELS) {
    for (let i = 0; i < area; i++) values[c * area + i] = inputOf(bytes[4 * i + c] / 255, c, preprocessing);
  }
  return values;
}

/** Return interleaved pixels, [height * width * 3], as planar values. */
export function inputOfPixels(pixels, preprocessing) {
  const area = pixels.length / 3;
  const values = new Float32Array(3 * area);
  for (const c of CHANNELS) {
    for (let i = 0; i < area; i++) values[c * area + i] = inputOf(pixels[3 * i + c], c, preprocessing);
  }
  return values;
}

/** Return the bytes that show values, clipped to 0 to 255, and how many values had to be clipped. */
export function bytesOfInput(values, { mean, std }) {
  const area = values.length / 3;
  const bytes = new Uint8ClampedArray(4 * area).fill(255);
  let outside = 0;
  for (const c of CHANNELS) {
    for (let i = 0; i < area; i++) {
      const byte = 255 * (values[c * area + i] * std[c] + mean[c]);
      bytes[4 * i + c] = byte; // rounds and clips
      if (byte < -0.5 || byte > 255.5) outside++;
    }
  }
  return { bytes, outside };
}

/** Return the three bytes nearest to zero of network-input space, the mean color. */
export function midBytes({ mean }) {
  return mean.map((value) => Math.min(255, Math.max(0, Math.round(255 * value))));
}
