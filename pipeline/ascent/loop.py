"""The loop: climb the score of a batch of images, one unit each.

rho_t = rho_(t-1) + lr * gradient of z(rho_(t-1)) for plain ascent (seed document 000). Objectives
are maximized; the sign flips here and nowhere else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.ascent.objectives import Objective
from pipeline.ascent.optimizers import Optimizer

log = logging.getLogger(__name__)

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
    check: Callable[[], None] = lambda: None,
) -> Ascent:
    """Climb the scores of a batch of images.

    Args:
        objective: scores image i for unit i.
        units: unit numbers.
        starts: starting images; not altered.
        optimizer: takes its steps on all images at once, each by its own gradient.
        check: called before every step; raises to stop.
    """

    def climb(guarded: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return _climb(objective, units, starts, optimizer, check, guarded=guarded)

    images, responses, moved, finite = climb(guarded=False)
    if not finite.all():  # seldom: climb again and look at every step
        images, responses, moved, finite = climb(guarded=True)
    status = [
        NOT_FINITE if not is_finite else OK if has_moved else ZERO_GRADIENT
        for is_finite, has_moved in zip(finite.tolist(), moved.tolist(), strict=True)
    ]
    return Ascent(starts, images, _from_failure_on(responses), status)


def _climb(
    objective: Objective,
    units: Int[Tensor, " batch"],
    starts: Float[Tensor, "batch 3 height width"],
    optimizer: Optimizer,
    check: Callable[[], None],
    *,
    guarded: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return images, responses before and after every step, and which images moved and are finite.

    Where ``guarded``, an image whose score or gradient is not finite stays as it was before.
    """
    descent = _descent(objective, units, starts)
    images = descent.images
    steps = optimizer.build([images])
    responses = starts.new_empty(len(units), optimizer.steps + 1)
    moved = finite = torch.ones(len(units), dtype=torch.bool, device=starts.device)
    for step in range(optimizer.steps):
        check()
        scores, gradient = descent()
        responses[:, step] = scores
        if step == 0:
            moved = ~_all(gradient == 0)
        if not guarded:
            images.grad = gradient
            steps.step()
            continue
        finite = finite & scores.isfinite() & _all(gradient.isfinite())
        images.grad = torch.where(finite[:, None, None, None], gradient, 0.0)
        before = images.detach().clone()
        steps.step()
        with torch.no_grad():
            # Momentum must not move an image whose score is no longer finite.
            finite = finite & _all(images.isfinite())
            images.copy_(torch.where(finite[:, None, None, None], images, before))
    with torch.no_grad():
        responses[:, -1] = objective(images, units)
    images = images.detach().clone(memory_format=torch.contiguous_format)
    return images, responses, moved, finite & _all(responses.isfinite()) & _all(images.isfinite())


# Recorded graphs by objective, then by shape and type of the batch. Only one thread runs a GPU.
_RECORDED: WeakKeyDictionary[Objective, dict[tuple[Any, ...], Descent]] = WeakKeyDictionary()


def _descent(
    objective: Objective,
    units: Int[Tensor, " batch"],
    starts: Float[Tensor, "batch 3 height width"],
) -> Descent:
    """Return a new descent or, on a CUDA device, the recorded one of the same shape."""
    if not starts.is_cuda:
        return Descent(objective, units, starts)
    recorded = _RECORDED.setdefault(objective, {})
    shape = (tuple(starts.shape), starts.dtype)
    if shape not in recorded:
        recorded[shape] = Descent(objective, units, starts)
    recorded[shape].restart(units, starts)
    return recorded[shape]


class Descent:
    """Scores of a batch of images and the gradient of their negatives, for optimizers to descend.

    On a CUDA device the computation is recorded once as a graph and then replayed: deep networks of
    small maps would otherwise wait for Python.

    Args:
        objective: scores image i for unit i.
        units: unit numbers.
        starts: starting images; not altered.

    Attributes:
        images: the images, channels last, read anew at every call, so that they can be stepped in
            place.
    """

    def __init__(
        self,
        objective: Objective,
        units: Int[Tensor, " batch"],
        starts: Float[Tensor, "batch 3 height width"],
    ) -> None:
        self.objective, self.units = objective, units.clone()
        self.images = starts.clone(memory_format=torch.channels_last).requires_grad_()
        self.downhill = -torch.ones(len(units), dtype=starts.dtype, device=starts.device)
        self.replay: Callable[[], None] | None = None
        self.found = (self.images, self.images)
        if starts.is_cuda:
            self._record()

    def restart(
        self, units: Int[Tensor, " batch"], starts: Float[Tensor, "batch 3 height width"]
    ) -> None:
        """Take other units and images of the same shape."""
        with torch.no_grad():
            self.units.copy_(units)
            self.images.copy_(starts)

    def __call__(self) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch 3 height width"]]:
        """Return scores and gradients at the images as they are now; overwritten by the next."""
        if self.replay is None:
            return self._compute()
        self.replay()
        return self.found

    def _compute(self) -> tuple[Tensor, Tensor]:
        scores = self.objective(self.images, self.units)
        (gradient,) = torch.autograd.grad(scores, self.images, self.downhill)
        return scores.detach(), gradient

    def _record(self) -> None:
        """Follow PyTorch's recipe: warm up on another stream, then record."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._compute()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self.found = self._compute()
        except RuntimeError as error:  # an objective that asks the host cannot be recorded
            log.info("ascent: not recorded as a CUDA graph (%s)", str(error).splitlines()[0])
            return
        self.replay = graph.replay


def _all(mask: Tensor) -> Tensor:
    return mask.flatten(1).all(1)


def _from_failure_on(responses: Tensor) -> Tensor:
    """Return responses with NaN in place of everything from the first that is not finite."""
    failed = (~responses.isfinite()).cumsum(1) > 0
    return responses.masked_fill(failed, float("nan"))
