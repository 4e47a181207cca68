"""Results of animations: every step of some ascents, by each optimizer, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.config.build import Group, build
from pipeline.errors import ConfigError, nearest
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.parts import Parts
from pipeline.stages.animate import ANIMATIONS, STAGE
from pipeline.stages.ascent.results import (
    ChosenOptimizer,
    Climb,
    plan_climb,
    transformed_steps,
)
from pipeline.stages.stage import Plan
from pipeline.store.results import Arrays, Result
from pipeline.store.runs import Animation, animation_name, read_animation
from pipeline.store.tables import read_table
from pipeline.synthesis.optimizers import Optimizer

FIRST_UNITS = 4  # animated per layer by default, as in triptychs
MOST_STEPS = 100  # recorded by default


@dataclass(frozen=True)
class Animated:
    """The ascents of one unit from one init by one optimizer, all copies, step by step.

    Attributes:
        climb: all ascents of the layer, including these; they need not be in the store.
        unit: the unit; ``WHOLE_LAYER`` if the objective is of the layer as a whole.
        optimizer: its name.
        steps: numbers of the recorded steps; the first is 0.
        result: the stored result, which has one item.
    """

    climb: Climb
    unit: int
    optimizer: str
    steps: Sequence[int]
    result: Result

    @property
    def name(self) -> str:
        """A name that is unique in the run."""
        return animation_name(self.climb.layer.name, self.climb.init, self.unit, self.optimizer)


class AnimationPlan(Plan[Animated]):
    """The animations of a run, with the stored results of the same ascents."""

    @property
    def consulted(self) -> list[Result]:
        """The stored ascents, whose final images are compared with those of the animations."""
        return list({each.climb.result.key: each.climb.result for each in self}.values())


def plan_animations(run: ActiveRun) -> Plan[Animated]:
    """Return all animations, ordered by layer, init, unit and optimizer.

    Raises:
        ConfigError: a unit is not in the run, or the settings of an optimizer are invalid.
    """
    units, optimizers = animated_units(run.parts), animated_optimizers(run.parts)
    return AnimationPlan(
        animated
        for layer in run.parts.layers
        for init in run.parts.inits
        if units[layer.name]
        for animated in _of_layer(run, layer, init, units[layer.name], optimizers)
    )


def animated_optimizers(parts: Parts) -> dict[str, Optimizer]:
    """Return the animated optimizers by name; the run's own optimizer by default.

    Raises:
        ConfigError: the settings of an optimizer are invalid.
    """
    options: dict[str, Any] = parts.config.animate.optimizers
    if not options:
        return {parts.option("optimizer"): parts.optimizer}
    return {name: _optimizer(name, group) for name, group in options.items()}


def _optimizer(name: str, group: Group) -> Optimizer:
    try:
        return build(group, f"animate.optimizers.{name}")
    except ConfigError as error:  # the error names the config key of the run's own optimizer
        own, sentence = "optimizer.", str(error)
        if not sentence.startswith(own):
            raise
        raise ConfigError(f"animate.optimizers.{name}.{sentence.removeprefix(own)}") from error


def animated_units(parts: Parts) -> dict[str, list[int]]:
    """Return the units that are animated, by layer name.

    Raises:
        ConfigError: a unit is not in the run.
    """
    climbed = {layer.name: parts.climbed_units(layer) for layer in parts.layers}
    named = parts.config.animate.units
    if not named:
        return {layer: units[:FIRST_UNITS] for layer, units in climbed.items()}
    if not parts.scoring.per_unit:
        raise ConfigError(
            f"animate.units: objective={parts.option('objective')} is of a layer as a whole, so "
            "no single units are climbed; leave the list empty"
        )
    chosen: dict[str, list[int]] = {layer: [] for layer in climbed}
    for name in dict.fromkeys(named):
        layer, _, unit = name.rpartition("/")
        if layer not in climbed:
            raise ConfigError(
                f"animate.units: '{name}' is not of a layer of this run, which has"
                f" {', '.join(climbed)}{nearest(layer, climbed)}"
            )
        if int(unit) not in climbed[layer]:
            own = [f"{layer}/{number}" for number in climbed[layer]]
            raise ConfigError(
                f"animate.units: '{name}' is not among the units of this run, which climbs"
                f" {len(own)} of {layer}, {own[0]} to {own[-1]}{nearest(name, own)}"
            )
        chosen[layer].append(int(unit))
    return chosen


def recorded_steps(steps: int, every: int | None) -> list[int]:
    """Return the steps to record, in order: the first, the last, and some in between.

    Args:
        steps: number of steps of the ascent.
        every: interval between recorded steps; by default, one that gives at most 101 of them.
    """
    apart = every or -(-steps // MOST_STEPS)
    return [*range(0, steps, apart), steps]


def _of_layer(
    run: ActiveRun,
    layer: Layer,
    init: str,
    units: Sequence[int],
    optimizers: dict[str, Optimizer],
) -> list[Animated]:
    config = run.parts.config
    groups: dict[str, Any] = config.animate.optimizers
    climbs = {
        name: plan_climb(
            run,
            layer,
            init,
            config.precision,
            ChosenOptimizer(groups.get(name, config.optimizer), optimizer),
        )
        for name, optimizer in optimizers.items()
    }
    return [_one(run, climbs[name], unit, name) for unit in units for name in climbs]


def _one(run: ActiveRun, climb: Climb, unit: int, optimizer: str) -> Animated:
    steps = recorded_steps(climb.optimizer.steps, run.parts.config.animate.every)
    determined_by = {**climb.result.settings, "animated": unit, "recorded": steps}
    layer = climb.layer.name
    name = animation_name(layer, climb.init, unit, optimizer)
    result = run.result(STAGE, layer, name, determined_by, ["steps"])
    return Animated(climb, unit, optimizer, steps, result)


def recorded_arrays(
    frames: Float[np.ndarray, "frames copies 3 height width"],
    steps: Sequence[int],
    responses: Float[np.ndarray, "copies steps_and_one"],
) -> Arrays:
    """Return the arrays to store, which ``store.runs.read_animation`` reads."""
    return {"frames": frames, "steps": np.array(steps), "responses": responses}


def read_animated(animated: Animated) -> Animation:
    """Return the recorded ascents of a unit.

    Raises:
        StoreError: it is missing or damaged.
    """
    return read_animation(animated.result)


def animation_bytes(run: ActiveRun, animated: Sequence[Animated]) -> int:
    """Return the bytes stored for some units: one image per copy and recorded step."""
    needed = 0
    for each in animated:
        height, width = run.parts.image_size(each.climb.layer)
        needed += (
            len(each.steps)
            * run.parts.copies
            * height
            * width
            * run.parts.network.preprocessing.channels
            * 4
        )
    return needed


def animations(run: ActiveRun, planned: Sequence[Animated]) -> pd.DataFrame:
    """Return the table of animations: one row per layer, init, unit, copy, optimizer and step."""
    frames = [_table(run, animated) for animated in planned]
    empty = pd.DataFrame(columns=list(ANIMATIONS.columns))
    return pd.concat(frames, ignore_index=True) if frames else empty


def _table(run: ActiveRun, animated: Animated) -> pd.DataFrame:
    responses = read_animated(animated).responses
    copies, steps = responses.shape
    table = {
        "model": run.parts.network.name,
        "layer": animated.climb.layer.name,
        "unit": animated.unit,
        "copy": np.arange(copies).repeat(steps),
        "init": animated.climb.init,
        "objective": run.parts.option("objective"),
        "optimizer": animated.optimizer,
        "step": np.tile(np.arange(steps), copies),
        "transformed": np.tile(transformed_steps(run, steps), copies),
        "response": responses.ravel(),
    }
    return pd.DataFrame(table, columns=list(ANIMATIONS.columns))


def stored_end(animated: Animated) -> Float[np.ndarray, "copies 3 height width"] | None:
    """Return the final images that the ascent stage stored; None if it stored none."""
    climb = animated.climb
    block = next(name for name, units in climb.blocks.items() if animated.unit in units)
    if not climb.result.holds(block):
        return None
    found, _ = climb.result.read(block, ("units", "images"))
    return found["images"][found["units"] == animated.unit]


def findings(run: ActiveRun, _planned: Sequence[Animated]) -> list[str]:
    """Return one line per unit with the final response by each of several optimizers."""
    table = read_table(run.paths.tables, ANIMATIONS.name)
    if len(table["optimizer"].unique()) < 2:
        return []
    lines = ["response after the last step:"]
    own = ["layer", "unit", "copy", "init"]
    for (layer, unit, copy, init), rows in table.groupby(own, sort=False):  # type: ignore[misc]
        last = rows.groupby("optimizer", sort=False).tail(1).set_index("optimizer")["response"]
        name = f"{layer} from {init}" + ("" if unit < 0 else f", unit {unit}")
        name += f", copy {copy}" if copy else ""
        lines.append(f"  {name}: " + ", ".join(f"{by} {value:.4g}" for by, value in last.items()))
    return lines
