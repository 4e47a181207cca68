"""Collect: draw the figure of a sweep's finished runs, and log which runs were left out."""

from __future__ import annotations

import logging
from pathlib import Path

from pipeline.figures.sweep import sweep_figure
from pipeline.run.active_run import ActiveRun
from pipeline.stages.collect.results import Collection, tell_left_out

log = logging.getLogger(__name__)
FIGURE = "sweep"


def collect_runs(run: ActiveRun, collection: Collection) -> None:
    """Draw the figure of all runs that had finished before this one began."""
    sweep = collection.sweep
    log.info("collect: %d runs", len(sweep.runs))
    tell_left_out("collect", sweep.left_out)
    run.figure(FIGURE, sweep_figure(sweep.summary))
    run.done += len(sweep.runs)
    run.facts["collected"] = {
        job: _place(run, opened.paths.folder) for job, opened in sweep.runs.items()
    }
    run.facts["left_out"] = {
        _place(run, folder): reason for folder, reason in sweep.left_out.items()
    }


def _place(run: ActiveRun, folder: Path) -> str:
    """Return a folder relative to ``out`` if it is inside it."""
    out = run.layout.out
    return folder.relative_to(out).as_posix() if folder.is_relative_to(out) else str(folder)
