"""The pixels of a canvas, seen from its center, and the precision of formulas."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def precision(device: torch.device) -> torch.dtype:
    """Return the number format of formulas: 64 bits, but 32 where the device has no more.

    Figures jump at their outlines, so a rounding error may move a whole pixel.

    >>> precision(torch.device("cpu"))
    torch.float64
    """
    return torch.float32 if device.type == "mps" else torch.float64


def pixels(
    canvas: tuple[int, int], device: torch.device
) -> tuple[Float[Tensor, " height"], Float[Tensor, " width"]]:
    """Return y (down) and x (right) of the centers of rows and columns from the canvas's center.

    >>> [axis.tolist() for axis in pixels((2, 3), torch.device("cpu"))]
    [[-0.5, 0.5], [-1.0, 0.0, 1.0]]
    """
    y, x = (
        torch.arange(length, dtype=precision(device), device=device) - (length - 1) / 2
        for length in canvas
    )
    return y, x
