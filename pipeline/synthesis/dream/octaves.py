"""Octaves: the sizes at which an image is dreamt, and what carries over from one to the next.

There are two ways to carry a dream to the next size: resize it as a whole (blbadger, "Feature
Visualization II: Deep Dream"; Gordić's pytorch-deepdream), or add the dreamt changes, resized, to
the start at the new size, which keeps the start's own details sharp (the original DeepDream,
Mordvintsev, Olah & Tyka 2015).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError

Size = tuple[int, int]  # height and width in pixels


def sizes(size: Size, ratio: float = 1.4, levels: int = 4, smallest: int = 1) -> list[Size]:
    """Return the sizes of a pyramid from coarse to fine, the last of which is the image's own.

    Level l of L has sides round(side * ratio ** (l - L + 1)), l = 0 ... L - 1: four levels with
    ratio 1.8 in Gordić's pytorch-deepdream, ten with 1.4 in pytorchbearer/visual and four with 1.4
    in the original DeepDream.

    Args:
        size: height and width of the image in pixels.
        ratio: ratio of the sides of one level to those of the level before, at least 1.
        levels: number of sizes.
        smallest: smallest shorter side in pixels, such as that of a receptive field.

    Raises:
        ConfigError: a value is out of range, or the coarsest image would be too small.
    """
    if not 1 <= ratio < math.inf:
        raise ConfigError(f"dream.ratio: {ratio} is not at least 1; use 1.4 or 1.8")
    if levels < 1:
        raise ConfigError(f"dream.levels: {levels} is not a positive number of sizes; use 1 or 4")
    height, width = size
    scales = [ratio ** (level - levels + 1) for level in range(levels)]
    found = [(round(height * scale), round(width * scale)) for scale in scales]
    if min(found[0]) < smallest:
        raise ConfigError(
            f"dream.levels: {levels} sizes by {ratio} begin at {found[0][0]} x {found[0][1]}"
            f" pixels, which is not at least {smallest}; use fewer levels or a larger image"
        )
    return found


def listed(size: Size, sides: Sequence[int], smallest: int = 1) -> list[Size]:
    """Return the sizes whose shorter sides are listed, in any order, such as 299, 380, 460.

    The image keeps its aspect ratio: the longer side is rounded down, as torchvision's Resize does.

    Args:
        size: height and width of the image in pixels.
        sides: shorter side of every size, in pixels.
        smallest: smallest side in pixels, such as that of a receptive field.

    Raises:
        ConfigError: nothing is listed, or a side is too small.
    """
    if not sides:
        raise ConfigError("dream.sides: [] is not a list of pixels; use [299, 380, 460]")
    if min(sides) < max(1, smallest):
        raise ConfigError(
            f"dream.sides: {min(sides)} is not at least {max(1, smallest)} pixels;"
            " leave it out or use a larger one"
        )
    height, width = size
    if height <= width:
        return [(side, side * width // height) for side in sides]
    return [(side * height // width, side) for side in sides]


def resized(
    images: Float[Tensor, "batch c height width"], size: Size
) -> Float[Tensor, "batch c new_height new_width"]:
    """Return images at another size, bilinear and without aliasing, as torchvision's Resize."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return F.interpolate(images, size=tuple(size), mode="bilinear", antialias=True)


def whole(
    dreamt: Float[Tensor, "batch c height width"],
    start: Float[Tensor, "batch c start_height start_width"],  # noqa: ARG001 - as in details
    size: Size,
) -> Float[Tensor, "batch c new_height new_width"]:
    """Return the first image of the next octave: the dream, resized.

    Args:
        dreamt: the images at the end of an octave.
        start: the starting images of the dream; not used.
        size: height and width of the next octave.
    """
    return resized(dreamt, size)


def details(
    dreamt: Float[Tensor, "batch c height width"],
    start: Float[Tensor, "batch c start_height start_width"],
    size: Size,
) -> Float[Tensor, "batch c new_height new_width"]:
    """Return the first image of the next octave: the start plus the dreamt changes so far.

    That is R(start) + R(dreamt - r(start)), where r resizes to the size of the finished octave and
    R to the next. Without any changes, it is the start at the next size.

    Args:
        dreamt: the images at the end of an octave.
        start: the starting images of the dream, at the largest size at which they have details.
        size: height and width of the next octave.
    """
    height, width = dreamt.shape[2:]
    return resized(start, size) + resized(dreamt - resized(start, (height, width)), size)


CARRY = {"whole": whole, "details": details}  # what carries over to the next octave
