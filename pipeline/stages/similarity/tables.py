"""The tables of similarity, read from stored results, and the summary of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.analysis.paired_tests import with_q
from pipeline.analysis.similarity.populations import Population, selectivity
from pipeline.analysis.similarity.tables import similarity_summary as summarized
from pipeline.analysis.similarity.tables import similarity_table
from pipeline.analysis.statistics import unit_means
from pipeline.run.active_run import ActiveRun
from pipeline.stages.correlations.results import random_numbers
from pipeline.stages.similarity import SELECTIVITY, SIMILARITY, SUMMARY
from pipeline.stages.similarity.plan import SimilarityPlan
from pipeline.stages.similarity.results import ComparedPair, FoundPair
from pipeline.stages.stage import Table

PAIR = ["init_a", "init_b"]


def similarity(run: ActiveRun, plan: Sequence[Any]) -> pd.DataFrame:
    """Return one row per layer, pair of inits, statistic, null, unit and copy."""
    frames = [pd.DataFrame(columns=list(SIMILARITY.columns))]
    for pair in _pairs(plan):
        found = pair.read()
        rows = similarity_table(found.similarities, found.units, found.copies, found.status)
        frames.append(_in_order(rows.assign(**_identity(run, pair)), SIMILARITY))
    return pd.concat(frames[1:] or frames, ignore_index=True)


def similarity_summary(run: ActiveRun, plan: Sequence[Any]) -> pd.DataFrame:
    """Return one row per layer, pair of inits, statistic and null."""
    frames = [pd.DataFrame(columns=list(SUMMARY.columns))]
    pairs = _pairs(plan)
    read = {(pair.layer.name, *pair.inits): pair.read() for pair in pairs}
    for pair in pairs:
        found = read[(pair.layer.name, *pair.inits)]
        low = found.ceilings.min(axis=0)
        ceilings = dict(zip(pair.statistics, low.tolist(), strict=True))
        rng = random_numbers(run, pair, "bootstrap")
        rows = summarized(found.similarities, found.units, rng, ceilings)
        seeds = _seed_ceilings(pair, read)
        rows["seed_ceiling"] = [seeds[str(name)] for name in rows["statistic"]]
        frames.append(rows.assign(**_identity(run, pair)))
    whole = pd.concat(frames[1:] or frames, ignore_index=True)
    if len(whole):
        whole = with_q(whole, ("statistic", "null_kind"))
    return _in_order(whole, SUMMARY)


def _seed_ceilings(
    pair: ComparedPair, read: Mapping[tuple[str, str, str], FoundPair]
) -> dict[str, float]:
    """Return the smaller median between copies of both inits, by statistic; NaN without copies."""
    medians: list[list[float]] = []
    for init in pair.inits:
        own = read.get((pair.layer.name, init, init))
        if own is None:
            return dict.fromkeys(pair.statistics, np.nan)
        values = [unit_means(own.units, row) for row in own.similarities.values]
        medians.append([float(np.median(v[np.isfinite(v)])) if np.isfinite(v).any() else np.nan
                        for v in values])  # fmt: skip
    return dict(zip(pair.statistics, np.min(medians, axis=0).tolist(), strict=True))


def similarity_selectivity(run: ActiveRun, plan: SimilarityPlan) -> pd.DataFrame:
    """Return how selectively what was added from each init drives its own unit."""
    frames = [pd.DataFrame(columns=list(SELECTIVITY.columns))]
    for shown in plan.shown:
        arrays = shown.read()
        rows = selectivity(
            arrays["responses"],
            arrays["units"],
            Population(arrays["responses"], arrays["units"]),
        )
        names = {"model": run.parts.network.name, "layer": shown.layer.name, "init": shown.init}
        rows = rows.assign(copy=arrays["copies"], **names)
        frames.append(_in_order(rows, SELECTIVITY))
    return pd.concat(frames[1:] or frames, ignore_index=True)


def _in_order(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return the columns of a table, in its order; those that are lacking are empty."""
    return pd.DataFrame(rows, columns=list(table.columns))


def _pairs(plan: Sequence[Any]) -> list[ComparedPair]:
    """Return the pairs among planned items."""
    return [each for each in plan if isinstance(each, ComparedPair)]


def _identity(run: ActiveRun, pair: ComparedPair) -> dict[str, str]:
    return {
        "model": run.parts.network.name,
        "layer": pair.layer.name,
        "init_a": pair.inits[0],
        "init_b": pair.inits[1],
    }
