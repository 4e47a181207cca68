"""What a constraint is, and what all share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.preprocessing import Preprocessing

NATURAL = "natural"  # in place of a number: that of the strongest natural patch of the same unit


@dataclass(frozen=True)
class ConstraintContext:
    """What a constraint may depend on.

    Attributes:
        starts: the starting images.
        preprocessing: of the network.
        patches: returns the strongest natural patch of every sample's unit, of the images' shape.
    """

    starts: Float[Tensor, "batch c height width"]
    preprocessing: Preprocessing
    patches: Callable[[], Tensor]


@dataclass(frozen=True)
class Bound:
    """A constraint on one batch of images [batch, 3, height, width].

    Attributes:
        project: from any images to images that fulfill the constraint.
        measure: from images to what is constrained, float64 [batch].
        budget: the value that is allowed; NaN where nothing is constrained.
    """

    project: Callable[[Tensor], Tensor]
    measure: Callable[[Tensor], Tensor]
    budget: Float[Tensor, " batch"]


@dataclass(frozen=True)
class Constraint:
    """A kind of constraint.

    Attributes:
        bind: from circumstances to the constraint on these images.
        needs_patches: whether it asks for the natural patches.
    """

    bind: Callable[[ConstraintContext], Bound]
    needs_patches: bool = False


def none() -> Constraint:
    """Let the images be what they are; budget and measure are NaN."""

    def bind(given: ConstraintContext) -> Bound:
        def measure(
            images: Float[Tensor, "batch c height width"],
        ) -> Float[Tensor, " batch"]:
            return images.new_full((len(images),), math.nan, dtype=torch.float64)

        return Bound(lambda images: images, measure, measure(given.starts))

    return Constraint(bind)


def budget_of(
    value: float | str, given: ConstraintContext, quantity: Callable[[Tensor], Tensor]
) -> Float[Tensor, " batch"]:
    """Return what every image is allowed: a number, or the quantity of its natural patch."""
    if value == NATURAL:
        return quantity(given.patches().to(given.starts)).detach()
    starts = given.starts
    return starts.new_full((len(starts),), float(value), dtype=torch.float64)


def p_norms(values: Float[Tensor, "batch c height width"], p: float) -> Float[Tensor, " batch"]:
    """Return p-norms; unlike a root of squares, they have the gradient 0 at 0."""
    return torch.linalg.vector_norm(values.flatten(1), p, dim=1)


def ratio(
    wanted: Float[Tensor, " batch"], size: Float[Tensor, " batch"], defined: Bool[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Return wanted / size, and 1, without a gradient, where that is not defined."""
    divisor = torch.where(defined, size, 1.0)
    return torch.where(defined, wanted / divisor, 1.0)


def over_pixels(values: Tensor) -> Tensor:
    """Return numbers [batch] so that they multiply images."""
    return values[:, None, None, None]


def check_positive(key: str, value: float | str) -> None:
    """Check that a setting is a positive number or ``natural``.

    Raises:
        ConfigError: it is neither.
    """
    if value != NATURAL and not (is_finite(value) and float(value) > 0):
        raise ConfigError(f"constraint.{key}: {value} is not a positive number or 'natural'")


def is_finite(value: object) -> bool:
    """Say whether a setting is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
