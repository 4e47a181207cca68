"""What the stages of one run share: parts, paths, tracking, and the record of the run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from pipeline.config.build import Parts
from pipeline.store.layout import Layout, RunPaths
from pipeline.store.provenance import provenance
from pipeline.store.results import Result, find_result
from pipeline.store.tables import write_table
from pipeline.tracking import Tracker

log = logging.getLogger(__name__)


@dataclass
class Session:
    """One run at work.

    Attributes:
        parts: everything built from the configuration.
        layout: the paths below ``out``.
        paths: the files of this run.
        tracker: told of tables, figures and progress.
        results: where the results of the run lie, by stage and name, for its record.
        asked: the results themselves.
        unreadable: images that could not be read, with reasons.
        done: how many work items were computed in this run.
        facts: more for the record of the run.
    """

    parts: Parts
    layout: Layout
    paths: RunPaths
    tracker: Tracker
    results: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    unreadable: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[Result] = field(default_factory=list[Result])
    done: int = 0
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def found_everything(self) -> bool:
        """Whether all that the run asked for was there before it."""
        return not self.done and not any(result.missing() for result in self.asked)

    def result(
        self, stage: str, layer: str, name: str, settings: Mapping[str, Any], items: Sequence[str]
    ) -> Result:
        """Return a result of this run and note in its record where it lies."""
        place = (stage, self.parts.network.identity, layer)
        result = find_result(self.layout, place, settings, items)
        folder = result.folder.relative_to(self.layout.out).as_posix()
        if name not in self.results.setdefault(stage, {}):
            self.results[stage][name] = {"folder": folder, "items": list(items)}
            self.asked.append(result)
        return result

    def begin(self, result: Result) -> None:
        """Write a result's settings and record before its first item."""
        device = str(self.parts.runner.device)
        result.begin(provenance() | {"device": device, "run": self.paths.folder.name})

    def table(self, name: str, table: pd.DataFrame) -> None:
        """Write a table of the run; short ones go to the tracker too."""
        write_table(self.paths.tables, name, table)
        if len(table) <= 10_000:
            self.tracker.table(name, table)
