"""The climber: runs the ascents of a batch of units, with the same result for every caller."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.networks.layers import Layer
from pipeline.synthesis.loop import Ascent, Record, Watch, ascend
from pipeline.synthesis.optimizers import Optimizer
from pipeline.synthesis.scoring import Score, Scorer
from pipeline.synthesis.starts import Start, Starts

EXACT = "float64"


@runtime_checkable
class Machine(Protocol):
    """The device and precision for a climber (``runner.runner.Runner`` is one)."""

    @property
    def device(self) -> torch.device:
        """The device."""
        ...

    def place(self, module: Any) -> Any:
        """Return a module on the device."""
        ...

    def check(self) -> None:
        """Raise an error if the work should stop."""
        ...

    def in_float32(self) -> AbstractContextManager[None]:
        """Return a context in which TF32 is off."""
        ...


@dataclass(frozen=True)
class Batch:
    """Units of one layer that are climbed together.

    Attributes:
        layer: the layer.
        init: name of the init.
        units: the units, without duplicates.
        precision: ``float32``, ``tf32``, ``bfloat16`` or ``float64``.
        optimizer: optimizer of the ascents.
    """

    layer: Layer
    init: str
    units: Sequence[int]
    precision: str
    optimizer: Optimizer


def device_for(device: torch.device, precision: str) -> torch.device:
    """Return the device for a precision: Apple's devices have no float64."""
    return torch.device("cpu") if device.type == "mps" and precision == EXACT else device


class Climber:
    """Runs the ascents of batches; scorers are built once per layer and shared by threads.

    Args:
        starts: makes the starts of batches, by a recipe.
        machine: device and precision for the work.
    """

    def __init__(self, starts: Starts, machine: Machine) -> None:
        self.starts, self.machine = starts, machine
        self.scorers = _Scorers(starts, machine)

    def __call__(self, batch: Batch, record: Record | None = None) -> tuple[Start, Ascent]:
        """Return the start of a batch and its finished ascents.

        Args:
            batch: to be climbed.
            record: given the images of every step (``synthesis.loop.Watch``).
        """
        scorer = self.scorers(batch.layer, batch.precision)
        device = device_for(self.machine.device, batch.precision)
        kind = torch.float64 if batch.precision == EXACT else torch.float32
        start = self.starts(batch.layer, batch.init, batch.units, scorer, device, kind)
        units = torch.tensor(start.units, device=device)
        done = ascend(
            scorer.begin(start.images, units),
            units,
            start.parameters,
            batch.optimizer,
            start.treatment,
            Watch(self.machine.check, record),
        )
        if batch.precision in (EXACT, "float32"):
            return start, done
        exact = scorer.exact if isinstance(scorer, Rounded) else scorer
        with self.machine.in_float32():
            return start, _rescored(done, exact.begin(start.images, units), units)


class _Scorers:
    """The scorers of layers, each built once and shared by threads."""

    def __init__(self, starts: Starts, machine: Machine) -> None:
        self.starts, self.machine = starts, machine
        self.lock = threading.Lock()
        self.build = lru_cache(maxsize=2)(self._build)

    def __call__(self, layer: Layer, precision: str) -> Scorer:
        with self.lock:
            return self.build(layer, precision)

    def _build(self, layer: Layer, precision: str) -> Scorer:
        recipe = self.starts.recipe
        self.machine.place(recipe.network.module)
        scorer: Any = recipe.terms.scorer(recipe.network, layer)
        placed = cast("Scorer", self.machine.place(scorer.eval()))
        if precision not in (EXACT, "bfloat16"):
            return placed
        device = device_for(self.machine.device, precision)
        module = cast("torch.nn.Module", placed)
        converted: Any = deepcopy(module).to(device, getattr(torch, precision))
        return converted if precision == EXACT else Rounded(converted, placed)


class Rounded:
    """A scorer in bfloat16 for images that are kept in float32.

    Args:
        scorer: the scorer in bfloat16.
        exact: the same in float32.
    """

    def __init__(self, scorer: Scorer, exact: Scorer) -> None:
        self.scorer, self.exact = scorer, exact
        self.input_size = scorer.input_size

    def takes_any_size(self) -> bool:
        """Return whether images of other sizes can be scored too."""
        return self.scorer.takes_any_size()

    def begin(
        self, starts: Float[Tensor, "batch c height width"], units: Int[Tensor, " batch"]
    ) -> Score:
        """Return the score of ascents from some starts."""
        score = self.scorer.begin(starts.to(torch.bfloat16), units)
        return lambda images, units: score(images.to(torch.bfloat16), units).to(images.dtype)


def _rescored(done: Ascent, score: Score, units: Int[Tensor, " batch"]) -> Ascent:
    """Return an ascent with the first and last response recomputed by another score."""
    with torch.no_grad():
        ends = torch.stack([score(images, units) for images in (done.starts, done.images)], 1)
    responses = done.responses.clone()
    found = responses[:, [0, -1]]
    responses[:, [0, -1]] = torch.where(found.isfinite(), ends, found)
    return replace(done, responses=responses)
