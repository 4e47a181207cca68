"""Patches: parts of images of the size of a receptive field."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from pipeline.images.boxes import Box, overlap


def cut_patch(image: Float[Tensor, "c height width"], box: Box) -> Float[Tensor, "c rows columns"]:
    """Return a copy of the pixels in a box (top, left, bottom, right), zeros outside the image.

    Zeros represent padding: at the image's border, a unit sees the zeros with which the network
    pads its maps. The box keeps its size, and the image its position in the box, at all four
    borders.
    """
    top, left, bottom, right = box
    patch = image.new_zeros(image.shape[0], bottom - top, right - left)
    there, here = overlap(box, (image.shape[1], image.shape[2]))
    patch[:, *here] = image[:, *there]
    return patch


def centered(
    image: Float[Tensor, "c height width"], size: tuple[int, int]
) -> Float[Tensor, "c rows columns"]:
    """Return the center of an image at some size, padded with zeros if it is smaller."""
    (height, width), (rows, columns) = image.shape[1:], size
    top, left = (height - rows) // 2, (width - columns) // 2
    return cut_patch(image, (top, left, top + rows, left + columns))
