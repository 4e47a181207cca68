"""Stage: climb the response of every unit from every init."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.ascent.inits import Request
from pipeline.ascent.loop import NOT_FINITE, ZERO_GRADIENT, ascend
from pipeline.ascent.objectives import Objective
from pipeline.ascent.plan import batches
from pipeline.networks.layers import Layer
from pipeline.session.climbed import (
    EXACT,
    Climb,
    all_climbs,
    ascents,
    main_climbs,
    read_responses,
    trajectories,
)
from pipeline.session.searched import read_patches
from pipeline.session.session import Session
from pipeline.store.results import Arrays

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """Units of one block that are climbed together."""

    climb: Climb
    block: str
    units: Sequence[int]
    last: bool


def run(session: Session) -> None:
    """Climb what has not been climbed, and write the tables of ascents and trajectories."""
    climbs = all_climbs(session)
    items = [(climb, item) for climb in climbs for item in climb.result.missing()]
    if items:
        _climb(session, items)
    session.table("ascents", ascents(session))
    session.table("trajectories", trajectories(session))
    for climb in main_climbs(session):
        _warn(climb)


def _climb(session: Session, items: Sequence[tuple[Climb, str]]) -> None:
    runner = session.parts.runner
    images = sum(len(climb.blocks[item]) for climb, item in items)
    log.info("ascent: climbing %d images in %d blocks", images, len(items))
    for climb in {id(climb): climb for climb, _ in items}.values():
        session.begin(climb.result)
    plan = [batch for climb, item in items for batch in _batches(session, climb, item)]
    objectives = _Objectives(session)
    done = runner.run(plan, lambda batch: _climb_batch(session, batch, objectives))
    block: list[Arrays] = []
    written = 0
    runner.allow_tf32(session.parts.config.precision == "tf32")
    try:
        with runner.progress("ascent: images", images) as advance:
            for batch, (arrays, status) in zip(plan, done, strict=True):
                block.append(arrays | {"status": np.array(status)})
                advance(len(batch.units))
                if batch.last:
                    _write(batch, block)
                    block = []
                    session.done += 1
                    written += 1
                    session.tracker.log({"ascent/share": written / len(items)})
    finally:
        done.close()
        runner.allow_tf32(False)


def _batches(session: Session, climb: Climb, block: str) -> list[Batch]:
    units = climb.blocks[block]
    crop = session.parts.crop(climb.layer)
    parts = batches(units, crop, _device(session, climb.precision).type)
    return [Batch(climb, block, part, part is parts[-1]) for part in parts]


def _write(batch: Batch, parts: Sequence[Arrays]) -> None:
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    status = whole.pop("status").tolist()
    batch.climb.result.write(batch.block, whole, {"status": status})


class _Objectives:
    """The objectives of the layers at work, each built once; threads at work share them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.lock = threading.Lock()
        self.build = lru_cache(maxsize=2)(self._build)

    def __call__(self, layer: Layer, precision: str) -> Objective:
        with self.lock:
            return self.build(layer, precision)

    def _build(self, layer: Layer, precision: str) -> Objective:
        objective = self.session.parts.objective(layer)
        if precision not in (EXACT, "bfloat16"):
            return objective
        device = _device(self.session, precision)
        module = cast("torch.nn.Module", objective)  # as Parts.objective makes sure
        converted: Any = deepcopy(module).to(device, getattr(torch, precision))
        return converted if precision == EXACT else Rounded(converted)


class Rounded:
    """An objective that computes in bfloat16 on images that are kept in float32."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.input_size = objective.input_size

    def __call__(
        self, images: Float[Tensor, "batch 3 height width"], units: Int[Tensor, " batch"], /
    ) -> Float[Tensor, " batch"]:
        """Return one score per image."""
        return self.objective(images.to(torch.bfloat16), units).to(images.dtype)


def _climb_batch(
    session: Session, batch: Batch, objectives: _Objectives
) -> tuple[Arrays, list[str]]:
    parts, climb = session.parts, batch.climb
    objective = objectives(climb.layer, climb.precision)

    def patches(wanted: Sequence[int], rank: int, sign: int) -> torch.Tensor:
        return read_patches(session, climb.layer, wanted, rank, sign)

    request = Request(
        batch.units,
        objective.input_size,
        [_generator(session, climb, unit) for unit in batch.units],
        parts.network.preprocessing,
        patches,
    )
    starts = parts.inits[climb.init].start(request)
    device = _device(session, climb.precision)
    done = ascend(
        objective,
        torch.tensor(batch.units, device=device),
        starts.to(
            device=device, dtype=torch.float64 if climb.precision == EXACT else torch.float32
        ),
        parts.optimizer,
        check=parts.runner.check,
    )
    arrays = {
        "units": np.array(batch.units),
        "starts": starts.numpy(),
        "images": done.images.cpu().numpy(),
        "responses": done.responses.cpu().numpy(),
    }
    return arrays, done.status


def _device(session: Session, precision: str) -> torch.device:
    device = session.parts.runner.device
    return torch.device("cpu") if device.type == "mps" and precision == EXACT else device


def _generator(session: Session, climb: Climb, unit: int) -> torch.Generator:
    """Return random numbers of one work item's own, whatever order or process it is done in."""
    parts = session.parts
    identity = (
        f"{parts.config.seed}/{parts.network.digest}/{climb.layer.module}/{climb.init}/{unit}"
    )
    seed = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") >> 1
    return torch.Generator().manual_seed(seed)


def _warn(climb: Climb) -> None:
    advice: dict[str, Callable[[str], str]] = {
        ZERO_GRADIENT: lambda units: (
            f"{units} cannot climb from '{climb.init}': the gradient there is zero (a nonlinearity"
            " on every path is silent); try init=[top_patch] or init=[noise] with a larger std"
        ),
        NOT_FINITE: lambda units: (
            f"{units} from '{climb.init}' reached a response that is not finite; try a smaller"
            " optimizer.lr"
        ),
    }
    units, _, found = read_responses(climb)
    for status, say in advice.items():
        failed = [
            unit for unit, reason in zip(units.tolist(), found, strict=True) if reason == status
        ]
        if failed:
            shown = ", ".join(map(str, failed[:10]))
            more = f" and {len(failed) - 10} more" if len(failed) > 10 else ""
            log.warning("%s: %s", climb.layer.name, say(f"unit {shown}{more}"))
