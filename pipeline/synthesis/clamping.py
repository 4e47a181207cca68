"""Clamping whose gradient can still move a clamped value back inside its bounds."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

# Tolerance, as a share of the range, within which a value counts as on a bound: converting pixels
# to another scale or color and back moves them off the bound by rounding.
ROUNDING = 1e-4


def clamp_inward(
    values: Float[Tensor, "*shape"], low: float | Tensor, high: float | Tensor
) -> Float[Tensor, "*shape"]:
    """Clamp values; a clamped value gets a gradient only if descending it leads back inside.

    A plain clamp has no gradient outside its bounds, so a value that leaves them gets stuck.
    Gradients are those of a loss, of which an optimizer subtracts a multiple (the loop's loss is
    the negative score): below ``low`` negative gradients pass, above ``high`` positive ones. On a
    bound, up to rounding, all pass.

    Args:
        values: of any shape.
        low: lowest values allowed, a number or a tensor that broadcasts to the values' shape.
        high: highest values allowed, likewise. Both are finite, and neither gets a gradient.
    """
    return _ClampInward.apply(values, low, high)  # pyright: ignore[reportReturnType]


class _ClampInward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
        rounding = ROUNDING * (high - low)
        ctx.save_for_backward(values < low - rounding, values > high + rounding)
        above_low = torch.where(values < low, low, values)
        return torch.where(values > high, high, above_low).to(values.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        below, above = ctx.saved_tensors
        outward = (below & (gradient > 0)) | (above & (gradient < 0))
        return gradient.masked_fill(outward, 0.0), None, None
