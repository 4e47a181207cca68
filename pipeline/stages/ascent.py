"""Stage: climb the response of every unit from every init."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import lru_cache
from itertools import count

import numpy as np
import torch

from pipeline.ascent.inits import Request
from pipeline.ascent.loop import NOT_FINITE, ZERO_GRADIENT, ascend
from pipeline.ascent.objectives import Objective
from pipeline.session.climbed import (
    Climb,
    all_climbs,
    ascents,
    main_climbs,
    read_responses,
    trajectories,
)
from pipeline.session.searched import read_patches
from pipeline.session.session import Session

log = logging.getLogger(__name__)


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
    images = sum(len(climb.blocks[item]) for climb, item in items)
    log.info("ascent: climbing %d images in %d blocks", images, len(items))

    @lru_cache(maxsize=1)
    def objective(layer: str, precision: str) -> Objective:
        found = next(climb.layer for climb, _ in items if climb.layer.name == layer)
        built = session.parts.objective(found)
        if precision == "float64" and isinstance(built, torch.nn.Module):
            return deepcopy(built).to(_device(session, precision)).double()
        return built

    for climb in {id(climb): climb for climb, _ in items}.values():
        session.begin(climb.result)

    blocks_done = count(1)

    def work(item: tuple[Climb, str]) -> None:
        climb, name = item
        _climb_block(session, climb, name, objective(climb.layer.name, climb.precision))
        session.done += 1
        session.tracker.log({"ascent/share": next(blocks_done) / len(items)})

    session.parts.runner.run("ascent: blocks", items, work)


def _climb_block(session: Session, climb: Climb, name: str, objective: Objective) -> None:
    parts, units = session.parts, climb.blocks[name]

    def patches(wanted: Sequence[int], rank: int, sign: int) -> torch.Tensor:
        return read_patches(session, climb.layer, wanted, rank, sign)

    request = Request(
        units,
        objective.input_size,
        [_generator(session, climb, unit) for unit in units],
        parts.network.preprocessing,
        patches,
    )
    starts = parts.inits[climb.init].start(request)
    device = _device(session, climb.precision)
    done = ascend(
        objective,
        torch.tensor(units, device=device),
        starts.to(device=device, dtype=getattr(torch, climb.precision)),
        parts.optimizer,
    )
    arrays = {
        "units": np.array(units),
        "starts": starts.numpy(),
        "images": done.images.cpu().numpy(),
        "responses": done.responses.cpu().numpy(),
    }
    climb.result.write(name, arrays, {"status": done.status})


def _device(session: Session, precision: str) -> torch.device:
    device = session.parts.runner.device
    return torch.device("cpu") if device.type == "mps" and precision == "float64" else device


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
