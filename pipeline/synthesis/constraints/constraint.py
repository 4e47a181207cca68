"""The definition of a constraint, and common functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.preprocessing import Preprocessing

NATURAL = "natural"  # in place of a number: the value of the unit's strongest natural patch


@dataclass(frozen=True)
class ConstraintContext:
    """The context that a constraint may depend on.

    Attributes:
        starts: the starting images.
        preprocessing: preprocessing of the network.
        patches: returns the strongest natural patch of every sample's unit, in the images' shape.
    """

    starts: Float[Tensor, "batch c height width"]
    preprocessing: Preprocessing
    patches: Callable[[], Tensor]


@dataclass(frozen=True)
class Bound:
    """A constraint on one batch of images [batch, 3, height, width].

    Attributes:
        project: maps images to images that satisfy the constraint.
        measure: maps images to the constrained quantity, float64 [batch].
        budget: the allowed value; NaN if there is no constraint.
    """

    project: Callable[[Tensor], Tensor]
    measure: Callable[[Tensor], Tensor]
    budget: Float[Tensor, " batch"]


@dataclass(frozen=True)
class Constraint:
    """A kind of constraint.

    Attributes:
        bind: maps a context to the constraint on its images.
        needs_patches: whether it needs the natural patches.
    """

    bind: Callable[[ConstraintContext], Bound]
    needs_patches: bool = False


def none() -> Constraint:
    """Leave the images unconstrained; budget and measure are NaN."""

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
    """Return the allowed value of each image: a number, or the value of its natural patch."""
    if value == NATURAL:
        return quantity(given.patches().to(given.starts)).detach()
    starts = given.starts
    return starts.new_full((len(starts),), float(value), dtype=torch.float64)


def p_norms(values: Float[Tensor, "batch c height width"], p: float) -> Float[Tensor, " batch"]:
    """Return p-norms; unlike the root of a sum of squares, their gradient at 0 is 0."""
    return torch.linalg.vector_norm(values.flatten(1), p, dim=1)


def ratio(
    wanted: Float[Tensor, " batch"], size: Float[Tensor, " batch"], defined: Bool[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Return wanted / size; if that is undefined, 1 without a gradient."""
    divisor = torch.where(defined, size, 1.0)
    return torch.where(defined, wanted / divisor, 1.0)


def over_pixels(values: Tensor) -> Tensor:
    """Return numbers [batch] in a shape that broadcasts over images."""
    return values[:, None, None, None]


def check_positive(key: str, value: float | str) -> None:
    """Check that a setting is a positive number or ``natural``.

    Raises:
        ConfigError: it is neither.
    """
    if value != NATURAL and not (is_finite(value) and float(value) > 0):
        raise ConfigError(f"constraint.{key}: {value} is not a positive number or 'natural'")


def is_finite(value: object) -> bool:
    """Return whether a setting is a finite number."""
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def is_whole(value: object, least: int) -> bool:
    """Return whether a setting is a whole number, written without a point, of at least some."""
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= least
