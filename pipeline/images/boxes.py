"""Boxes of pixels (top, left, bottom, right), half open, which may reach beyond an image."""

from __future__ import annotations

Box = tuple[int, int, int, int]
Place = tuple[slice, slice]  # rows and columns


def overlap(box: Box, size: tuple[int, int]) -> tuple[Place, Place]:
    """Return where a box and an image of ``size`` (height, width) meet.

    Returns:
        Rows and columns that both have, as those of the image and as those of the box; empty
        where the box lies beside the image.
    """
    rows, columns = (_meet(box[axis], box[axis + 2], size[axis]) for axis in (0, 1))
    return (rows[0], columns[0]), (rows[1], columns[1])


def _meet(start: int, stop: int, length: int) -> tuple[slice, slice]:
    first = min(max(start, 0), length)
    last = max(min(stop, length), first)
    return slice(first, last), slice(first - start, last - start)
