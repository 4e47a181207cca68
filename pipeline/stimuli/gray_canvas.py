"""Images at the center of a gray canvas, as 8-bit pixels that a screen can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from pipeline.errors import ConfigError, nearest

SCALINGS = ("clip", "contrast")
Box = tuple[int, int, int, int]  # top, left, bottom, right


class OnCanvas(NamedTuple):
    """Images on a canvas.

    Attributes:
        pixels: of the whole canvases.
        factors: by which the contrast of each image about gray was multiplied.
        clipped: share of the values of each image, of all pixels and channels, that were clipped.
    """

    pixels: UInt8[np.ndarray, "images channels rows columns"]
    factors: Float[np.ndarray, " images"]
    clipped: Float[np.ndarray, " images"]


@dataclass(frozen=True)
class GrayCanvas:
    """A gray canvas, and how images are brought into the range of its pixels.

    Attributes:
        height: in pixels.
        width: in pixels.
        gray: pixel value of each channel, from 0 to 1.
        scaling: ``clip``: pixels are shown as they are, and those beyond black or white as black or
            white; ``contrast``: the contrast of each image about gray is multiplied by the largest
            factor at which nothing is clipped.

    Raises:
        ConfigError: there is no such scaling or gray, or no room for contrast about gray.

    >>> canvas = GrayCanvas(1, 3, (0.5,), "contrast")
    >>> canvas.show(np.array([0.0, 2.5]).reshape(2, 1, 1, 1)).pixels.squeeze().tolist()
    [[128, 0, 128], [128, 255, 128]]
    """

    height: int
    width: int
    gray: tuple[float, ...]
    scaling: str = "clip"

    def __post_init__(self) -> None:
        if self.scaling not in SCALINGS:
            raise ConfigError(
                f"stimuli.scaling: {self.scaling!r} is not one of {', '.join(SCALINGS)}"
                f"{nearest(str(self.scaling), SCALINGS)}"
            )
        if len(self.gray) not in (1, 3):
            raise ConfigError(
                f"stimuli.images: pictures have 1 or 3 channels, and the images of this network"
                f" have {len(self.gray)}"
            )
        shown = ", ".join(f"{value:g}" for value in self.gray)
        if not all(0 <= value <= 1 for value in self.gray):
            raise ConfigError(
                f"screen.background: the gray of the canvas, {shown}, is not a pixel value from 0"
                " to 1; give another background"
            )
        if self.scaling == "contrast" and not all(0 < value < 1 for value in self.gray):
            raise ConfigError(
                f"stimuli.scaling: contrast is fitted about the gray of the canvas, and {shown} is"
                " black or white in some channel; give another background, or use clip"
            )

    @property
    def gray_level(self) -> list[int]:
        """The 8-bit value of gray in each channel."""
        return np.rint(np.asarray(self.gray, np.float64) * 255).astype(np.uint8).tolist()

    def box(self, size: tuple[int, int]) -> Box:
        """Return where an image of some height and width lies on the canvas.

        Raises:
            ConfigError: the canvas is too small.
        """
        height, width = size
        if height > self.height or width > self.width:
            raise ConfigError(
                f"stimuli.canvas: {self.height} x {self.width} pixels are too few for images of"
                f" {height} x {width}, the receptive field; give a larger canvas, or none"
            )
        top, left = (self.height - height) // 2, (self.width - width) // 2
        return top, left, top + height, left + width

    def show(self, images: Float[np.ndarray, "images channels height width"]) -> OnCanvas:
        """Return images, given as pixels in 0..1 or beyond, at the center of the canvas.

        Raises:
            ConfigError: the canvas is too small.
        """
        top, left, bottom, right = self.box((images.shape[2], images.shape[3]))
        gray = np.asarray(self.gray, np.float64)[:, None, None]
        factors = np.ones(len(images))
        if self.scaling == "contrast":
            factors = np.array([_largest_factor(image - gray, gray) for image in images])
        levels = np.rint((gray + factors[:, None, None, None] * (images - gray)) * 255)
        # What is beyond by less than half a step of 8 bits loses nothing.
        clipped = ((levels < 0) | (levels > 255)).mean((1, 2, 3))
        shape = (len(images), len(gray), self.height, self.width)
        level = np.array(self.gray_level, np.uint8)[:, None, None]
        pixels = np.broadcast_to(level, shape).copy()
        pixels[:, :, top:bottom, left:right] = levels.clip(0, 255)
        return OnCanvas(pixels, factors, clipped)


def _largest_factor(
    difference: Float[np.ndarray, "channels height width"],
    gray: Float[np.ndarray, "channels 1 1"],
) -> float:
    """Return by how much differences from gray can be multiplied; 1 if there are none.

    >>> gray = np.full((1, 1, 1), 0.25)
    >>> _largest_factor(np.array([[[-0.5, 0.5]]]), gray), _largest_factor(0 * gray, gray)
    (0.5, 1.0)
    """
    room = np.where(difference > 0, 1 - gray, gray)
    most = float((np.abs(difference) / room).max())
    return 1 / most if most > 0 else 1.0
