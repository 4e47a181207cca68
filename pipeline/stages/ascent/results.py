"""Results of ascents: images and responses of every unit from every init, and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from pipeline.config.build import Group
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.identity import network_settings
from pipeline.stages.ascent import ASCENTS, STAGE, TRAJECTORIES
from pipeline.stages.stage import Plan
from pipeline.stages.top_patches.results import StoredSources, find_search
from pipeline.store.identity import described, described_list
from pipeline.store.results import WHOLE_LAYER, Result
from pipeline.synthesis.climber import EXACT, Batch, Climber, device_for
from pipeline.synthesis.optimizers import Optimizer
from pipeline.synthesis.plan import batches, block_units
from pipeline.synthesis.starts import Starts

EXACT_UNITS = 4  # units per layer and init that are also climbed in float64


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

    @property
    def exact(self) -> bool:
        """Whether this is the sample of units in float64."""
        return self.precision == EXACT


def plan_climbs(run: ActiveRun) -> Plan[Climb]:
    """Return every climb of the run: of all units, and of a sample of them in float64."""
    parts = run.parts
    own = ChosenOptimizer(parts.config.optimizer, parts.optimizer)
    return Plan(
        plan_climb(run, layer, init, precision, own)
        for layer in parts.layers
        for init in parts.inits
        for precision in precisions(run)
    )


def precisions(run: ActiveRun) -> list[str]:
    """Return the precisions of the ascents, including float64 if ascents are correlated."""
    parts = run.parts
    correlated = len(parts.inits) > 1 or parts.copies > 1
    return [parts.config.precision, *([EXACT] if correlated else [])]


def main_climbs(climbs: Sequence[Climb]) -> list[Climb]:
    """Return the climbs of all units, without the samples in float64."""
    return [climb for climb in climbs if not climb.exact]


def find_climb(run: ActiveRun, layer: Layer, init: str, *, exact: bool = False) -> Climb:
    """Return one climb of the run.

    Args:
        run: the run.
        layer: layer of the units.
        init: name of the init.
        exact: return the sample in float64.
    """
    climbs: Sequence[Climb] = run.plan(STAGE)
    (found,) = (
        climb
        for climb in climbs
        if (climb.layer.name, climb.init, climb.exact) == (layer.name, init, exact)
    )
    return found


class ChosenOptimizer(NamedTuple):
    """An optimizer, and the configuration that it is built from."""

    group: Group
    built: Optimizer


def plan_climb(
    run: ActiveRun, layer: Layer, init: str, precision: str, optimizer: ChosenOptimizer
) -> Climb:
    """Return a climb by any optimizer, which need not be that of the run.

    The blocks of units are among the settings that determine the result, because the composition of
    a batch can change the last bits of a response.
    """
    parts = run.parts
    units = parts.climbed_units(layer)
    if precision == EXACT:
        units = units[:: max(1, len(units) // EXACT_UNITS)][:EXACT_UNITS]
    size = block_units(parts.costs(layer), parts.copies)
    starts = range(0, len(units), size)
    blocks = {f"block-{n:04d}": units[at : at + size] for n, at in enumerate(starts)}
    determined_by: dict[str, Any] = {
        "layer": layer.identity,
        "units": list(units),
        "copies": parts.copies,
        "block": size,
        "precision": precision,
        **settings_of_images(run, layer),
        **settings_of_init(run, layer, init),
        **settings_of_treatment(run, layer),
        "optimizer": described(optimizer.group),
    }
    place = "ascent_float64" if precision == EXACT else STAGE.name
    name = f"{layer.name}/{init}"
    result = run.result(STAGE, layer.name, name, determined_by, list(blocks), place)
    return Climb(layer, init, units, precision, optimizer.built, blocks, result)


def block_batches(run: ActiveRun, climb: Climb, block: str) -> list[Batch]:
    """Return the batches into which a block is divided on this device."""
    parts, units = run.parts, climb.blocks[block]
    device = device_for(parts.runner.device, climb.precision).type
    return [
        Batch(climb.layer, climb.init, together, climb.precision, climb.optimizer)
        for together in batches(units, parts.costs(climb.layer), device, parts.copies)
    ]


def climber(run: ActiveRun) -> Climber:
    """Return the climber for a run, with its recipe and stored sources."""
    return Climber(Starts(run.parts.recipe, StoredSources(run)), run.parts.runner)


# The settings that determine results, as plain data.


def settings_of_images(run: ActiveRun, layer: Layer) -> dict[str, Any]:
    """Return the settings that determine the network and the images of a layer's ascents."""
    parts = run.parts
    settings: dict[str, Any] = {
        **network_settings(run),
        "preprocessing": parts.network.preprocessing.settings(),
        "seed": parts.config.seed,
        "whole": None if parts.scoring.of_fields else list(parts.scoring.size),
    }
    if parts.scoring.of_fields:
        plan = parts.canvas(layer)
        settings["canvas"] = [*plan.size, *plan.position, *plan.box]
    return settings


def settings_of_init(run: ActiveRun, layer: Layer, init: str) -> dict[str, Any]:
    """Return the settings that determine the starting images.

    Raises:
        ConfigError: the init is for single units, but the objective is of a layer as a whole.
    """
    parts, start = run.parts, run.parts.inits[init]
    # Its random numbers depend on the name that it was given.
    settings: dict[str, Any] = {
        "init": [init, described(parts.config.init[init], start.contents)],
    }
    if start.needs_top_patches:
        settings["top_patches"] = find_search(run, layer).result.key
    return settings


def settings_of_treatment(run: ActiveRun, layer: Layer) -> dict[str, Any]:
    """Return the settings that determine the score and the processing of images before it."""
    parts, config = run.parts, run.parts.config
    lists = ("parameterization", "regularizer", "smoothing", "transform")
    settings: dict[str, Any] = {g: described_list(getattr(config, g)) for g in lists}
    contents = [objective.contents for objective in parts.scoring.objectives.values()]
    settings["objective"] = described_list(config.objective, contents)
    settings["constraint"] = described(config.constraint)
    settings["gradient"] = described(config.gradient)
    if parts.constraint.needs_patches:
        settings["natural patches"] = find_search(run, layer).result.key
    channels = parts.network.preprocessing.channels
    if channels != 3 and config.transform:
        # Whole images of other channels were transformed to their own size at first.
        settings["channels"] = channels
    if any(piece.images for piece in parts.parameterization.values()):
        settings["pictures"] = dict(run.images.settings)
    return settings


# Tables.


def ascents(run: ActiveRun, climbs: Sequence[Climb]) -> pd.DataFrame:
    """Return the table ``ascents`` for some climbs: one row per layer, init, unit and copy."""
    frames = [pd.DataFrame(columns=list(ASCENTS.columns))]
    for climb in main_climbs(climbs):
        found = read_responses(climb)
        table = {
            **_identity(run, climb),
            "unit": found.units,
            "copy": found.copies,
            "parameterization": run.parts.option("parameterization"),
            "constraint": run.parts.option("constraint"),
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
        frames.append(pd.DataFrame(table, columns=list(ASCENTS.columns)))
    return pd.concat(frames[1:] or frames, ignore_index=True)


def trajectories(run: ActiveRun, climbs: Sequence[Climb]) -> pd.DataFrame:
    """Return the table of trajectories: one row per layer, init, unit, copy and step."""
    frames = []
    for climb in main_climbs(climbs):
        found = read_responses(climb)
        count, steps = found.responses.shape
        table = {
            **_identity(run, climb),
            "unit": found.units.repeat(steps),
            "copy": found.copies.repeat(steps),
            "step": np.tile(np.arange(steps), count),
            "transformed": np.tile(transformed_steps(run, steps), count),
            "response": found.responses.ravel(),
        }
        frames.append(pd.DataFrame(table, columns=list(TRAJECTORIES.columns)))
    return pd.concat(frames, ignore_index=True)


def transformed_steps(run: ActiveRun, scores: int) -> Bool[np.ndarray, " scores"]:
    """Return which scores of an ascent are those of transformed images, not of the image itself.

    With transforms, these are all scores but the first and the last (``synthesis.loop.Ascent``).
    """
    steps = np.arange(scores)
    return (steps > 0) & (steps < scores - 1) & bool(run.parts.transforms)


@dataclass(frozen=True)
class Responses:
    """The responses in a finished climb.

    Attributes:
        units: unit of each image.
        copies: number of each image among those of its unit.
        responses: the score before every step and after the last.
        norms: L2 norm of the start and of the image.
        contrasts: RMS contrast of the start and of the image.
        budgets: limit that the constraint set for each image; NaN if it is not a single number.
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
        """Whether the images are of units, and not of the layer as a whole."""
        return not (self.units == WHOLE_LAYER).any()


def read_responses(climb: Climb) -> Responses:
    """Return the responses in a finished climb."""
    names = ("units", "copies", "responses", "norms", "contrasts", "budgets")
    parts = [climb.result.read(item, names) for item in climb.result.items]
    joined = {name: np.concatenate([arrays[name] for arrays, _ in parts]) for name in names}
    status = [status for _, notes in parts for status in notes["status"]]
    return Responses(status=status, **joined)


def _identity(run: ActiveRun, climb: Climb) -> dict[str, Any]:
    return {
        "model": run.parts.network.name,
        "layer": climb.layer.name,
        "init": climb.init,
        "objective": run.parts.option("objective"),
        "optimizer": run.parts.option("optimizer"),
    }
