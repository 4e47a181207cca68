"""Drawing conditions side by side, and logging which runs were left out."""

from __future__ import annotations

from pipeline.figures.opponency import opponency_of_controls
from pipeline.run.active_run import ActiveRun
from pipeline.stages.collect.results import tell_left_out
from pipeline.stages.opponency_controls.results import Conditions


def draw(run: ActiveRun, conditions: Conditions) -> None:
    """Draw the figure of all runs that had finished before this one began."""
    tell_left_out("opponency_controls", conditions.finished.left_out)
    run.figure("opponency_controls", opponency_of_controls(conditions.table))
    run.done += len(conditions.finished.runs)
