"""The loop: gradient ascent on the scores of a batch of images, one unit per image.

rho_t = rho_(t-1) + lr * gradient of z(rho_(t-1)) for plain ascent
(tonyfu97/ActivationMaximization). Objectives are maximized; the sign is flipped only here. After n
updates, the last score is that of the returned image.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import first_line
from pipeline.synthesis.optimizers import Optimizer
from pipeline.synthesis.scoring import Score
from pipeline.synthesis.treatment import PLAIN, Treatment

log = logging.getLogger(__name__)

Record = Callable[[int, Float[Tensor, "batch c height width"]], None]
Look = Callable[[int, Sequence[Tensor]], None]

OK = "ok"
ZERO_GRADIENT = "zero_gradient"
NOT_FINITE = "not_finite"


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
    check: Callable[[], None] = lambda: None,
    record: Record | None = None,
) -> Ascent:
    """Maximize the scores of a batch of images by gradient ascent.

    Args:
        score: scores image i for unit i.
        units: unit numbers.
        starts: starting images, or their parameters; not modified.
        optimizer: steps all images at once, each along its own gradient.
        treatment: processing of images before the network and between steps.
        check: called before every step; raises an error to stop.
        record: receives the number of each step and the images before it, which the step
            overwrites, and finally the returned images. If the ascent is repeated, so are these
            calls.
    """
    start = treatment.space.encode(starts) if isinstance(starts, Tensor) else list(starts)

    def look(step: int, parameters: Sequence[Tensor]) -> None:
        check()
        if record is not None:
            with torch.no_grad():
                record(step, treatment.image(parameters))

    climb = partial(_climb, score, units, start, optimizer, treatment, look)
    climbed = climb(guarded=False)
    if not climbed.finite.all():  # rare: repeat the ascent and check every step
        climbed = climb(guarded=True)
    if record is not None:
        record(optimizer.steps, climbed.images)
    status = [
        NOT_FINITE if not finite else OK if moved else ZERO_GRADIENT
        for finite, moved in zip(climbed.finite.tolist(), climbed.moved.tolist(), strict=True)
    ]
    return Ascent(climbed.starts, climbed.images, _from_failure_on(climbed.responses), status)


@dataclass(frozen=True)
class _Climbed:
    """Images, responses before and after every step, and which images moved and stayed finite."""

    starts: Tensor
    images: Tensor
    responses: Tensor
    moved: Tensor
    finite: Tensor


def _climb(
    score: Score,
    units: Int[Tensor, " batch"],
    start: Sequence[Tensor],
    optimizer: Optimizer,
    treatment: Treatment,
    look: Look,
    *,
    guarded: bool,
) -> _Climbed:
    """If ``guarded``, an image whose score or gradient is not finite keeps its last value."""
    descent = _descent(score, units, start, treatment)
    parameters = descent.parameters
    step_down = optimizer.build(parameters)
    starts = descent.starts
    responses = starts.new_empty(len(units), optimizer.steps + 1)
    moved = torch.zeros(len(units), dtype=torch.bool, device=starts.device)
    finite = ~moved
    for step in range(optimizer.steps):
        look(step, parameters)
        scores, gradients = descent(step, optimizer.steps)
        responses[:, step] = scores
        if step == 0 or treatment.transforms:  # the score of a step may be of transformed images
            moved = moved | ~_all(torch.stack([_all(g == 0) for g in gradients], 1))
        if not guarded:
            step_down(gradients)
            treatment.settle(parameters, step, optimizer.steps)
            continue
        finite = finite & scores.isfinite() & _finite(gradients)
        before = [parameter.detach().clone() for parameter in parameters]
        step_down([_where(finite, gradient, 0.0) for gradient in gradients])
        treatment.settle(parameters, step, optimizer.steps)
        with torch.no_grad():
            # Momentum must not move an image whose score is no longer finite.
            finite = finite & _finite(parameters)
            for parameter, old in zip(parameters, before, strict=True):
                parameter.copy_(_where(finite, parameter, old))
    with torch.no_grad():
        images = treatment.image(parameters).detach()
        responses[:, -1] = score(images, units)
        if treatment.transforms:
            responses[:, 0] = score(starts, units)
    images = images.clone(memory_format=torch.contiguous_format)
    finite = finite & _all(responses.isfinite()) & _all(images.isfinite())
    starts = starts.clone(memory_format=torch.contiguous_format)
    return _Climbed(starts, images, responses, moved, finite)


# Recorded graphs by score, then by shape and type of the batch. Only one thread uses a GPU.
_RECORDED: WeakKeyDictionary[Any, dict[tuple[Any, ...], Descent]] = WeakKeyDictionary()


def _descent(
    score: Score, units: Int[Tensor, " batch"], start: Sequence[Tensor], treatment: Treatment
) -> Descent:
    """Return a new descent or, for pixels on a CUDA device, the recorded one of the same shape."""
    if not start[0].is_cuda or not treatment.is_plain:
        return Descent(score, units, start, treatment)
    recorded = _RECORDED.setdefault(score, {})
    shape = (tuple(start[0].shape), start[0].dtype)
    if shape not in recorded:
        recorded[shape] = Descent(score, units, start, treatment)
    recorded[shape].restart(units, start)
    return recorded[shape]


class Descent:
    """The scores of a batch of images, and the gradients of their negatives for optimizers.

    On a CUDA device, plain ascent is replayed as a graph, as Python is the bottleneck for small
    maps.

    Args:
        score: scores image i for unit i.
        units: unit numbers.
        start: parameters of the starting images; not modified.
        treatment: maps parameters to the images for the network.

    Attributes:
        parameters: current parameters, to be stepped in place; images are in channels-last format.
        starts: the starting images.
    """

    def __init__(
        self,
        score: Score,
        units: Int[Tensor, " batch"],
        start: Sequence[Tensor],
        treatment: Treatment = PLAIN,
    ) -> None:
        self.score, self.units, self.treatment = score, units.clone(), treatment
        self.parameters = [_leaf(parameter) for parameter in start]
        # The first gradient must have the final scale, as Adam remembers it.
        treatment.constrain(self.parameters)
        with torch.no_grad():
            self.starts = treatment.image(self.parameters).detach().clone()
        self.generators = treatment.generators()
        self.downhill = -torch.ones(len(units), dtype=start[0].dtype, device=start[0].device)
        self.replay: Callable[[], None] | None = None
        self.found: tuple[Tensor, Sequence[Tensor]] = (self.starts, self.parameters)
        if start[0].is_cuda and treatment.is_plain:
            self._record()

    def restart(self, units: Int[Tensor, " batch"], start: Sequence[Tensor]) -> None:
        """Switch to other units and parameters of the same shape."""
        with torch.no_grad():
            self.units.copy_(units)
            for parameter, value in zip(self.parameters, start, strict=True):
                parameter.copy_(value)
            self.starts = self.treatment.image(self.parameters).detach().clone()

    def __call__(
        self, step: int = 0, steps: int = 1
    ) -> tuple[Float[Tensor, " batch"], Sequence[Tensor]]:
        """Return scores and gradients at the current parameters; the next call overwrites them.

        Args:
            step: number of the step, on which transforms, smoothing and gradient rules may depend.
            steps: total number of steps.
        """
        if self.replay is None:
            if self.treatment.at_step is not None:
                self.treatment.at_step(step)
            return self._compute(step, steps)
        self.replay()
        return self.found

    def _compute(self, step: int = 0, steps: int = 1) -> tuple[Tensor, Sequence[Tensor]]:
        looks = [self._look(step, steps) for _ in range(self.treatment.looks)]
        if len(looks) == 1:
            return looks[0]
        scores, gradients = zip(*looks, strict=True)
        means = [torch.stack(each).mean(0) for each in zip(*gradients, strict=True)]
        return torch.stack(scores).mean(0), means

    def _look(self, step: int, steps: int) -> tuple[Tensor, Sequence[Tensor]]:
        """Return scores and smoothed gradients for one draw of the transforms."""
        images = self.treatment.image(self.parameters)
        shown, shift = self.treatment.shown(images, self.generators, step, steps)
        scores = self.score(shown, self.units)
        penalty = self.treatment.penalty(images, self.starts)
        climbed = scores if penalty is None else scores - penalty
        # With explicit output gradients, PyTorch would load SymPy to compare shapes.
        gradients = torch.autograd.grad((climbed * self.downhill).sum(), self.parameters)
        if gradients[0].shape[2:] != images.shape[2:]:
            shift = None  # a gradient with fewer pixels cannot be rolled back by the same shift
        return scores.detach(), self.treatment.smoothed(gradients, shift, step, steps)

    def _record(self) -> None:
        """Record a graph as PyTorch recommends: warm up on another stream first."""
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
        except RuntimeError as error:  # an objective may synchronize with the host
            log.info("ascent: not recorded as a CUDA graph (%s)", first_line(error))
            return
        self.replay = graph.replay


def _leaf(parameter: Tensor) -> Tensor:
    own = parameter.detach()
    is_image = own.ndim == 4 and own.shape[1] == 3
    kept = torch.channels_last if is_image else torch.contiguous_format
    return own.clone(memory_format=kept).requires_grad_()


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
