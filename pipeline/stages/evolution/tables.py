"""The tables of evolution, read from stored searches, and the summary of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pipeline.run.active_run import ActiveRun
from pipeline.stages.evolution import EVOLUTION, HISTORY, REFERENCES
from pipeline.stages.evolution.comparison import Comparison, compare
from pipeline.stages.evolution.plan import EvolutionPlan
from pipeline.stages.evolution.results import Searches
from pipeline.stages.stage import Table
from pipeline.synthesis.evolution.finished import (
    Finished,
    history_table,
    reference_table,
    search_table,
)


def evolution(run: ActiveRun, plan: EvolutionPlan) -> pd.DataFrame:
    """Return one row per search."""
    config = run.parts.config.evolution
    table = partial(search_table, contrast=config.contrast, budget=config.queries)
    compared = comparisons(run, plan)
    return _joined(run, EVOLUTION, plan, table, lambda each, t: _compared(each, t, compared))


def evolution_history(run: ActiveRun, plan: EvolutionPlan) -> pd.DataFrame:
    """Return one row per search and generation."""
    return _joined(run, HISTORY, plan, history_table)


def evolution_references(run: ActiveRun, plan: EvolutionPlan) -> pd.DataFrame:
    """Return one row per search, showing and reference image."""

    def named(each: Searches, table: pd.DataFrame) -> pd.DataFrame:
        names = [] if each.references is None else each.references.names
        return table.assign(reference=[names[number] for number in table["reference"]])

    return _joined(run, REFERENCES, plan, reference_table, named)


def comparisons(run: ActiveRun, plan: EvolutionPlan) -> dict[str, Comparison]:
    """Return what the images of each layer are compared with, by its name; computed once."""
    layers = {each.layer.name: each.layer for each in plan}
    if not plan.comparisons:
        plan.comparisons.update({name: compare(run, layer) for name, layer in layers.items()})
    return plan.comparisons


def known(table: pd.DataFrame, *columns: str) -> str:
    """Return the first of some columns that has values; the last if none has."""
    return next((name for name in columns if bool(table[name].notna().any())), columns[-1])


def _compared(each: Searches, table: pd.DataFrame, compared: dict[str, Comparison]) -> pd.DataFrame:
    found = compared[each.layer.name]
    rows = [list(found.units).index(unit) for unit in table["unit"]]
    known = not each.measured
    for name, over, responses in (
        ("top_patch", "over_patch", found.top_responses),
        ("ascent", "over_ascent", found.ascent_responses),
    ):
        table[name] = responses[rows] if known else np.nan
        table[over] = table["noise_free"] / table[name].where(table[name] > 0)
    return table.assign(reason=reasons(table))


def reasons(table: pd.DataFrame) -> list[str]:
    """Return the reasons of a table, with those of missing multiples of known responses."""
    parts = [table["reason"].tolist()]
    for name, said in (("top_patch", "top patch"), ("ascent", "ascent image")):
        why = f"the response to the {said} is not above 0, so there is no multiple of it"
        parts.append([why if value <= 0 else "" for value in table[name]])
    return ["; ".join(filter(None, row)) for row in zip(*parts, strict=True)]


def _joined(
    run: ActiveRun,
    table: Table,
    plan: Sequence[Searches],
    read: Callable[[Finished], pd.DataFrame],
    finish: Callable[[Searches, pd.DataFrame], pd.DataFrame] = lambda _, found: found,
) -> pd.DataFrame:
    """Return the rows of all searches, with the names of layer, scorer and method."""
    parts: list[pd.DataFrame] = []
    for each in plan:
        rows = pd.concat([read(one) for one in each.finished], ignore_index=True)
        scorer, searcher, generator = each.names
        parts.append(
            finish(each, rows).assign(
                model=run.parts.network.name,
                layer=each.layer.name,
                scorer=scorer,
                searcher=searcher,
                generator=generator,
            )
        )
    whole = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return pd.DataFrame(whole, columns=list(table.columns))


def summary(run: ActiveRun, plan: EvolutionPlan) -> list[str]:
    """Return a line for each layer and scorer: the methods, best first."""
    table: Any = evolution(run, plan)
    several = table["scorer"].nunique() > 1
    lines: list[str] = []
    for (layer, scorer), rows in table.groupby(["layer", "scorer"], sort=False):
        where = f"evolution: {layer}, {scorer}" if several else f"evolution: {layer}"
        lines.append(f"{where}: {ranking(rows)}")
    return lines


SAID = {
    "over_patch": "median multiple of the response to the top patch",
    "noise_free": "median response",
    "response": "median score",
}


def ranking(rows: Any) -> str:
    """Return the methods of a layer by their medians, best first, and the number of units."""
    over = known(rows, *SAID)
    medians = rows.groupby(["searcher", "generator"], sort=False)[over].median()
    ranked_units = rows.loc[rows[over].notna(), "unit"].nunique()
    ranked = medians.dropna().sort_values(ascending=False, kind="stable")
    if ranked.empty:
        return "no response was measured"
    named = [f"{' + '.join(filter(None, names))} {value:.3g}" for names, value in ranked.items()]
    units = rows["unit"].nunique()
    counted = f"{ranked_units} of {units}" if ranked_units < units else f"{units}"
    return f"{', '.join(named)} ({SAID[over]}, {counted} unit{'s' if units > 1 else ''})"
