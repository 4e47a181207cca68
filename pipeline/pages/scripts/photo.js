// A photo on the canvas: scaled and cropped to cover it, moved and zoomed by sliders.

import { cover } from "./drawing.js";
import { inputOfBytes } from "./preprocessing.js";

const MID_GRAY = "#808080"; // behind pictures that are partly transparent

/** Return the part of a picture that is chosen, [height, width] pixels, in network-input space. */
export function photoValues(picture, [height, width], preprocessing, placing) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = MID_GRAY;
  context.fillRect(0, 0, width, height);
  const part = cover(picture, [height, width], placing);
  context.drawImage(picture, part.left, part.top, part.width, part.height, 0, 0, width, height);
  return inputOfBytes(context.getImageData(0, 0, width, height).data, preprocessing);
}

/** The photo that is being placed, if any. */
export class Photo {
  /**
   * @param elements {photo: file input, target: where photos are dropped, placing: what holds the sliders zoom, across, down}.
   * @param drawing what it is put on.
   * @param tell shows an error in words.
   */
  constructor(elements, drawing, tell) {
    Object.assign(this, { elements, drawing, tell, picture: null });
    const { photo, target, zoom, across, down } = elements;
    photo.addEventListener("change", () => this.read(photo.files[0]));
    for (const slider of [zoom, across, down]) slider.addEventListener("input", () => this.move());
    target.addEventListener("dragover", (event) => event.preventDefault());
    target.addEventListener("drop", (event) => {
      event.preventDefault();
      this.read(event.dataTransfer.files[0]);
    });
  }

  async read(file) {
    if (!file) return;
    try {
      this.take(await createImageBitmap(file));
    } catch {
      this.tell(`${file.name} cannot be read as an image; use PNG, JPEG, WebP or GIF.`);
    }
    this.elements.photo.value = "";
  }

  take(picture) {
    const { zoom, across, down, placing } = this.elements;
    [zoom.value, across.value, down.value] = [1, 0.5, 0.5];
    this.picture = null;
    this.drawing.replace(this.values(picture));
    this.picture = picture;
    placing.hidden = false;
  }

  values(picture) {
    const { zoom, across, down } = this.elements;
    const placing = { zoom: Number(zoom.value), x: Number(across.value), y: Number(down.value) };
    return photoValues(picture, this.drawing.size, this.drawing.preprocessing, placing);
  }

  /** Show another part of the photo, with no step of undo. */
  move() {
    if (!this.picture) return;
    this.drawing.put(this.values(this.picture));
    this.drawing.changed("moved");
  }

  /** Let the photo be: something else is on the canvas now. */
  forget() {
    this.picture = null;
    this.elements.placing.hidden = true;
  }
}
