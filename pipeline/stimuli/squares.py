"""Drawing squares of whole pixels."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def squares(
    top: Int[Tensor, " n"], left: Int[Tensor, " n"], side: int, canvas: tuple[int, int]
) -> Float[Tensor, "n height width"]:
    """Return 1 in squares and 0 around them.

    Args:
        top: first row of each, from the canvas's top.
        left: first column of each, from the canvas's left.
        side: in pixels.
        canvas: height and width in pixels; squares may leave it.

    >>> squares(torch.tensor([1]), torch.tensor([0]), 2, (3, 3)).tolist()
    [[[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]]
    """
    rows, columns = _within(top, side, canvas[0]), _within(left, side, canvas[1])
    return (rows[:, :, None] & columns[:, None, :]).float()


def _within(first: Int[Tensor, " n"], side: int, length: int) -> Bool[Tensor, "n length"]:
    behind = torch.arange(length, device=first.device) - first[:, None]
    return (behind >= 0) & (behind < side)
