"""Constraints on single values: clipping to the displayable range, or to given bounds."""

from __future__ import annotations

from collections.abc import Sequence
from operator import lt

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.clamping import clamp_inward
from pipeline.synthesis.constraints.constraint import (
    Bound,
    Constraint,
    ConstraintContext,
    is_finite,
)


def range() -> Constraint:
    """Clip the images to what can be displayed: pixels in 0..1, in all colors."""

    def bind(given: ConstraintContext) -> Bound:
        black = given.starts.new_zeros(given.starts.shape[1], 1, 1)
        normalize = given.preprocessing.normalize
        return _between(normalize(black), normalize(black + 1), given)

    return Constraint(bind)


def clip(
    lowest: float | Sequence[float] = -2.0, highest: float | Sequence[float] = 2.0
) -> Constraint:
    """Clip the images to bounds in network-input space.

    Args:
        lowest: a number, or one per channel.
        highest: likewise.

    Raises:
        ConfigError: they are not, or a bound ``lowest`` is not below ``highest``.
    """
    bounds = _per_channel("lowest", lowest), _per_channel("highest", highest)
    count = max(map(len, bounds))
    low, high = (each * count if len(each) == 1 else each for each in bounds)
    if len(low) != len(high) or not all(map(lt, low, high)):
        raise ConfigError(
            f"constraint.lowest: {lowest} is not below constraint.highest, {highest}, in every"
            " channel"
        )

    def bind(given: ConstraintContext) -> Bound:
        channels = given.starts.shape[1]
        if count not in (1, channels):
            raise ConfigError(
                f"constraint.lowest: {lowest} and constraint.highest: {highest} are not {channels}"
                " numbers each, one per channel"
            )
        bounds = given.starts.new_tensor([low, high])
        return _between(bounds[0, :, None, None], bounds[1, :, None, None], given)

    return Constraint(bind)


def _between(low: Tensor, high: Tensor, given: ConstraintContext) -> Bound:
    """Clip to per-channel bounds; the measure is the largest excess over them."""

    def measure(images: Float[Tensor, "batch c height width"]) -> Float[Tensor, " batch"]:
        excess = torch.maximum(low - images, images - high).amax((1, 2, 3))
        return excess.clamp(min=0).double()

    budget = torch.zeros(len(given.starts), dtype=torch.float64, device=given.starts.device)
    return Bound(lambda images: clamp_inward(images, low, high), measure, budget)


def _per_channel(key: str, value: float | Sequence[float]) -> list[float]:
    values = [value] if isinstance(value, int | float) else list(value)
    if not values or not all(is_finite(each) for each in values):
        raise ConfigError(
            f"constraint.{key}: {value} is not a finite number, or one for each channel"
        )
    return [float(each) for each in values]
