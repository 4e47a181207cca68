"""Drawing: populations over the macaque's, properties by layer, and a unit of each layer."""

from __future__ import annotations

import pandas as pd

from pipeline.analysis.tuning.distributions import macaque_distributions
from pipeline.analysis.tuning.properties import PROPERTIES
from pipeline.figures.tuning_by_layer import SHOWN, properties_by_layer
from pipeline.figures.tuning_curves import MOST, unit_tuning
from pipeline.figures.tuning_populations import population_histograms
from pipeline.run.active_run import ActiveRun
from pipeline.search.tuning.tables import population_table
from pipeline.stages.tuning.plan import TuningPlan
from pipeline.stages.tuning.shown import about_rates, shown_rows
from pipeline.stages.tuning.tables import tuning, tuning_curves


def draw(run: ActiveRun, plan: TuningPlan) -> None:
    """Draw the figures of a run: after the nonlinearity if one follows, by the first rate map."""
    table = shown_rows(tuning(run, plan))
    if table.empty:
        return
    title = f"{run.parts.network.name}: {about_rates(table)}"
    _draw_populations(run, table, title)
    if set(table["property"]) & set(SHOWN):
        run.figure("tuning_by_layer", properties_by_layer(table, title=title))
    curves = shown_rows(tuning_curves(run, plan))
    if units := _most_active(curves):
        own, properties = (_of(rows, units) for rows in (curves, table))
        said = f"{title}, the most active unit of each layer"
        run.figure("tuning_units", unit_tuning(own, properties, said))


def _draw_populations(run: ActiveRun, table: pd.DataFrame, title: str) -> None:
    """Draw properties with a macaque distribution, and the others that animals were studied by."""
    there = list(dict.fromkeys(table["property"]))
    macaque = [name for name in there if name in macaque_distributions()]
    if macaque:
        found = population_table(table, seed=run.parts.config.seed)
        figure = population_histograms(table, found, properties=macaque, title=title)
        run.figure("tuning_populations", figure)
    others = [name for name in there if PROPERTIES[name].bins and name not in macaque]
    if others:
        figure = population_histograms(table, properties=others, title=title)
        run.figure("tuning_populations_without_macaque", figure)


def _most_active(curves: pd.DataFrame) -> list[tuple[str, int]]:
    """Return the unit of the highest rate of each layer, of some layers from first to last.

    Of rates to gratings, if there are any: units for color alone would have no other curves.
    """
    known = curves.dropna(subset=["rate"])
    gratings = known.loc[known["curve"] != "hue"]
    known = known if gratings.empty else gratings
    layers = list(dict.fromkeys(known["layer"]))
    count = min(len(layers), MOST)
    chosen = [layers[round(n * (len(layers) - 1) / max(count - 1, 1))] for n in range(count)]
    found: list[tuple[str, int]] = []
    for layer in chosen:
        own = known.loc[known["layer"] == layer]
        found.append((layer, int(own["unit"].to_numpy()[own["rate"].to_numpy().argmax()])))
    return found


def _of(rows: pd.DataFrame, units: list[tuple[str, int]]) -> pd.DataFrame:
    """Return the rows of some units."""
    pairs = pd.MultiIndex.from_arrays([rows["layer"], rows["unit"]])
    return rows.loc[pairs.isin(units)]
