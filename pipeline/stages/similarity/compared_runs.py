"""Finished runs with which a run is compared unit by unit, such as those of other optimizers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import ConfigError
from pipeline.run.active_run import ActiveRun
from pipeline.stages.ascent import ASCENTS
from pipeline.stages.ascent import STAGE as ASCENT
from pipeline.stages.collect.results import (
    Finished,
    Wanted,
    find_finished_runs,
    newest_by_identity,
)
from pipeline.stages.similarity import SIMILARITY, STAGE
from pipeline.store.jobs import identity, job_names, job_settings
from pipeline.store.records import read_config
from pipeline.store.runs import Run
from pipeline.store.tables import read_table

KEY = "similarity.runs"
CHOICES = ("layers", "units")  # settings that choose among numbers, and change none
SAME = {"shift": "shift_tolerant", "window": "ssim"}  # settings that change a statistic


@dataclass(frozen=True)
class ComparedRuns:
    """The other runs, by the settings in which they differ.

    Attributes:
        own: what the run itself is called beside them.
        others: the runs.
        left_out: folders of the runs that cannot be compared, with the reasons.
    """

    own: str = ""
    others: Mapping[str, Run] = field(default_factory=dict[str, Run])
    left_out: Mapping[Path, str] = field(default_factory=dict[Path, str])

    @cached_property
    def tables(self) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
        """The tables of ascents and of similarity of each."""
        return {
            name: (
                read_table(run.paths.tables, ASCENTS.name),
                read_table(run.paths.tables, SIMILARITY.name),
            )
            for name, run in self.others.items()
        }


def find_compared_runs(run: ActiveRun, statistics: Sequence[str]) -> ComparedRuns:
    """Return the runs that the configuration names.

    Raises:
        ConfigError: they hold no other run, or one that cannot be compared with this.
        StoreError: a folder contains no run, or no run has finished with what is compared.
    """
    places = run.parts.config.similarity.runs
    if not places:
        return ComparedRuns()
    compared = Wanted(STAGE, (SIMILARITY,), (), KEY)
    newest, left_out = newest_by_identity(_reduced(find_finished_runs(places, compared)))
    own = _settings(job_settings(asdict(run.parts.config)))
    others = [each for each in newest if identity(each[1]) != identity(own)]
    if not others:
        raise ConfigError(
            f"{KEY}: {', '.join(places)} holds no finished run with other settings than this one;"
            " give runs with another optimizer, for example"
        )
    own_name, *names = job_names([own, *(settings for _, settings in others)])
    found = {name: each for name, (each, _) in zip(names, others, strict=True)}
    compared_runs = ComparedRuns(own_name, found, left_out)
    for name, each in found.items():
        # Which also checks that the table of ascents is of this version, and unchanged.
        find_finished_runs([each.paths.folder], Wanted(ASCENT, (ASCENTS,), (), KEY))
        for fault in _faults(run, each, statistics, compared_runs.tables[name][1]):
            raise ConfigError(f"{KEY}: '{each.paths.folder}' {fault}")
    return compared_runs


def _reduced(found: Finished) -> Finished:
    return Finished([(run, _settings(own)) for run, own in found.runs], found.left_out)


def _settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in CHOICES}


def _faults(
    run: ActiveRun, other: Run, statistics: Sequence[str], similarity: pd.DataFrame
) -> Iterator[str]:
    """Yield why a run cannot be compared unit by unit."""
    parts = run.parts
    if other.record.get("model", {}).get("digest") != parts.network.digest:
        yield (
            "is of another network or of other weights, whose units are no partners of these; give"
            " runs of one network, or see similarity.twins"
        )
    layers = [layer.name for layer in parts.layers if parts.climbed_units(layer)]
    both = (("layer", "layer", layers), ("statistic", "statistic", statistics))
    for column, word, wanted in both:
        known = [str(name) for name in dict.fromkeys(similarity[column])]
        if lacking := [name for name in wanted if name not in known]:
            yield f"lacks the {word} {lacking[0]}; it has {', '.join(known)}"
    own, theirs = asdict(parts.config.similarity), read_config(other.paths).get("similarity", {})
    for name, statistic in SAME.items():
        if statistic in statistics and theirs.get(name) != own[name]:
            yield (
                f"has similarity.{name}={theirs.get(name)}, and this run {own[name]}, so that their"
                f" {statistic} differs; use the same"
            )
