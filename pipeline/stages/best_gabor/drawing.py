"""Drawing: the indices of best Gabors by layer."""

from __future__ import annotations

from pipeline.figures.best_gabor import INDICES, gabor_indices_by_layer
from pipeline.run.active_run import ActiveRun
from pipeline.stages.best_gabor.plan import GaborPlan
from pipeline.stages.best_gabor.tables import best_gabor


def draw(run: ActiveRun, plan: GaborPlan) -> None:
    """Draw the figure of a run, if any unit has an index."""
    table = best_gabor(run, plan)
    if table[list(INDICES)].notna().to_numpy().any():
        run.figure("best_gabor_by_layer", gabor_indices_by_layer(table))
