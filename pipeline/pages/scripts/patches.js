// Patches: each is shown as a part of its source image, with the image and the receptive field outlined below it.

import { el } from "./dom.js";
import { imagePath } from "./paths.js";
import { numberText } from "./words.js";

/**
 * Return the figure of a patch.
 * @param {Object} patch of the unit's data
 * @param {Object} images sizes by number, of the unit's data
 * @param {string} outside CSS color of what lies outside of images
 */
export function patchFigure(patch, images, outside) {
  const name = `${patch.sign > 0 ? "top" : "bottom"} patch of rank ${patch.rank}`;
  const size = images[patch.number];
  const shown = size ? [crop(patch, size, outside, name), sourceImage(patch, size)] : missing(patch);
  return el("figure", { class: "patch" }, shown,
    el("figcaption", {}, el("span", { class: "strength" }, `${patch.rank}: ${numberText(patch.response)}`),
      el("span", { class: "file", title: patch.image }, patch.image)));
}

function crop(patch, { height, width }, outside, name) {
  const [top, left, bottom, right] = patch.box;
  const [tall, wide] = [bottom - top, right - left];
  const style = `width:${percent(width / wide)};height:${percent(height / tall)};`
    + `left:${percent(-left / wide)};top:${percent(-top / tall)}`;
  return el("div", { class: "crop", style: `aspect-ratio:${wide}/${tall};background:${outside}` },
    el("img", { src: imagePath(patch.number), alt: `${name}, from ${patch.image}`, style,
      class: wide < 56 ? "pixels" : "", decoding: "async" }));
}

/** Return the source image of a patch with the receptive field outlined. */
export function sourceImage(patch, { height, width }) {
  const [top, left, bottom, right] = patch.box;
  const style = `top:${percent(top / height)};left:${percent(left / width)};`
    + `width:${percent((right - left) / width)};height:${percent((bottom - top) / height)}`;
  return el("div", { class: "source", style: `aspect-ratio:${width}/${height}` },
    el("img", { src: imagePath(patch.number), alt: `Source image ${patch.image}`, decoding: "async" }),
    el("span", { class: "box", style }));
}

function missing(patch) {
  return el("p", { class: "missing" }, patch.fault ?? "The source image cannot be read.");
}

function percent(share) {
  return `${(100 * share).toFixed(4)}%`;
}
