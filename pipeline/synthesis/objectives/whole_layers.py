"""Objectives of a layer as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from pipeline.synthesis.objectives.objective import Layers, Objective, Seen


def layer_sum(
    per_feature: bool = False, layer: Layers = None, weight: float | None = 1.0
) -> Objective:
    """The sum of z over all positions and features of a layer.

    Args:
        per_feature: divide by the number F of features: the scale b = 1/F of blbadger, "Feature
            Visualization II: Deep Dream".
        layer: layer to sum over; the sums of several layers are added.
        weight: factor of the score.
    """

    def score(seen: Seen) -> Tensor:
        total = seen.responses.sum((1, 2, 3))
        return total / seen.responses.shape[1] if per_feature else total

    return Objective(score, weight, layer, per_unit=False, additive="sum")


def layer_mean(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """The mean of z over all positions and features (Canal 2024, "Deep Dreams")."""
    return _of_layer(lambda z: z.mean((1, 2, 3)), layer, weight, "mean")


def layer_mean_square(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """The mean of z squared: MSE to zero (Gordić's pytorch-deepdream)."""
    return _of_layer(lambda z: z.square().mean((1, 2, 3)), layer, weight, "mean")


def layer_sum_square(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """The sum of z squared (the original DeepDream; Mordvintsev, Olah & Tyka 2015)."""
    return _of_layer(lambda z: z.square().sum((1, 2, 3)), layer, weight, "sum")


def layer_half_sum_square(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """Half the sum of z squared: the gradient of ``z.backward(z)`` (Gordić's pytorch-deepdream)."""
    return _of_layer(lambda z: z.square().sum((1, 2, 3)) / 2, layer, weight, "sum")


def _of_layer(
    reduce: Callable[[Tensor], Tensor],
    layer: Layers,
    weight: float | None,
    additive: Literal["sum", "mean"],
) -> Objective:
    return Objective(
        lambda seen: reduce(seen.responses), weight, layer, per_unit=False, additive=additive
    )
