"""Tuning to bars: one result for each layer and set of bars, its tables, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.faults import Faults
from pipeline.run.identity import canvas_settings
from pipeline.search.bar_tuning import tune_to_bars
from pipeline.search.presentation import Presentation
from pipeline.search.stimulus_responses import all_responses, check_finite, check_memory
from pipeline.stages.bar_tuning import PIXELS, PREFERENCES, STAGE, TUNING
from pipeline.stages.shown_sets import Shown, drawn_by, shown_set
from pipeline.stages.stage import Plan
from pipeline.stages.stimuli.results import degrees_of_a_pixel
from pipeline.stages.stored_tables import Tables, read_rows
from pipeline.stimuli.parameters import in_degrees
from pipeline.stimuli.stimulus_set import StimulusSet
from pipeline.store.identity import chosen, described
from pipeline.store.results import Result

BARS = ("bars_on_stride", "bars_4a", "bars_4b")  # sets in two polarities
UNITS = 2048  # of a work item, whose responses are held together


@dataclass(frozen=True)
class LayerBars:
    """The tuning of some units of a layer to a set of bars.

    Attributes:
        layer: the layer.
        shown: the set of bars.
        blocks: the units of each work item.
        tune: shows bars to some units, and returns the curves and what units prefer.
        result: the stored tables, an item for each block of units.
    """

    layer: Layer
    shown: Shown
    blocks: dict[str, list[int]]
    tune: Callable[[list[int]], Tables]
    result: Result

    @property
    def method(self) -> str:
        """The name of the set in this run."""
        return self.shown.name

    @property
    def units(self) -> list[int]:
        """The units, in order."""
        return [unit for block in self.blocks.values() for unit in block]

    def size(self, item: str) -> int:
        """Return the number of units of an item."""
        return len(self.blocks[item])

    def make(self, item: str) -> Tables:
        """Show bars to the units of an item."""
        return self.tune(self.blocks[item])

    def read(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Read the curves and what units prefer, as ``pipeline.bar_tuning`` describes them."""
        tables = read_rows(self.result)
        preferred = tables["preferred"]
        number = preferred["stimulus"].astype("Int64")
        return tables["curves"], preferred.assign(stimulus=number.mask(number < 0))


def plan_bars(run: ActiveRun) -> Plan[LayerBars]:
    """Return the tuning of the layers of a run to each of its sets of bars."""
    layers = [layer for layer in run.parts.layers if run.parts.units[layer.name]]
    return Plan(_layer(run, layer, name) for layer in layers for name in _sets(run))


def _sets(run: ActiveRun) -> list[str]:
    """Return the names of the chosen sets that are bars in two polarities."""
    options = chosen(run.parts.config.stimulus)
    return [name for name, option in options.items() if drawn_by(option) in BARS]


def _layer(run: ActiveRun, layer: Layer, name: str) -> LayerBars:
    units, shown = run.parts.units[layer.name], shown_set(run, layer, name)
    starts = range(0, len(units), UNITS)
    blocks = {f"block-{n:04d}": list(units[at : at + UNITS]) for n, at in enumerate(starts)}
    settings = {
        **canvas_settings(run, layer),
        "units": list(units),
        "block": len(blocks["block-0000"]),
        # Raise the version of the stage when bars or contrasts are drawn otherwise.
        "stimulus": described(run.parts.config.stimulus[name]),
        **shown.settings,
    }
    result = run.result(STAGE, layer.name, f"{layer.name}/{name}", settings, list(blocks))
    return LayerBars(layer, shown, blocks, partial(_tune, run, layer, shown), result)


def _tune(run: ActiveRun, layer: Layer, shown: Shown, units: list[int]) -> Tables:
    """Show bars to some units, and return the curves and what the units prefer.

    The stimulus is -1 where a unit responds to all bars alike.
    """
    graph, runner = run.parts.graph, run.parts.runner

    def show(stimuli: StimulusSet) -> np.ndarray:
        presentation = Presentation(graph, layer, stimuli, runner.device)
        found = all_responses(presentation, units, runner.check)
        check_finite(found, units, layer.name)
        return found

    curves, preferred = tune_to_bars(shown.build(), shown.field, units, show)
    number = preferred["stimulus"].fillna(-1).astype("int64")
    return {"curves": curves, "preferred": preferred.assign(stimulus=number)}


def bar_faults(run: ActiveRun, plan: Plan[LayerBars]) -> Iterator[str]:
    """Yield what cannot be shown."""
    if not _sets(run):
        yield _no_bars(list(chosen(run.parts.config.stimulus)), run.parts.config.stages)
    faults = Faults()
    for each in plan:
        if each.result.missing():
            faults.attempt(partial(_check_set, each))
    yield from faults.found


def _no_bars(sets: Sequence[str], stages: Sequence[str]) -> str:
    """Return that there are no bars, and what to do."""
    given = f"[{','.join(sets)}] has none" if sets else "the list is empty"
    others = [stage for stage in stages if stage != STAGE.name]
    less = f", or leave the stage out, as in stages=[{','.join(others)}]" if others else ""
    return (
        f"stimulus: the stage {STAGE.name} needs bars in two polarities, and {given}; add one of"
        f" {', '.join(BARS)}, as in stimulus=[{','.join([*sets, BARS[0]])}]{less}"
    )


def _check_set(each: LayerBars) -> None:
    """Raise an error if a set cannot be drawn, or has too many bars."""
    check_memory(each.method, len(each.blocks["block-0000"]), each.shown.count)


def bar_tuning(run: ActiveRun, plan: Plan[LayerBars]) -> pd.DataFrame:
    """Return one row per layer, set, unit, parameter and value."""
    return _table(run, plan, 0, list(TUNING.columns))


def bar_preferences(run: ActiveRun, plan: Plan[LayerBars]) -> pd.DataFrame:
    """Return one row per layer, set and unit."""
    columns = list(PREFERENCES.columns)
    plain = [name for name in columns if not name.endswith("_degrees")]
    table = in_degrees(_table(run, plan, 1, plain), 1 / degrees_of_a_pixel(run), PIXELS)
    return pd.DataFrame(table, columns=columns)


def _table(run: ActiveRun, plan: Plan[LayerBars], which: int, columns: list[str]) -> pd.DataFrame:
    """Return the curves, or what units prefer, of all layers."""
    tables = [each.read()[which].assign(layer=each.layer.name, method=each.method) for each in plan]
    if not tables:
        return pd.DataFrame(columns=columns)
    whole = pd.concat(tables, ignore_index=True).assign(model=run.parts.network.name)
    return pd.DataFrame(whole, columns=columns)


def summary(run: ActiveRun, plan: Plan[LayerBars]) -> list[str]:
    """Return a line for each layer and set."""
    degrees = degrees_of_a_pixel(run)
    return [_line(each, each.read()[1], degrees) for each in plan]


def _line(each: LayerBars, table: pd.DataFrame, degrees: float) -> str:
    some = table[table["stimulus"].notna()]
    line = (
        f"bar_tuning: {each.layer.name} by {each.method}: {len(some)} of {len(table)} units respond"
    )
    if some.empty:
        return line
    sizes = [
        f"{name} {pixels:.1f} px ({pixels * degrees:.2f} degrees)"
        for name, pixels in ((name, float(np.median(some[name]))) for name in ("length", "width"))
    ]
    light = (some["polarity"] > 0).mean()
    return f"{line}, median preferred {' and '.join(sizes)}, {light:.0%} prefer white bars"
