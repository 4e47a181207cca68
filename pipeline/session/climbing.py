"""Climbing: batches of units from their beginning to their end, the same wherever they are asked.

The ascent stage stores where batches end; the animate stage climbs some of them again and looks at
every step.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.networks.layers import Layer
from pipeline.session.climbed import EXACT, Climb
from pipeline.session.session import Session
from pipeline.session.treated import Beginning, Beginnings
from pipeline.synthesis.loop import Ascent, Record, ascend
from pipeline.synthesis.plan import batches
from pipeline.synthesis.scoring import Score, Scorer


@dataclass(frozen=True)
class Batch:
    """Units of one block that are climbed together."""

    climb: Climb
    units: Sequence[int]


def batches_of(session: Session, climb: Climb, block: str) -> list[Batch]:
    """Return the batches of a block, as they are climbed on this device."""
    parts, units = session.parts, climb.blocks[block]
    device = _device(session, climb.precision).type
    together = batches(units, parts.costs(climb.layer), device, parts.copies)
    return [Batch(climb, units) for units in together]


class Climber:
    """Climbs batches; what scores a layer is built once, and threads at work share it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.scorers = _Scorers(session)
        self.beginnings = Beginnings(session)

    def __call__(self, batch: Batch, record: Record | None = None) -> tuple[Beginning, Ascent]:
        """Return where a batch begins, and what it leaves.

        Args:
            batch: to be climbed.
            record: given the images of every step (``ascent.loop.ascend``).
        """
        session, climb = self.session, batch.climb
        scorer = self.scorers(climb.layer, climb.precision)
        device = _device(session, climb.precision)
        kind = torch.float64 if climb.precision == EXACT else torch.float32
        start = self.beginnings(climb.layer, climb.init, batch.units, scorer, device, kind)
        units = torch.tensor(start.units, device=device)
        done = ascend(
            scorer.begin(start.images, units),
            units,
            start.parameters,
            climb.optimizer,
            start.treatment,
            check=session.parts.runner.check,
            record=record,
        )
        if climb.precision in (EXACT, "float32"):
            return start, done
        exact = scorer.exact if isinstance(scorer, Rounded) else scorer
        with session.parts.runner.in_float32():
            return start, _rescored(done, exact.begin(start.images, units), units)


class _Scorers:
    """What scores the layers at work, each built once; threads at work share them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.lock = threading.Lock()
        self.build = lru_cache(maxsize=2)(self._build)

    def __call__(self, layer: Layer, precision: str) -> Scorer:
        with self.lock:
            return self.build(layer, precision)

    def _build(self, layer: Layer, precision: str) -> Scorer:
        scorer = self.session.parts.scorer(layer)
        if precision not in (EXACT, "bfloat16"):
            return scorer
        device = _device(self.session, precision)
        module = cast("torch.nn.Module", scorer)
        converted: Any = deepcopy(module).to(device, getattr(torch, precision))
        return converted if precision == EXACT else Rounded(converted, scorer)


class Rounded:
    """What scores in bfloat16 images that are kept in float32.

    Args:
        scorer: in bfloat16.
        exact: the same in float32.
    """

    def __init__(self, scorer: Scorer, exact: Scorer) -> None:
        self.scorer, self.exact = scorer, exact
        self.input_size = scorer.input_size

    def takes_any_size(self) -> bool:
        """Say whether images of other sizes can be scored, too."""
        return self.scorer.takes_any_size()

    def begin(
        self, starts: Float[Tensor, "batch 3 height width"], units: Int[Tensor, " batch"]
    ) -> Score:
        """Return the score of ascents from some starts."""
        score = self.scorer.begin(starts.to(torch.bfloat16), units)
        return lambda images, units: score(images.to(torch.bfloat16), units).to(images.dtype)


def _rescored(done: Ascent, score: Score, units: Int[Tensor, " batch"]) -> Ascent:
    """Return an ascent with the responses to its start and its image by another score."""
    with torch.no_grad():
        ends = torch.stack([score(images, units) for images in (done.starts, done.images)], 1)
    responses = done.responses.clone()
    found = responses[:, [0, -1]]
    responses[:, [0, -1]] = torch.where(found.isfinite(), ends, found)
    return replace(done, responses=responses)


def _device(session: Session, precision: str) -> torch.device:
    device = session.parts.runner.device
    return torch.device("cpu") if device.type == "mps" and precision == EXACT else device
