"""Constraints that set the norm, mean or contrast of images."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.constraints.constraint import (
    NATURAL,
    Bound,
    Constraint,
    ConstraintContext,
    budget_of,
    check_positive,
    is_finite,
    over_pixels,
    p_norms,
    ratio,
)


def norm(value: float | str = NATURAL) -> Constraint:
    """Scale every image to a given L2 norm over pixels and colors.

    An image of zeros has no direction and is unchanged; its gradient passes unscaled.

    Args:
        value: the norm, or ``natural``.

    Raises:
        ConfigError: ``value`` is neither.
    """

    def bind(given: ConstraintContext) -> Bound:
        budget = budget_of(value, given, _l2_norm)

        def project(
            images: Float[Tensor, "batch c height width"],
        ) -> Float[Tensor, "batch c height width"]:
            size = _l2_norm(images)
            scaled = images.double() * over_pixels(ratio(budget, size, size > 0))
            return scaled.to(images.dtype)

        return Bound(project, _l2_norm, budget)

    check_positive("value", value)
    return Constraint(bind, needs_patches=value == NATURAL)


def mean(value: float | str = 0.0) -> Constraint:
    """Shift every image to a given mean over pixels and colors.

    Args:
        value: the mean in network-input space, where 0 is the mean color, or ``natural``.

    Raises:
        ConfigError: ``value`` is neither.
    """

    def bind(given: ConstraintContext) -> Bound:
        budget = budget_of(value, given, _mean)

        def project(
            images: Float[Tensor, "batch c height width"],
        ) -> Float[Tensor, "batch c height width"]:
            return (images.double() + over_pixels(budget - _mean(images))).to(images.dtype)

        return Bound(project, _mean, budget)

    if value != NATURAL and not is_finite(value):
        raise ConfigError(f"constraint.value: {value} is not a finite number or 'natural'")
    return Constraint(bind, needs_patches=value == NATURAL)


def contrast(value: float | str = NATURAL, mean: float | None = None) -> Constraint:
    """Scale every image about its mean to a given RMS contrast.

    The contrast is the population standard deviation over pixels and colors together. A uniform
    image has zero contrast and is not scaled; its gradient passes unscaled.

    Args:
        value: the contrast in network-input space, where photographs have about 1, or ``natural``.
        mean: mean of every image over pixels and colors; by default, images keep their own.

    Raises:
        ConfigError: ``value`` is neither, or ``mean`` not finite.
    """

    def bind(given: ConstraintContext) -> Bound:
        budget = budget_of(value, given, _contrast)

        def project(
            images: Float[Tensor, "batch c height width"],
        ) -> Float[Tensor, "batch c height width"]:
            center = _mean(images)
            size = _contrast(images)
            # Deviations that are only rounding errors of the mean have no direction.
            has_direction = size > 1e-12 * images.detach().double().abs().amax((1, 2, 3))
            scale = ratio(budget, size, has_direction)
            deviations = (images.double() - over_pixels(center)) * over_pixels(scale)
            wanted = center if mean is None else torch.full_like(center, mean)
            return (deviations + over_pixels(wanted)).to(images.dtype)

        return Bound(project, _contrast, budget)

    check_positive("value", value)
    if mean is not None and not is_finite(mean):
        raise ConfigError(
            f"constraint.mean: {mean} is not a finite number; null keeps each image's own"
        )
    return Constraint(bind, needs_patches=value == NATURAL)


def _mean(images: Float[Tensor, "batch c height width"]) -> Float[Tensor, " batch"]:
    return images.double().mean((1, 2, 3))


def _l2_norm(images: Float[Tensor, "batch c height width"]) -> Float[Tensor, " batch"]:
    return p_norms(images.double(), 2.0)


def _contrast(images: Float[Tensor, "batch c height width"]) -> Float[Tensor, " batch"]:
    deviations = images.double() - over_pixels(_mean(images))
    return p_norms(deviations, 2.0) / math.sqrt(images[0].numel())
