"""The tables of compared units and facets, and the summary of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from pipeline.analysis.paired_tests import with_q
from pipeline.run.active_run import ActiveRun
from pipeline.stages.stage import Table
from pipeline.stages.unit_similarity import AGREEMENT, CLUSTERS, FACET_IMAGES, FACETS, PAIRS
from pipeline.stages.unit_similarity.plan import UnitPlan
from pipeline.stages.unit_similarity.results import ComparedUnits, UnitFacets


def unit_pairs(run: ActiveRun, plan: UnitPlan) -> pd.DataFrame:
    """Return one row per layer, init and pair of units."""
    return _compared(run, plan.compared, "pairs", PAIRS)


def unit_agreement(run: ActiveRun, plan: UnitPlan) -> pd.DataFrame:
    """Return one row per layer, init and two measures of similarity."""
    return _compared(run, plan.compared, "agreement", AGREEMENT)


def unit_clusters(run: ActiveRun, plan: UnitPlan) -> pd.DataFrame:
    """Return one row per layer, init and unit."""
    return _compared(run, plan.compared, "clusters", CLUSTERS)


def unit_facets(run: ActiveRun, plan: UnitPlan) -> pd.DataFrame:
    """Return one row per layer, kind and init of images, and unit."""
    table = _of_facets(run, plan.facets, "facets", FACETS)
    return with_q(table, ("layer", "kind", "init")) if len(table) else table


def unit_facet_images(run: ActiveRun, plan: UnitPlan) -> pd.DataFrame:
    """Return one row per image of a unit whose facets were sought."""
    return _of_facets(run, plan.facets, "images", FACET_IMAGES)


def _compared(
    run: ActiveRun, compared: Sequence[ComparedUnits], name: str, table: Table
) -> pd.DataFrame:
    model = run.parts.network.name
    return _joined(
        [e.tables[name].assign(model=model, layer=e.layer.name, init=e.init) for e in compared],
        table,
    )


def _of_facets(
    run: ActiveRun, facets: Sequence[UnitFacets], name: str, table: Table
) -> pd.DataFrame:
    found = [
        each.tables[name].assign(
            model=run.parts.network.name,
            layer=each.layer.name,
            kind=each.images.kind,
            init=each.images.init,
        )
        for each in facets
    ]
    return _joined(found, table)


def _joined(found: list[pd.DataFrame], table: Table) -> pd.DataFrame:
    whole = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    return pd.DataFrame(whole, columns=list(table.columns))


def summary(run: ActiveRun, plan: UnitPlan) -> list[str]:
    """Return a line per layer and init on agreement, and one per kind of images on facets."""
    lines: list[str] = []
    agreed: Any = unit_agreement(run, plan)
    for (layer, init), rows in agreed.groupby(["layer", "init"], sort=False):
        said = [
            f"{row['first']} and {row['second']} r = {row['r']:.2f} (p = {row['p']:.2g})"
            for row in rows.to_dict("records")
            if row["r"] == row["r"]
        ]
        if said:
            lines.append(f"unit_similarity: {layer} from {init}: {', '.join(said)}")
    facets: Any = unit_facets(run, plan)
    for (kind, init), rows in facets.groupby(["kind", "init"], sort=False):
        images = f"ascents from {init}" if kind == "ascent" else "top patches"
        tested = rows.dropna(subset=["p"])
        lines.append(
            f"unit_similarity: {images} fall into groups (p < 0.05) for"
            f" {(tested['p'] < 0.05).sum()} of {len(tested)} units,"
            f" at most {0.05 * len(tested):.1f} expected by chance;"
            f" {(tested['q'] < 0.05).sum()} with q < 0.05"
        )
    return lines
