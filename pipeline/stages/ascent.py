"""Stage: climb the response of every unit from every init."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.ascent.inits import Request
from pipeline.ascent.loop import NOT_FINITE, ZERO_GRADIENT, ascend
from pipeline.ascent.objectives import Objective
from pipeline.networks.layers import Layer
from pipeline.networks.receptive_fields import canvas
from pipeline.stages.session import Session
from pipeline.stages.top_patches import extremes_result, read_patches
from pipeline.store.results import Result
from pipeline.store.tables import COLUMNS

log = logging.getLogger(__name__)
FLOOR_UNITS = 4  # units per layer and init that are climbed in float64 too
BLOCK_PIXELS = 2**20  # of the canvases of one block of units: bounds memory
BLOCK_UNITS = 32


@dataclass(frozen=True)
class Climb:
    """All ascents of one layer from one init, in one precision."""

    layer: Layer
    init: str
    units: Sequence[int]
    precision: str
    blocks: dict[str, list[int]]
    result: Result


def run(session: Session) -> None:
    """Climb what has not been climbed, and write the tables of ascents and trajectories."""
    climbs = all_climbs(session)
    items = [(climb, item) for climb in climbs for item in climb.result.missing()]
    if items:
        _climb(session, items)
    session.table("ascents", ascents(session))
    session.table("trajectories", trajectories(session))
    for climb in _main_climbs(session):
        _warn(climb)


def all_climbs(session: Session) -> list[Climb]:
    """Return every climb of the run: float32 for all units, float64 for a sample of them."""
    return [
        find_climb(session, layer, init, precision)
        for layer in session.parts.layers
        for init in session.parts.inits
        for precision in ("float32", "float64")
    ]


def find_climb(session: Session, layer: Layer, init: str, precision: str = "float32") -> Climb:
    """Return one climb with the place of its result.

    The blocks of units are part of what determines the result, because the composition of a batch
    can change the last bits of a response.
    """
    parts = session.parts
    units = parts.units[layer.name]
    if precision == "float64":
        units = units[:: max(1, len(units) // FLOOR_UNITS)][:FLOOR_UNITS]
    plan = canvas(parts.graph, layer.node)
    size = max(1, min(BLOCK_UNITS, BLOCK_PIXELS // (plan.size[0] * plan.size[1])))
    starts = range(0, len(units), size)
    blocks = {f"block-{n:04d}": units[at : at + size] for n, at in enumerate(starts)}
    described = parts.inits[init]
    determined_by: dict[str, Any] = {
        "weights": parts.network.digest,
        "module": layer.module,
        "canvas": [*plan.size, *plan.position, *plan.box],
        "units": list(units),
        "block": size,
        "precision": precision,
        "init": parts.config.init[init],
        "contents": described.contents,
        "preprocessing": parts.network.preprocessing.settings(),
        "objective": parts.config.objective,
        "optimizer": parts.config.optimizer,
        "seed": parts.config.seed,
    }
    if described.needs_top_patches:
        determined_by["top_patches"] = extremes_result(session, layer).key
    stage = "ascent" if precision == "float32" else "ascent_float64"
    name = f"{layer.name}/{init}"
    result = session.result(stage, layer.name, name, determined_by, list(blocks))
    return Climb(layer, init, units, precision, blocks, result)


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


def _main_climbs(session: Session) -> list[Climb]:
    return [climb for climb in all_climbs(session) if climb.precision == "float32"]


def ascents(session: Session) -> pd.DataFrame:
    """Return the table of ascents: one row per layer, init and unit."""
    frames = []
    for climb in _main_climbs(session):
        units, responses, status = _read(climb)
        table = {
            **_identity(session, climb),
            "unit": units,
            "steps": responses.shape[1] - 1,
            "start_response": responses[:, 0],
            "final_response": responses[:, -1],
            "status": status,
        }
        frames.append(pd.DataFrame(table, columns=list(COLUMNS["ascents"])))
    return pd.concat(frames, ignore_index=True)


def trajectories(session: Session) -> pd.DataFrame:
    """Return the table of trajectories: one row per layer, init, unit and step."""
    frames = []
    for climb in _main_climbs(session):
        units, responses, _ = _read(climb)
        table = {
            **_identity(session, climb),
            "unit": units.repeat(responses.shape[1]),
            "step": np.tile(np.arange(responses.shape[1]), len(units)),
            "response": responses.ravel(),
        }
        frames.append(pd.DataFrame(table, columns=list(COLUMNS["trajectories"])))
    return pd.concat(frames, ignore_index=True)


def _read(climb: Climb) -> tuple[np.ndarray, np.ndarray, list[str]]:
    parts = [climb.result.read(item, ("units", "responses")) for item in climb.result.items]
    units = np.concatenate([arrays["units"] for arrays, _ in parts])
    responses = np.concatenate([arrays["responses"] for arrays, _ in parts])
    return units, responses, [status for _, notes in parts for status in notes["status"]]


def _identity(session: Session, climb: Climb) -> dict[str, Any]:
    return {
        "model": session.parts.network.name,
        "layer": climb.layer.name,
        "init": climb.init,
        "objective": session.parts.option("objective"),
        "optimizer": session.parts.option("optimizer"),
    }


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
    units, _, found = _read(climb)
    for status, say in advice.items():
        failed = [
            unit for unit, reason in zip(units.tolist(), found, strict=True) if reason == status
        ]
        if failed:
            shown = ", ".join(map(str, failed[:10]))
            more = f" and {len(failed) - 10} more" if len(failed) > 10 else ""
            log.warning("%s: %s", climb.layer.name, say(f"unit {shown}{more}"))
