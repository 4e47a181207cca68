"""The table of tests: between inits, between pairs of inits, between runs, and mixed models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.analysis.mixed_effects import mixed_effects
from pipeline.analysis.paired_tests import paired_tests, with_q
from pipeline.errors import ConfigError
from pipeline.run.active_run import ActiveRun
from pipeline.stages.ascent import STAGE as ASCENT
from pipeline.stages.ascent.results import ascents
from pipeline.stages.similarity import TESTS
from pipeline.stages.similarity.compared_runs import ComparedRuns
from pipeline.stages.similarity.tables import similarity


def similarity_tests(run: ActiveRun, plan: Any) -> pd.DataFrame:
    """Return paired tests between inits, pairs of inits and runs, and mixed models by layer."""
    climbed, compared = _final_responses(run), _values(similarity(run, plan))
    frames: list[pd.DataFrame] = []
    if len(run.parts.inits) > 1:
        tests = paired_tests(climbed, "final_response", "init")
        frames.append(tests.assign(test="inits", measure="final_response"))
    between = compared[compared["init_a"] != compared["init_b"]]
    for statistic, rows in between.groupby("statistic", sort=False):
        if rows["pair"].nunique() > 1:
            tests = paired_tests(rows, "value", "pair")
            frames.append(tests.assign(test="pairs", measure=statistic))
        both = ", ".join(dict.fromkeys(rows["pair"]))
        frames.append(_mixed(rows).assign(test="mixed", measure=statistic, a=both, b=""))
    frames = [tests.assign(inits="") for tests in frames]
    if plan.compared.others:
        frames += _between_runs(plan.compared, climbed, compared)
    if not frames:
        return pd.DataFrame(columns=list(TESTS.columns))
    whole = pd.concat(frames, ignore_index=True).assign(model=run.parts.network.name)
    return with_q(whole.reindex(columns=list(TESTS.columns)), ("test", "measure"))


def _final_responses(run: ActiveRun) -> pd.DataFrame:
    """Return the ascents of the run; one that failed has no final response."""
    return _defined(ascents(run, run.plan(ASCENT)))


def _defined(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(final_response=table["final_response"].where(table["status"] == "ok"))


def _values(table: pd.DataFrame) -> pd.DataFrame:
    """Return each value once, not beside every null, with the name of its pair of inits."""
    if not len(table):
        return table.assign(pair="")
    once = table[table["null_kind"] == table["null_kind"].iloc[0]]
    return once.assign(pair=once["init_a"] + " and " + once["init_b"])


def _mixed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the means of layers by a mixed model, or why there are none."""
    try:
        found = mixed_effects(rows)
    except ConfigError as error:  # statsmodels is missing, and all else can be tested
        layers = list(dict.fromkeys(rows["layer"]))
        return pd.DataFrame({"layer": layers, "p": np.nan, "note": str(error)})
    return found.rename(columns={"estimate": "difference", "unit_share": "effect"})


def _between_runs(
    compared: ComparedRuns, climbed: pd.DataFrame, values: pd.DataFrame
) -> list[pd.DataFrame]:
    """Return tests between all pairs of runs, of all that this run has."""
    responses, similarities = [climbed.assign(run=compared.own)], [values.assign(run=compared.own)]
    for name, (theirs, similar) in compared.tables.items():
        responses.append(_defined(theirs).assign(run=name))
        similarities.append(_values(similar).assign(run=name))
    frames = [_tested(responses, "final_response", "init").assign(measure="final_response")]
    whole = pd.concat(similarities, ignore_index=True)
    for statistic in dict.fromkeys(values["statistic"]):
        own = [
            rows for _, rows in whole[whole["statistic"] == statistic].groupby("run", sort=False)
        ]
        frames.append(_tested(own, "value", "pair").assign(measure=statistic))
    return [tests.assign(test="runs") for tests in frames]


def _tested(tables: Sequence[pd.DataFrame], value: str, inits: str) -> pd.DataFrame:
    """Return tests between runs, within the layers and inits of the first, which is this run."""
    own = list(dict.fromkeys(zip(tables[0]["layer"], tables[0][inits], strict=True)))
    joined = pd.concat(tables, ignore_index=True)
    known = [pair in own for pair in zip(joined["layer"], joined[inits], strict=True)]
    tests = paired_tests(joined[known], value, "run", by=("layer", inits))
    return tests.rename(columns={inits: "inits"})
