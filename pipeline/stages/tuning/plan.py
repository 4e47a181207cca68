"""The plan of a run: the responses to every set, by layer, and the measures made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from pipeline.analysis.tuning.intervals import Noise
from pipeline.errors import ConfigError
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.faults import Faults
from pipeline.run.identity import network_settings
from pipeline.search.tuning.measurement import STAGES, UNITS, LayerTuning, TuningOptions
from pipeline.search.tuning.sets import (
    CONTRAST,
    CONTRAST_SETTINGS,
    SETS,
    chosen_properties,
    groups_of,
    screen_colors,
    sets_of,
)
from pipeline.stages.stage import Plan
from pipeline.stages.tuning import STAGE, stored_measures
from pipeline.stages.tuning.results import (
    RESPONSES,
    ContrastResponses,
    LayerMeasures,
    SetResponses,
    tuned_by,
)
from pipeline.stimuli.field import Field

PLACE = "tuning_measures"  # folder of the store
_CONTRASTS = 2  # version of the responses to contrasts; in 1, blocks had none after their ReLU


class TuningPlan(Plan[Any]):
    """The responses of every layer to every set, and the measures of every layer.

    Attributes:
        faults: what cannot be measured, and why.
    """

    faults: Sequence[str] = ()

    @property
    def shown(self) -> list[SetResponses]:
        """The responses to sets that are the same for all units."""
        of_sets = [each for each in self if isinstance(each, SetResponses)]
        return [each for each in of_sets if not isinstance(each, ContrastResponses)]

    @property
    def contrasts(self) -> list[ContrastResponses]:
        """The responses to the best grating of each unit."""
        return [each for each in self if isinstance(each, ContrastResponses)]

    @property
    def measures(self) -> list[LayerMeasures]:
        """The measures."""
        return [each for each in self if isinstance(each, LayerMeasures)]


def plan_tuning(run: ActiveRun) -> TuningPlan:
    """Return what a run shows and measures, by layer."""
    faults = Faults()
    options = faults.attempt(partial(_options, run))
    found: list[Any] = []
    for layer in run.parts.layers:
        if options is not None and run.parts.units[layer.name]:
            found += faults.attempt(partial(_of_layer, run, layer, options)) or []
    plan = TuningPlan(found)
    plan.faults = faults.found
    return plan


def tuning_faults(_run: ActiveRun, plan: TuningPlan) -> Iterator[str]:
    """Yield what cannot be measured, or drawn."""
    faults = Faults()
    faults.add(plan.faults)
    for each in plan.shown:
        if each.result.missing():
            faults.attempt(partial(getattr, each, "count"))
    yield from faults.found


def _options(run: ActiveRun) -> TuningOptions:
    config = run.parts.config.tuning
    try:
        noise = Noise(config.noise)
    except ConfigError as error:
        raise ConfigError(f"tuning.{error}") from error
    return TuningOptions(
        tuple(chosen_properties(list(config.properties))),
        STAGES,
        tuple(config.rate_maps),
        config.keep_flagged,
        config.draws,
        noise,
        run.parts.config.seed,
    )


def _of_layer(run: ActiveRun, layer: Layer, options: TuningOptions) -> list[Any]:
    field = run.parts.field(layer, screen_colors(run.parts.network))
    units = run.parts.units[layer.name]
    names = sets_of(groups_of(options.properties), field.colors.channels)
    graph = run.parts.graph
    plain = [_responses(run, layer, field, name) for name in names if name != CONTRAST]
    sets: list[SetResponses] = list(plain)
    if CONTRAST in names:
        sets.append(_contrasts(run, layer, plain, options))
    settings = {
        "responses": [each.result.key for each in sets],
        "units": list(units),
        "properties": list(options.properties),
        "rate_maps": list(options.rate_maps),
        "keep_flagged": options.keep_flagged,
        "block": UNITS,
        "version": stored_measures.VERSION,
    }
    if options.draws:
        settings |= {"draws": options.draws, "noise": vars(options.noise), "seed": options.seed}
    items = [f"block-{n:04d}" for n in range(-(-len(units) // UNITS))]
    result = run.result(STAGE, layer.name, f"{layer.name}/measures", settings, items, PLACE)
    return [*sets, LayerMeasures(graph, layer, units, field, sets, options, result)]


def _responses(run: ActiveRun, layer: Layer, field: Field, name: str) -> SetResponses:
    shown = SETS[name]
    units = range(layer.units) if shown.every else run.parts.units[layer.name]
    settings = {**_settings(run, layer, field, units), "stimulus": shown.settings()}
    result = run.result(STAGE, layer.name, f"{layer.name}/{name}", settings, [RESPONSES])
    return SetResponses(layer, name, field, list(units), result)


def _settings(run: ActiveRun, layer: Layer, field: Field, units: Sequence[int]) -> dict[str, Any]:
    """Return what determines the responses to any set; the stage's version is that of the sets."""
    colors, seen = field.colors, field.seen
    return {
        **network_settings(run),
        "layer": layer.identity,
        "units": list(units),
        "input": [seen.height, seen.width],
        "visual_degrees": seen.visual_degrees,
        "center": None if seen.center is None else list(seen.center),
        "colors": [list(color) for color in (colors.black, colors.white, colors.gray)],
    }


def _contrasts(
    run: ActiveRun, layer: Layer, plain: Sequence[SetResponses], options: TuningOptions
) -> ContrastResponses:
    graph, units = run.parts.graph, run.parts.units[layer.name]
    needed = [each for each in plain if SETS[each.name].every]  # blank and orientations
    field = needed[0].field
    settings = {
        **_settings(run, layer, field, units),
        "stimulus": CONTRAST_SETTINGS,
        "best_of": [each.result.key for each in needed],
        "stages": list(options.at),
        "keep_flagged": options.keep_flagged,
        "version": _CONTRASTS,
    }
    result = run.result(STAGE, layer.name, f"{layer.name}/{CONTRAST}", settings, [RESPONSES])

    def tuned() -> LayerTuning:
        return tuned_by(graph, layer, units, needed, options)

    return ContrastResponses(layer, CONTRAST, field, list(units), result, tuned)
