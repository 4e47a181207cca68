"""Drawing: a panel for each statistic, for each pair of inits."""

from __future__ import annotations

from typing import cast

from pipeline.figures.similarity import statistics_by_layer
from pipeline.run.active_run import ActiveRun
from pipeline.stages.collect.results import tell_left_out
from pipeline.stages.similarity.plan import SimilarityPlan
from pipeline.stages.similarity.tables import PAIR, similarity_summary


def draw(run: ActiveRun, plan: SimilarityPlan) -> None:
    """Draw the figures of a run, and say which other runs it is not compared with."""
    others = {k: why for k, why in plan.compared.left_out.items() if k != run.paths.folder}
    tell_left_out("similarity", others)
    if not run.parts.config.figures.formats:
        return
    summary = similarity_summary(run, plan)
    for inits, rows in summary.groupby(PAIR, sort=False):
        name = "_".join(cast("tuple[str, str]", inits))
        run.figure(f"similarity_{name}", statistics_by_layer(rows))
