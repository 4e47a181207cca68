"""Objectives that compare several images of one unit."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.objectives.objective import Layers, Objective, Seen


def diversity(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """The diversity of the copies of a unit: minus the similarity of their Gram matrices.

    Image i scores -sum over j != i of <G_i, G_j> / copies, where G is the Gram matrix of the
    layer's features, flattened and scaled to unit length. Source: Olah et al. 2017 (Lucid's
    ``diversity``); the scores of a unit's images add up to its objective.
    """

    def score(seen: Seen) -> Tensor:
        flat = seen.responses.flatten(2)
        grams = F.normalize((flat @ flat.transpose(1, 2)).flatten(1), dim=1, eps=1e-10)
        grams = grams.unflatten(0, (-1, seen.copies))
        alike = grams @ grams.transpose(1, 2)
        others = alike.sum(2) - alike.diagonal(dim1=1, dim2=2)
        return -others.flatten() / seen.copies

    return Objective(score, weight, layer, per_unit=False, copies=2)


def alignment(
    decay: float = 2.0, reach: int = 4, layer: Layers = None, weight: float | None = 1.0
) -> Objective:
    """The similarity of neighboring copies of a unit, so that a row of them changes smoothly.

    Image i scores -sum over neighbors j up to ``reach`` away of mean((z_i - z_j)^2) / decay^|i-j|,
    where only image i receives the gradient. Source: Lucid's ``alignment``.
    """
    if not 0 < decay < math.inf:
        raise ConfigError(f"objective.alignment.decay: {decay} is not a positive number")
    if reach < 1:
        raise ConfigError(f"objective.alignment.reach: {reach} is not positive; use 1 or more")

    def score(seen: Seen) -> Tensor:
        maps = seen.responses.unflatten(0, (-1, seen.copies))
        total = maps.new_zeros(maps.shape[:2])
        for distance in range(1, min(reach, seen.copies - 1) + 1):
            first, second = maps[:, :-distance], maps[:, distance:]
            share = decay**distance
            forward = (first - second.detach()).square().mean((2, 3, 4)) / share
            backward = (second - first.detach()).square().mean((2, 3, 4)) / share
            total = total - F.pad(forward, (0, distance)) - F.pad(backward, (distance, 0))
        return total.flatten()

    return Objective(score, weight, layer, per_unit=False, copies=2)
