"""Showing: bars all over the field, then the best bar of each unit with one parameter changed."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from pipeline.run.active_run import ActiveRun
from pipeline.stages.bar_tuning.results import LayerBars
from pipeline.stages.stage import Plan, WorkItems
from pipeline.stages.stored_tables import TableBlock, TableWork

log = logging.getLogger(__name__)


def show_bars(run: ActiveRun, plan: Plan[LayerBars]) -> Iterator[WorkItems[TableBlock]]:
    """Yield the layers to which bars have not been shown."""
    missing = run.missing(plan)
    if missing:
        names = ", ".join(f"{each.method} to {each.layer.name}" for each in missing)
        log.info("bar_tuning: showing %s", names)
        run.parts.runner.place(run.parts.network.module)
        items = [TableBlock(each, item) for each in missing for item in each.result.items]
        results = [each.result for each in missing]
        yield WorkItems(results, items, TableWork(), "bar_tuning: units")
