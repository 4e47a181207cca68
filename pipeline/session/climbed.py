"""What ascents leave: images and responses of every unit from every init, and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.ascent.plan import block_units
from pipeline.config.build import code_digest
from pipeline.networks.layers import Layer
from pipeline.session.searched import extremes_result, own_code
from pipeline.session.session import Session
from pipeline.store.results import Result
from pipeline.store.tables import COLUMNS

FLOOR_UNITS = 4  # units per layer and init that are climbed in float64 too
EXACT = "float64"


@dataclass(frozen=True)
class Climb:
    """All ascents of one layer from one init, in one precision."""

    layer: Layer
    init: str
    units: Sequence[int]
    precision: str
    blocks: dict[str, list[int]]
    result: Result


def all_climbs(session: Session) -> list[Climb]:
    """Return every climb of the run: all units, and a sample of them in float64."""
    return [
        find_climb(session, layer, init, precision)
        for layer in session.parts.layers
        for init in session.parts.inits
        for precision in (session.parts.config.precision, EXACT)
    ]


def missing_bytes(session: Session) -> int:
    """Return how much is still to be written: two images per unit, float32 or float64, and more."""
    needed = 0
    for climb in all_climbs(session):
        box = session.parts.canvas(climb.layer).box
        units = sum(len(climb.blocks[item]) for item in climb.result.missing())
        image = box.height * box.width * 3 * 4
        needed += units * image * (3 if climb.precision == EXACT else 2)
    return needed


def main_climbs(session: Session) -> list[Climb]:
    """Return the climbs of all units of the run."""
    return [climb for climb in all_climbs(session) if climb.precision != EXACT]


def find_climb(session: Session, layer: Layer, init: str, precision: str | None = None) -> Climb:
    """Return one climb with the place of its result, in the precision of the run if none is given.

    The blocks of units are part of what determines the result, because the composition of a batch
    can change the last bits of a response.
    """
    parts = session.parts
    precision = precision or parts.config.precision
    units = parts.units[layer.name]
    if precision == EXACT:
        units = units[:: max(1, len(units) // FLOOR_UNITS)][:FLOOR_UNITS]
    plan = parts.canvas(layer)
    size = block_units(parts.crop(layer))
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
        "code": [
            code_digest(group)
            for group in (parts.config.init[init], parts.config.objective, parts.config.optimizer)
        ],
    }
    determined_by |= own_code(session)
    if described.needs_top_patches:
        determined_by["top_patches"] = extremes_result(session, layer).key
    stage = "ascent_float64" if precision == EXACT else "ascent"
    name = f"{layer.name}/{init}"
    result = session.result(stage, layer.name, name, determined_by, list(blocks))
    return Climb(layer, init, units, precision, blocks, result)


def ascents(session: Session) -> pd.DataFrame:
    """Return the table of ascents: one row per layer, init and unit."""
    frames = []
    for climb in main_climbs(session):
        units, responses, status = read_responses(climb)
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
    for climb in main_climbs(session):
        units, responses, _ = read_responses(climb)
        table = {
            **_identity(session, climb),
            "unit": units.repeat(responses.shape[1]),
            "step": np.tile(np.arange(responses.shape[1]), len(units)),
            "response": responses.ravel(),
        }
        frames.append(pd.DataFrame(table, columns=list(COLUMNS["trajectories"])))
    return pd.concat(frames, ignore_index=True)


def read_responses(climb: Climb) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return unit numbers, responses by step [units, steps + 1] and status of a finished climb."""
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
