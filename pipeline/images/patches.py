"""Patches: the part of an image that a unit sees."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def cut_patch(
    image: Float[Tensor, "c height width"], box: tuple[int, int, int, int]
) -> Float[Tensor, "c rows columns"]:
    """Return a copy of the pixels in a box (top, left, bottom, right), zeros outside the image.

    Zeros stand for padding: at the image's border a unit sees the zeros that the network pads its
    maps with. The box keeps its size and the image its place in it, at all four borders.
    """
    top, left, bottom, right = box
    height, width = image.shape[-2:]
    patch = image.new_zeros(image.shape[0], bottom - top, right - left)
    rows = slice(max(top, 0), max(min(bottom, height), 0))
    columns = slice(max(left, 0), max(min(right, width), 0))
    seen = image[:, rows, columns]
    down, across = rows.start - top, columns.start - left
    patch[:, down : down + seen.shape[1], across : across + seen.shape[2]] = seen
    return patch


def centered(
    image: Float[Tensor, "c height width"], size: tuple[int, int]
) -> Float[Tensor, "c rows columns"]:
    """Return the middle of an image at some size, surrounded by zeros where it is smaller."""
    (height, width), (rows, columns) = image.shape[1:], size
    top, left = (height - rows) // 2, (width - columns) // 2
    return cut_patch(image, (top, left, top + rows, left + columns))
