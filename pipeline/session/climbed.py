"""What ascents leave: images and responses of every unit from every init, and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from pipeline.config.build import Group
from pipeline.config.parts import WHOLE_LAYER
from pipeline.networks.layers import Layer
from pipeline.session.searched import extremes_result, settings_of_network
from pipeline.session.session import Session
from pipeline.store.identity import described, described_list
from pipeline.store.results import Result
from pipeline.store.tables import COLUMNS
from pipeline.synthesis.optimizers import Optimizer
from pipeline.synthesis.plan import block_units

FLOOR_UNITS = 4  # units per layer and init that are climbed in float64 too
EXACT = "float64"


@dataclass(frozen=True)
class Climb:
    """All ascents of one layer from one init, in one precision, by one optimizer."""

    layer: Layer
    init: str
    units: Sequence[int]
    precision: str
    optimizer: Optimizer
    blocks: dict[str, list[int]]
    result: Result


def all_climbs(session: Session) -> list[Climb]:
    """Return every climb of the run: all units, and a sample of them in float64."""
    return [
        find_climb(session, layer, init, precision)
        for layer in session.parts.layers
        for init in session.parts.inits
        for precision in precisions(session)
    ]


def precisions(session: Session) -> list[str]:
    """Return the precisions that are climbed in: float64 too where ascents are correlated."""
    parts = session.parts
    correlated = len(parts.inits) > 1 or parts.copies > 1
    return [parts.config.precision, *([EXACT] if correlated else [])]


def missing_bytes(session: Session) -> int:
    """Return how much is still to be written: two images per unit, float32 or float64, and more."""
    needed = 0
    for climb in all_climbs(session):
        height, width = session.parts.image_size(climb.layer)
        units = sum(len(climb.blocks[item]) for item in climb.result.missing())
        image = session.parts.copies * height * width * 3 * 4
        needed += units * image * (3 if climb.precision == EXACT else 2)
    return needed


def main_climbs(session: Session) -> list[Climb]:
    """Return the climbs of all units of the run."""
    return [climb for climb in all_climbs(session) if climb.precision != EXACT]


def find_climb(session: Session, layer: Layer, init: str, precision: str | None = None) -> Climb:
    """Return one climb of the run with the place of its result.

    Args:
        session: the run.
        layer: that is climbed.
        init: where from.
        precision: that of the run if none is given.
    """
    parts = session.parts
    climb = plan_climb(
        session, layer, init, precision, Stepped(parts.config.optimizer, parts.optimizer)
    )
    result, stage = climb.result, _stage(climb.precision)
    name = f"{layer.name}/{init}"
    session.result(stage, layer.name, name, result.settings, result.items)
    return climb


class Stepped(NamedTuple):
    """An optimizer, and the configuration that it is built from."""

    group: Group
    built: Optimizer


def plan_climb(
    session: Session, layer: Layer, init: str, precision: str | None, optimizer: Stepped
) -> Climb:
    """Return a climb that the run need not have asked for, by any optimizer.

    The blocks of units are part of what determines the result, because the composition of a batch
    can change the last bits of a response.
    """
    parts = session.parts
    precision = precision or parts.config.precision
    units = parts.climbed_units(layer)
    if precision == EXACT:
        units = units[:: max(1, len(units) // FLOOR_UNITS)][:FLOOR_UNITS]
    size = block_units(parts.costs(layer), parts.copies)
    starts = range(0, len(units), size)
    blocks = {f"block-{n:04d}": units[at : at + size] for n, at in enumerate(starts)}
    determined_by: dict[str, Any] = {
        "layer": layer.call,
        "units": list(units),
        "copies": parts.copies,
        "block": size,
        "precision": precision,
        **settings_of_images(session, layer),
        **settings_of_init(session, layer, init),
        **settings_of_treatment(session, layer),
        "optimizer": described(optimizer.group),
    }
    result = session.find(_stage(precision), layer.name, determined_by, list(blocks))
    return Climb(layer, init, units, precision, optimizer.built, blocks, result)


def _stage(precision: str) -> str:
    return "ascent_float64" if precision == EXACT else "ascent"


# What determines results, as plain data.


def settings_of_images(session: Session, layer: Layer) -> dict[str, Any]:
    """Return what determines the network and the images that are climbed for a layer."""
    parts = session.parts
    settings: dict[str, Any] = {
        **settings_of_network(session),
        "preprocessing": parts.network.preprocessing.settings(),
        "seed": parts.config.seed,
        "whole": None if parts.scoring.of_fields else list(parts.scoring.size),
    }
    if parts.scoring.of_fields:
        plan = parts.canvas(layer)
        settings["canvas"] = [*plan.size, *plan.position, *plan.box]
    return settings


def settings_of_init(session: Session, layer: Layer, init: str) -> dict[str, Any]:
    """Return what determines the starting images.

    Raises:
        ConfigError: the init is one of units, and what is climbed is a layer as a whole.
    """
    parts, start = session.parts, session.parts.inits[init]
    # Its random numbers belong to the name that it was given.
    settings: dict[str, Any] = {
        "init": [init, described(parts.config.init[init], start.contents)],
    }
    if start.needs_top_patches:
        settings["top_patches"] = extremes_result(session, layer).key
    return settings


def settings_of_treatment(session: Session, layer: Layer) -> dict[str, Any]:
    """Return what determines scores, and what images go through between start and score."""
    parts, config = session.parts, session.parts.config
    lists = ("parameterization", "regularizer", "smoothing", "transform")
    settings: dict[str, Any] = {g: described_list(getattr(config, g)) for g in lists}
    contents = [objective.contents for objective in parts.scoring.objectives.values()]
    settings["objective"] = described_list(config.objective, contents)
    settings["constraint"] = described(config.constraint)
    settings["gradient"] = described(config.gradient)
    if parts.constraint.needs_patches:
        settings["natural patches"] = extremes_result(session, layer).key
    if any(piece.images for piece in parts.parameterization.values()):
        settings["pictures"] = dict(session.images.settings)
    return settings


# Tables.


def ascents(session: Session, climbs: Sequence[Climb] | None = None) -> pd.DataFrame:
    """Return the table of ascents, or of some climbs: one row per layer, init, unit and copy."""
    frames = [pd.DataFrame(columns=list(COLUMNS["ascents"]))]
    for climb in main_climbs(session) if climbs is None else climbs:
        found = read_responses(climb)
        table = {
            **_identity(session, climb),
            "unit": found.units,
            "copy": found.copies,
            "parameterization": session.parts.option("parameterization"),
            "constraint": session.parts.option("constraint"),
            "steps": found.responses.shape[1] - 1,
            "start_response": found.responses[:, 0],
            "final_response": found.responses[:, -1],
            "start_norm": found.norms[:, 0],
            "final_norm": found.norms[:, 1],
            "start_contrast": found.contrasts[:, 0],
            "final_contrast": found.contrasts[:, 1],
            "budget": found.budgets,
            "status": found.status,
        }
        frames.append(pd.DataFrame(table, columns=list(COLUMNS["ascents"])))
    return pd.concat(frames[1:] or frames, ignore_index=True)


def trajectories(session: Session) -> pd.DataFrame:
    """Return the table of trajectories: one row per layer, init, unit, copy and step."""
    frames = []
    for climb in main_climbs(session):
        found = read_responses(climb)
        count, steps = found.responses.shape
        table = {
            **_identity(session, climb),
            "unit": found.units.repeat(steps),
            "copy": found.copies.repeat(steps),
            "step": np.tile(np.arange(steps), count),
            "transformed": np.tile(transformed_steps(session, steps), count),
            "response": found.responses.ravel(),
        }
        frames.append(pd.DataFrame(table, columns=list(COLUMNS["trajectories"])))
    return pd.concat(frames, ignore_index=True)


def transformed_steps(session: Session, scores: int) -> Bool[np.ndarray, " scores"]:
    """Say which scores of an ascent are those of transformed images, and not of the image itself.

    With transforms these are all but the first and the last (``ascent.loop.Ascent``).
    """
    steps = np.arange(scores)
    return (steps > 0) & (steps < scores - 1) & bool(session.parts.transforms)


@dataclass(frozen=True)
class Responses:
    """What a finished climb reached.

    Attributes:
        units: one per image.
        copies: number of each image among those of its unit.
        responses: the score before every step and after the last.
        norms: L2 norm of the start and of the image.
        contrasts: RMS contrast of the start and of the image.
        budgets: what the constraint allowed each image; NaN where that is no one number.
        status: per image, as in the table of ascents.
    """

    units: Int[np.ndarray, " images"]
    copies: Int[np.ndarray, " images"]
    responses: Float[np.ndarray, "images steps_and_one"]
    norms: Float[np.ndarray, "images 2"]
    contrasts: Float[np.ndarray, "images 2"]
    budgets: Float[np.ndarray, " images"]
    status: list[str]

    @property
    def of_units(self) -> bool:
        """Whether there is an image for every unit, and not for the layer as a whole."""
        return not (self.units == WHOLE_LAYER).any()


def read_responses(climb: Climb) -> Responses:
    """Return what a finished climb reached."""
    names = ("units", "copies", "responses", "norms", "contrasts", "budgets")
    parts = [climb.result.read(item, names) for item in climb.result.items]
    joined = {name: np.concatenate([arrays[name] for arrays, _ in parts]) for name in names}
    status = [status for _, notes in parts for status in notes["status"]]
    return Responses(status=status, **joined)


def _identity(session: Session, climb: Climb) -> dict[str, Any]:
    return {
        "model": session.parts.network.name,
        "layer": climb.layer.name,
        "init": climb.init,
        "objective": session.parts.option("objective"),
        "optimizer": session.parts.option("optimizer"),
    }
