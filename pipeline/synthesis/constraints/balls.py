"""Constraint to a ball in a p-norm."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.clamping import ROUNDING, clamp_inward
from pipeline.synthesis.constraints.constraint import (
    NATURAL,
    Bound,
    Constraint,
    ConstraintContext,
    budget_of,
    check_positive,
    over_pixels,
    p_norms,
    ratio,
)

CENTERS = ("zero", "start")


def ball(p: float = 2.0, radius: float | str = NATURAL, center: str = "zero") -> Constraint:
    """Keep every image within a distance, in a p-norm over pixels and colors.

    An image inside the ball is unchanged; one outside is replaced by the nearest image of the ball
    (in L2 distance). If the gradient of an image outside leads back inside, it passes unchanged, as
    it does on the sphere, up to rounding. For p = 1, pixels that the projection sets to 0 have no
    gradient until the image is on the sphere.

    Args:
        p: 1, 2 or infinity.
        radius: in network-input space, or ``natural``: the p-norm of the natural patch.
        center: ``zero`` or ``start``, the starting image.

    Raises:
        ConfigError: a value is invalid.

    Source: p = 1 is Duchi et al. 2008, "Efficient projections onto the l1-ball", figure 1.
    """

    def bind(given: ConstraintContext) -> Bound:
        middle = given.starts.clone() if center == "start" else torch.zeros_like(given.starts)
        budget = budget_of(radius, given, lambda patches: p_norms(patches.double(), p))

        def project(
            images: Float[Tensor, "batch c height width"],
        ) -> Float[Tensor, "batch c height width"]:
            deviations = images.double() - middle.double()
            limit = over_pixels(budget)
            if p == math.inf:
                size = deviations.abs()
                nearest = clamp_inward(deviations, -limit, limit)
            else:
                norms = p_norms(deviations, p)
                size = over_pixels(norms)
                onto = _onto_l1_sphere if p == 1 else _onto_l2_sphere
                nearest = onto(deviations, norms, budget)
            projected = (middle.double() + nearest).to(images.dtype)
            near = size <= limit * (1 + ROUNDING)  # the gradient passes unchanged
            projected = torch.where(near, images + (projected - images).detach(), projected)
            return torch.where(size <= limit, images, projected)

        def measure(
            images: Float[Tensor, "batch c height width"],
        ) -> Float[Tensor, " batch"]:
            return p_norms(images.double() - middle.double(), p)

        return Bound(project, measure, budget)

    if p not in (1, 2, math.inf):
        raise ConfigError(f"constraint.p: {p} is not 1, 2 or .inf")
    if center not in CENTERS:
        raise ConfigError(f"constraint.center: {center!r} is not 'zero' or 'start'")
    check_positive("radius", radius)
    return Constraint(bind, needs_patches=radius == NATURAL)


def _onto_l2_sphere(
    deviations: Float[Tensor, "batch c height width"],
    size: Float[Tensor, " batch"],
    radius: Float[Tensor, " batch"],
) -> Float[Tensor, "batch c height width"]:
    """Return the nearest points on a sphere; points inside are unchanged."""
    allowed = clamp_inward(size, torch.zeros_like(radius), radius)
    return deviations * over_pixels(ratio(allowed, size, size > 0))


def _onto_l1_sphere(
    deviations: Float[Tensor, "batch c height width"],
    size: Float[Tensor, " batch"],
    radius: Float[Tensor, " batch"],
) -> Float[Tensor, "batch c height width"]:
    """Return the nearest points on an L1 sphere for points outside: magnitudes minus a threshold.

    The threshold is chosen so that the remaining magnitudes sum to the radius.
    """
    magnitudes = deviations.abs().flatten(1)
    with torch.no_grad():
        falling = magnitudes.sort(dim=1, descending=True).values
        ranks = torch.arange(1, falling.shape[1] + 1, device=falling.device)
        thresholds = (falling.cumsum(1) - radius[:, None]) / ranks
        last = (falling > thresholds).sum(1, keepdim=True).clamp(min=1) - 1
        kept = magnitudes >= thresholds.gather(1, last)
        count = kept.sum(1).clamp(min=1)
    allowed = clamp_inward(size, torch.zeros_like(radius), radius)
    threshold = ((magnitudes * kept).sum(1) - allowed) / count
    shrunk = (magnitudes - threshold[:, None]).relu().view_as(deviations)
    return deviations.sign() * shrunk
