"""The tables of tuning, read from stored measures, and the summary of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.run.active_run import ActiveRun
from pipeline.search.tuning.measurement import Measures
from pipeline.search.tuning.tables import curves_table, joined, population_table, tuning_table
from pipeline.stages.stage import Table
from pipeline.stages.tuning import CURVES, POPULATIONS, TUNING
from pipeline.stages.tuning.plan import TuningPlan
from pipeline.stages.tuning.results import LayerMeasures


def tuning(run: ActiveRun, plan: TuningPlan) -> pd.DataFrame:
    """Return one row per layer, unit, stage, rate map and property."""

    def rows(each: LayerMeasures, found: list[Measures], units: list[int]) -> pd.DataFrame:
        return tuning_table(found, each.layer.name, units, each.field.seen.pixels_per_degree)

    return _named(run, TUNING, [_of_layer(each, rows) for each in plan.measures])


def tuning_curves(run: ActiveRun, plan: TuningPlan) -> pd.DataFrame:
    """Return one row per layer, unit, stage, rate map, curve and point."""

    def rows(each: LayerMeasures, found: list[Measures], units: list[int]) -> pd.DataFrame:
        return curves_table(found, each.layer.name, units)

    return _named(run, CURVES, [_of_layer(each, rows) for each in plan.measures])


def tuning_populations(run: ActiveRun, plan: TuningPlan) -> pd.DataFrame:
    """Return one row per layer, stage, rate map and property: units beside cells."""
    table = tuning(run, plan)
    found = [population_table(table, seed=run.parts.config.seed)] if len(table) else []
    return _named(run, POPULATIONS, found)


def _of_layer(
    each: LayerMeasures,
    rows: Callable[[LayerMeasures, list[Measures], list[int]], pd.DataFrame],
) -> pd.DataFrame:
    return joined([rows(each, found, units) for units, found in each.read()])


def _named(run: ActiveRun, table: Table, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    whole = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return pd.DataFrame(whole.assign(model=run.parts.network.name), columns=list(table.columns))


def summary(run: ActiveRun, plan: TuningPlan) -> list[str]:
    """Return a line for each layer: of what the layer itself gives, by the first rate map."""
    table: Any = tuning(run, plan)
    first = table[(table["at"] == "pre")]
    lines: list[str] = []
    for layer, rows in first.groupby("layer", sort=False):
        own = rows[rows["rate_map"] == rows["rate_map"].iloc[0]]
        lines.append(_line(str(layer), own))
    return lines


def _line(layer: str, rows: Any) -> str:
    by_property = {str(name): own for name, own in rows.groupby("property")}
    units = rows["unit"].nunique()
    said = [f"tuning: {layer}: {units} units"]
    for name, words in _SAID.items():
        values = by_property[name]["value"].dropna() if name in by_property else ()
        if len(values):
            share = name == "simple"
            number = float(np.mean(values)) if share else float(np.median(values))
            said.append(words.format(number, len(values)))
    return ", ".join(said) if len(said) > 1 else f"{said[0]} measured"


_SAID = {
    "circular_variance": "median circular variance {0:.2f}",
    "peak_frequency": "median peak {0:.2f} c/deg",
    "suppression_index": "median suppression index {0:.2f}",
    "simple": "{0:.0%} of {1} simple",
}
