"""Fractions of opponent units by condition, from the tables of finished runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from pipeline.analysis.opponency_fractions import fractions_by_condition
from pipeline.run.active_run import ActiveRun
from pipeline.stages.collect.results import (
    Finished,
    Wanted,
    collected_places,
    find_finished_runs,
    newest_by_identity,
)
from pipeline.stages.opponency import FRACTIONS
from pipeline.stages.opponency import STAGE as OPPONENCY
from pipeline.stages.opponency_controls import CONTROLS
from pipeline.store.jobs import job_names
from pipeline.store.tables import read_table

WANTED = Wanted(OPPONENCY, (FRACTIONS,), (CONTROLS,))
SEEDS = ("seed", "model.seed")
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Conditions:
    """The runs that had finished before this one began; the stage stores no result."""

    finished: Finished
    results: tuple[()] = ()
    consulted: tuple[()] = ()

    @cached_property
    def table(self) -> pd.DataFrame:
        """The fractions of all conditions."""
        newest = newest_by_identity(self.finished)[0]
        settings = [_without_seeds(one) for _, one in newest]
        names = [name or "as it is" for name in job_names(settings)]
        by_condition: dict[str, dict[int, pd.DataFrame]] = {}
        for name, (run, own) in zip(names, newest, strict=True):
            networks = by_condition.setdefault(name, {})
            if not networks or _has_seed(own):
                networks[len(networks)] = read_table(run.paths.tables, FRACTIONS.name)
        whole = fractions_by_condition(by_condition, ("model",))
        return pd.DataFrame(whole, columns=list(CONTROLS.columns))


def _without_seeds(settings: Settings) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in SEEDS}


def _has_seed(settings: Settings) -> bool:
    """Return whether weights depend on a seed; other networks are the same for any."""
    return settings.get("model.weights") == "random" or bool(settings.get("model.shuffled"))


def plan_controls(run: ActiveRun) -> Conditions:
    """Return the runs whose fractions are gathered: by default, those of the same name.

    Raises:
        StoreError: a folder contains no run, or no run has finished with opponency.
    """
    places: Sequence[str] = collected_places(run.parts.config, run.layout)
    return Conditions(find_finished_runs(places, WANTED))


def opponency_controls(_run: ActiveRun, conditions: Conditions) -> pd.DataFrame:
    """Return the fraction of units of each class, by condition."""
    return conditions.table
