"""Comparing: the image set is shown to every layer, then units and their images are compared."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from pipeline.run.active_run import ActiveRun
from pipeline.stages.set_responses import SetWork
from pipeline.stages.stage import WorkItems
from pipeline.stages.stored_tables import TableBlock, TableWork
from pipeline.stages.unit_similarity.plan import UnitPlan

log = logging.getLogger(__name__)


def compare_units(run: ActiveRun, plan: UnitPlan) -> Iterator[WorkItems[Any]]:
    """Yield what is not in the store: the image set by layer, then units."""
    norms = run.missing(plan.norms)
    if norms:
        log.info("unit_similarity: showing the image set to %s", _names(norms))
        work = SetWork(run, norms)
        results = [each.result for each in norms]
        yield WorkItems(results, [*work.blocks], work, "unit_similarity: images of the set")
    lacking = run.missing([*plan.compared, *plan.facets])
    if lacking:
        log.info("unit_similarity: comparing units of %s", _names(lacking))
        run.parts.runner.place(run.parts.network.module)
        items = [TableBlock(each, item) for each in lacking for item in each.result.items]
        results = [each.result for each in lacking]
        yield WorkItems(results, items, TableWork(), "unit_similarity: units")


def _names(items: list[Any]) -> str:
    return ", ".join(dict.fromkeys(each.layer.name for each in items))
