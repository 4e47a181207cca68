"""Stage: gather the finished runs of a sweep into one pair of tables and their figure."""

from __future__ import annotations

import logging
from pathlib import Path

from pipeline.figures.sweep import sweep_figure
from pipeline.session.session import Session
from pipeline.store.sweeps import Sweep, joined

log = logging.getLogger(__name__)
FIGURE = "sweep"


def run(session: Session) -> None:
    """Write the tables and the figure of all runs that had finished before this one began."""
    sweep = joined(session.parts.collected)
    log.info("collect: %d runs", len(sweep.runs))
    _tell_left_out(sweep)
    session.table("sweep_correlations", sweep.correlations)
    session.table("sweep_summary", sweep.summary)
    session.figure(FIGURE, sweep_figure(sweep.summary))
    session.done += len(sweep.runs)
    session.facts["collected"] = {
        job: _place(session, run.paths.folder) for job, run in sweep.runs.items()
    }
    session.facts["left_out"] = {
        _place(session, folder): reason for folder, reason in sweep.left_out.items()
    }


def _tell_left_out(sweep: Sweep) -> None:
    for reason in dict.fromkeys(sweep.left_out.values()):
        folders = [folder for folder, why in sweep.left_out.items() if why == reason]
        some = [f"{folder.parent.name}/{folder.name}" for folder in folders[:3]]
        more = [f"and {len(folders) - 3} more"] if len(folders) > 3 else []
        names = ", ".join(some + more)
        log.info("collect: left out, %s: %s", reason, names)


def _place(session: Session, folder: Path) -> str:
    """Return a folder relative to ``out``, if it lies there."""
    out = session.layout.out
    return folder.relative_to(out).as_posix() if folder.is_relative_to(out) else str(folder)
