"""The loop: climb the score of a batch of images, one unit each.

rho_t = rho_(t-1) + lr * gradient of z(rho_(t-1)) for plain ascent (seed document 000). Objectives
are maximized; the sign flips here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.ascent.objectives import Objective
from pipeline.ascent.optimizers import Optimizer

OK = "ok"
ZERO_GRADIENT = "zero_gradient"
NOT_FINITE = "not_finite"


@dataclass(frozen=True)
class Ascent:
    """What one batch of ascents left, in network-input space.

    Attributes:
        starts: the starting images, unchanged.
        images: the images after the last step.
        responses: the score before every step and after the last.
        status: per image ``ok``, ``zero_gradient`` (the start has no gradient: the image could not
            move) or ``not_finite`` (a score or gradient was not finite: the image is the last
            finite one, and its responses are NaN from there on).
    """

    starts: Float[Tensor, "batch 3 height width"]
    images: Float[Tensor, "batch 3 height width"]
    responses: Float[Tensor, "batch steps_and_one"]
    status: list[str]

    @property
    def added(self) -> Float[Tensor, "batch 3 height width"]:
        """What the ascent added to its start."""
        return self.images - self.starts


def ascend(
    objective: Objective,
    units: Int[Tensor, " batch"],
    starts: Float[Tensor, "batch 3 height width"],
    optimizer: Optimizer,
) -> Ascent:
    """Climb the scores of a batch of images.

    Args:
        objective: scores image i for unit i.
        units: unit numbers.
        starts: starting images; not altered.
        optimizer: takes its steps on all images at once, each by its own gradient.
    """
    images = starts.clone().requires_grad_()
    steps = optimizer.build([images])
    responses: list[Tensor] = []
    finite = torch.ones(len(units), dtype=torch.bool, device=starts.device)
    moved = torch.zeros_like(finite)
    for step in range(optimizer.steps):
        scores = objective(images, units)
        responses.append(scores.detach())
        (gradient,) = torch.autograd.grad(scores.sum(), images)
        finite &= scores.detach().isfinite() & _all(gradient.isfinite())
        if step == 0:
            moved = ~_all(gradient == 0)
        images.grad = -torch.where(finite[:, None, None, None], gradient, 0.0)
        before = images.detach().clone()
        steps.step()
        with torch.no_grad():
            # An image whose score is no longer finite stays as it is: momentum must not move it.
            finite &= _all(images.isfinite())
            images.copy_(torch.where(finite[:, None, None, None], images, before))
    with torch.no_grad():
        responses.append(objective(images, units))
    recorded = torch.stack(responses, dim=1)
    finite &= recorded[:, -1].isfinite()
    status = [
        NOT_FINITE if not is_finite else OK if has_moved else ZERO_GRADIENT
        for is_finite, has_moved in zip(finite.tolist(), moved.tolist(), strict=True)
    ]
    return Ascent(starts, images.detach(), _from_failure_on(recorded), status)


def _all(mask: Tensor) -> Tensor:
    return mask.flatten(1).all(1)


def _from_failure_on(responses: Tensor) -> Tensor:
    """Return responses with NaN in place of everything from the first that is not finite."""
    failed = (~responses.isfinite()).cumsum(1) > 0
    return responses.masked_fill(failed, float("nan"))
