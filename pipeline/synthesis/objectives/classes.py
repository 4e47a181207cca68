"""Objectives for classes, on the output of the network's last layer."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.networks.layers import OUTPUT
from pipeline.synthesis.objectives.objective import Objective


def class_logit(category: int | None = None, weight: float | None = 1.0) -> Objective:
    """The network's output for a class, before the softmax.

    Args:
        category: number of the class, from 0; by default each unit's own number, if ``layers``
            names the last layer.
        weight: factor of the score.
    """
    _check_category("class_logit", category)
    return Objective(
        lambda seen: _of_category(seen.responses[:, :, 0, 0], seen.units, category),
        weight,
        OUTPUT,
        per_unit=category is None,
    )


def class_probability(category: int | None = None, weight: float | None = 1.0) -> Objective:
    """The softmax probability of a class; arguments as for ``class_logit``."""
    _check_category("class_probability", category)
    return Objective(
        lambda seen: _of_category(seen.responses[:, :, 0, 0].softmax(1), seen.units, category),
        weight,
        OUTPUT,
        per_unit=category is None,
    )


def _of_category(outputs: Tensor, units: Tensor, category: int | None) -> Tensor:
    classes = outputs.shape[1]
    if category is not None:
        if category >= classes:
            raise ConfigError(
                f"objective: category {category} is beyond the network's classes 0 to {classes - 1}"
            )
        return outputs[:, category]
    return outputs[torch.arange(len(units), device=units.device), units]


def _check_category(name: str, category: int | None) -> None:
    if category is not None and category < 0:
        raise ConfigError(
            f"objective.{name}.category: {category} is negative; classes count from 0"
        )
