"""The loop: gradient ascent on the scores of a batch of images, one unit per image.

rho_t = rho_(t-1) + lr * gradient of z(rho_(t-1)) for plain ascent (Erhan et al. 2009). Objectives
are maximized; the sign flips here and nowhere else. After n updates the last score is that of the
image that is returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.synthesis.descent import Descent, find_descent
from pipeline.synthesis.optimizers import Optimizer
from pipeline.synthesis.scoring import Score
from pipeline.synthesis.treatment import PLAIN, Treatment

Record = Callable[[int, Float[Tensor, "batch c height width"]], None]

OK = "ok"
ZERO_GRADIENT = "zero_gradient"
NOT_FINITE = "not_finite"


@dataclass(frozen=True)
class Watch:
    """Who looks on while a batch is climbed.

    Attributes:
        check: called before every step; raises to stop.
        record: given each step's number with the images before it, which the step overwrites, and
            at the end those returned. Images that are climbed again are given again.
    """

    check: Callable[[], None] = lambda: None
    record: Record | None = None


UNWATCHED = Watch()


@dataclass(frozen=True)
class Ascent:
    """The finished ascents of one batch, in network-input space.

    Attributes:
        starts: the starting images, as they were scored before the first step.
        images: the images after the last step.
        responses: the score before every step and after the last. With transforms, the first and
            the last are those of the images themselves, and the others those of the transformed
            images.
        status: per image ``ok``, ``zero_gradient`` (the start has no gradient: the image could not
            move) or ``not_finite`` (a score or gradient was not finite: the image is the last
            finite one, and its responses are NaN from there on).
    """

    starts: Float[Tensor, "batch c height width"]
    images: Float[Tensor, "batch c height width"]
    responses: Float[Tensor, "batch steps_and_one"]
    status: list[str]

    @property
    def added(self) -> Float[Tensor, "batch c height width"]:
        """The difference between the final and the starting images."""
        return self.images - self.starts


def ascend(
    score: Score,
    units: Int[Tensor, " batch"],
    starts: Float[Tensor, "batch c height width"] | Sequence[Tensor],
    optimizer: Optimizer,
    treatment: Treatment = PLAIN,
    watch: Watch = UNWATCHED,
) -> Ascent:
    """Maximize the scores of a batch of images by gradient ascent.

    Args:
        score: scores image i for unit i.
        units: unit numbers.
        starts: starting images, or the parameters that stand for them; not altered.
        optimizer: takes its steps on all images at once, each by its own gradient.
        treatment: what happens to images on their way to the network and between steps.
        watch: looks on before every step.
    """
    start = treatment.space.encode(starts) if isinstance(starts, Tensor) else list(starts)
    climb = _Climb(find_descent(score, units, start, treatment), optimizer, watch)
    ascent = climb.run()
    if NOT_FINITE in ascent.status:  # seldom: climb again and look at every step
        climb = _GuardedClimb(find_descent(score, units, start, treatment), optimizer, watch)
        ascent = climb.run()
    if watch.record is not None:
        watch.record(optimizer.steps, ascent.images)
    return ascent


class _Climb:
    """One climb of a batch.

    Attributes:
        responses: before every step and after the last.
        moved: which images have had a gradient.
        finite: which images have had finite scores and gradients alone.
    """

    def __init__(self, descent: Descent, optimizer: Optimizer, watch: Watch) -> None:
        self.descent, self.steps, self.watch = descent, optimizer.steps, watch
        self.step_down = optimizer.build(descent.parameters)
        starts, batch = descent.starts, len(descent.units)
        self.responses = starts.new_empty(batch, optimizer.steps + 1)
        self.moved = torch.zeros(batch, dtype=torch.bool, device=starts.device)
        self.finite = ~self.moved

    def run(self) -> Ascent:
        """Take all steps."""
        for step in range(self.steps):
            self._look(step)
            scores, gradients = self.descent(step, self.steps)
            self.responses[:, step] = scores
            # Transforms may show the network something else at every step.
            if step == 0 or self.descent.treatment.transforms:
                self.moved = self.moved | ~_all(torch.stack([_all(g == 0) for g in gradients], 1))
            self._step(step, scores, gradients)
        return self._finished()

    def _look(self, step: int) -> None:
        self.watch.check()
        if self.watch.record is not None:
            with torch.no_grad():
                self.watch.record(step, self.descent.treatment.image(self.descent.parameters))

    def _step(self, step: int, _scores: Tensor, gradients: Sequence[Tensor]) -> None:
        self.step_down(gradients)
        self.descent.treatment.settle(self.descent.parameters, step, self.steps)

    @torch.no_grad()
    def _finished(self) -> Ascent:
        descent, treatment = self.descent, self.descent.treatment
        images = treatment.image(descent.parameters).detach()
        self.responses[:, -1] = descent.score(images, descent.units)
        if treatment.transforms:
            self.responses[:, 0] = descent.score(descent.starts, descent.units)
        finite = self.finite & _all(self.responses.isfinite()) & _all(images.isfinite())
        return Ascent(
            descent.starts.clone(memory_format=torch.contiguous_format),
            images.clone(memory_format=torch.contiguous_format),
            _from_failure_on(self.responses),
            [
                NOT_FINITE if not finite else OK if moved else ZERO_GRADIENT
                for finite, moved in zip(finite.tolist(), self.moved.tolist(), strict=True)
            ],
        )


class _GuardedClimb(_Climb):
    """A climb in which an image whose score or gradient is not finite stays as it was before."""

    def _step(self, step: int, scores: Tensor, gradients: Sequence[Tensor]) -> None:
        parameters = self.descent.parameters
        finite = self.finite & scores.isfinite() & _finite(gradients)
        before = [parameter.detach().clone() for parameter in parameters]
        super()._step(step, scores, [_where(finite, gradient, 0.0) for gradient in gradients])
        with torch.no_grad():
            # Momentum must not move an image whose score is no longer finite.
            self.finite = finite & _finite(parameters)
            for parameter, old in zip(parameters, before, strict=True):
                parameter.copy_(_where(self.finite, parameter, old))


def _all(mask: Tensor) -> Tensor:
    return mask.flatten(1).all(1)


def _finite(tensors: Sequence[Tensor]) -> Tensor:
    return _all(torch.stack([_all(tensor.isfinite()) for tensor in tensors], 1))


def _where(mask: Tensor, tensor: Tensor, other: Tensor | float) -> Tensor:
    return torch.where(mask.view(-1, *[1] * (tensor.ndim - 1)), tensor, other)


def _from_failure_on(responses: Tensor) -> Tensor:
    """Return responses with NaN from the first one that is not finite."""
    failed = (~responses.isfinite()).cumsum(1) > 0
    return responses.masked_fill(failed, float("nan"))
