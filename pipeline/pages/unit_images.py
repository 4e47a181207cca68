"""Images of units in eight bits, with the range of values that the bytes encode.

A byte b means ``low + b / 255 * (high - low)`` in pixel space, where 0 is black and 1 is white.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, UInt8

from pipeline.figures.scaling import in_color
from pipeline.images.boxes import Box, overlap
from pipeline.pages.contents import Picture, ShownAscent, ShownPreprocessing
from pipeline.pages.data_scripts import data_url
from pipeline.pages.encoded_images import png, to_bytes

Kind = Literal["image", "added"]


@dataclass(frozen=True)
class UnitImage:
    """One image of a unit.

    Attributes:
        name: name for display.
        init: init of the ascent; ``None`` for a patch.
        copy: its number among those of its unit.
        kind: an image, or what was added to one.
        pixels: pixels as bytes.
        low: value of byte 0.
        high: value of byte 255.
    """

    name: str
    init: str | None
    copy: int
    kind: Kind
    pixels: UInt8[np.ndarray, "height width 3"]
    low: float
    high: float

    def data(self) -> dict[str, Any]:
        """Return the image as plain data."""
        height, width = self.pixels.shape[:2]
        return {
            "name": self.name,
            "init": self.init,
            "copy": self.copy,
            "kind": self.kind,
            "width": width,
            "height": height,
            # Not rounded, as they affect every pixel.
            "low": self.low,
            "high": self.high,
            "png": data_url(png(self.pixels), "image/png"),
        }


def ascent_images(
    ascent: ShownAscent, preprocessing: ShownPreprocessing, copies: int
) -> list[UnitImage]:
    """Return the final image and the change made by the ascent, if all values are finite."""
    which = ascent.init if copies == 1 else f"{ascent.init}, copy {ascent.copy}"
    image = preprocessing.to_pixels(ascent.image)
    added = preprocessing.to_pixels(ascent.image - ascent.start, shift=False)
    if not (np.isfinite(image).all() and np.isfinite(added).all()):
        return []
    most = float(np.abs(added).max())
    ranges: list[tuple[str, Kind, Float[np.ndarray, "h w 3"], float, float]] = [
        (f"climbed from {which}", "image", image, float(image.min()), float(image.max())),
        (f"added to {which}", "added", added, -most, most),
    ]
    return [
        UnitImage(name, ascent.init, ascent.copy, kind, to_bytes(x, low, high), low, high)
        for name, kind, x, low, high in ranges
    ]


def patch_image(picture: Picture, box: Box, preprocessing: ShownPreprocessing) -> UnitImage:
    """Return a patch of a source image, with the mean color (network input 0) outside the image."""
    mean = in_color(np.asarray(preprocessing.mean, np.float32))
    outside = to_bytes(mean, picture.low, picture.high)
    pixels = cut(picture.pixels, box, outside)
    return UnitImage("top patch", None, 0, "image", pixels, picture.low, picture.high)


def cut(
    pixels: UInt8[np.ndarray, "height width 3"], box: Box, outside: UInt8[np.ndarray, "3"]
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Return the pixels in a box (top, left, bottom, right), which may extend beyond the image."""
    top, left, bottom, right = box
    patch = np.broadcast_to(outside, (bottom - top, right - left, 3)).copy()
    there, here = overlap(box, (pixels.shape[0], pixels.shape[1]))
    patch[here] = pixels[there]
    return patch
