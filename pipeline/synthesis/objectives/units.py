"""Objectives of one unit: its response at one position, or over its map."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.synthesis.objectives.objective import (
    Layers,
    Objective,
    Position,
    Seen,
    check_position,
)


def unit_response(position: Position = None, weight: float | None = 1.0) -> Objective:
    """z[c, y, x]: the response of one unit at one position, in the output of its layer.

    Source: tonyfu97/ActivationMaximization, where the position is the center of the map.

    Args:
        position: row and column on the layer's map, for whole images; by default the center, on
            images of the receptive field's size if there is no other objective.
        weight: factor of the score.
    """
    check_position("unit_response", position)

    def score(seen: Seen) -> Tensor:
        responses = seen.at(position)
        return responses[torch.arange(len(seen.units), device=seen.units.device), seen.units]

    return Objective(score, weight, of_field=position is None)


def channel_sum(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """The sum of z_c over the map of channel c.

    Source: blbadger, "Feature Visualization II: Deep Dream", whose loss sum(C - z_c) has the
        negative of this gradient.
    """
    return Objective(lambda seen: seen.own.sum((1, 2)), weight, layer, additive="sum")


def channel_mean(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """The mean of z_c over the map of channel c (Olah et al. 2017; lucent's ``channel``)."""
    return Objective(lambda seen: seen.own.mean((1, 2)), weight, layer, additive="mean")


def constant_minus_channel(
    constant: float = 200.0, layer: Layers = None, weight: float | None = -1.0
) -> Objective:
    """The sum of C - z_c over the map, minimized because its weight is -1.

    The gradient does not depend on C. Source: blbadger, "Feature Visualization II: Deep Dream".
    """
    return Objective(lambda seen: (constant - seen.own).sum((1, 2)), weight, layer, additive="sum")
