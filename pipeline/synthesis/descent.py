"""Descents: the gradient of a batch's negative scores, for optimizers that step down.

On a CUDA device the computation is recorded as a graph and replayed: see ``Descent``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import first_line
from pipeline.synthesis.scoring import Score
from pipeline.synthesis.treatment import PLAIN, Treatment

log = logging.getLogger(__name__)

# Recorded graphs by score, then by shape and type of the batch. Only one thread runs a GPU.
_RECORDED: WeakKeyDictionary[Any, dict[tuple[Any, ...], Descent]] = WeakKeyDictionary()


def find_descent(
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
    """Scores of a batch of images and the gradient of their negatives, for optimizers to descend.

    On a CUDA device plain ascent is replayed as a graph: small maps would else wait for Python.

    Args:
        score: scores image i for unit i.
        units: unit numbers.
        start: parameters of the starting images; not altered.
        treatment: from parameters to what the network sees.

    Attributes:
        parameters: read at every call, so they can be stepped in place; images are channels last.
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
        # A start of another scale would have a gradient of another scale, which Adam remembers.
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
        """Take other units and parameters of the same shape."""
        with torch.no_grad():
            self.units.copy_(units)
            for parameter, value in zip(self.parameters, start, strict=True):
                parameter.copy_(value)
            self.starts = self.treatment.image(self.parameters).detach().clone()

    def __call__(
        self, step: int = 0, steps: int = 1
    ) -> tuple[Float[Tensor, " batch"], Sequence[Tensor]]:
        """Return scores and gradients of the parameters as they are now; overwritten by the next.

        Args:
            step: of the ascent, which transforms, smoothing and gradient rules may depend on.
            steps: of how many.
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
        # Given gradients of the scores, PyTorch would load SymPy to compare their shapes.
        gradients = torch.autograd.grad((climbed * self.downhill).sum(), self.parameters)
        if gradients[0].shape[2:] != images.shape[2:]:
            shift = None  # a gradient of fewer pixels cannot be rolled by as many
        return scores.detach(), self.treatment.smoothed(gradients, shift, step, steps)

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
            log.info("ascent: not recorded as a CUDA graph (%s)", first_line(error))
            return
        self.replay = graph.replay


def _leaf(parameter: Tensor) -> Tensor:
    own = parameter.detach()
    is_image = own.ndim == 4 and own.shape[1] == 3
    kept = torch.channels_last if is_image else torch.contiguous_format
    return own.clone(memory_format=kept).requires_grad_()
