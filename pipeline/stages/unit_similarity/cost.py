"""The cost of comparing units: a pass of the image set, and images of units on their fields."""

from __future__ import annotations

from typing import Any

from pipeline.networks.cropping import Crop
from pipeline.networks.graph.counting import forward_operations
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.stages.stage import Cost
from pipeline.stages.unit_similarity.plan import UnitPlan
from pipeline.stages.unit_similarity.results import ComparedUnits, Norms, UnitFacets

FLOAT, DOUBLE = 4, 8  # bytes


def unit_cost(
    run: ActiveRun,
    plan: UnitPlan,
    machine: Machine | None = None,  # noqa: ARG001 - not timed
) -> Cost:
    """Return the cost of all comparisons."""
    if not plan:
        return Cost()
    graph = run.parts.graph
    nodes = [each.layer.node for each in plan.norms]
    shown = {id(each): _operations(run, each) for each in plan.facets}
    columns: dict[str, int] = {}
    for each in plan.facets:
        columns[each.layer.name] = columns.get(each.layer.name, 0) + shown[id(each)]
    sizes = [_bytes(run, each) for each in plan]
    return Cost(
        operations={
            "image set": len(run.images) * forward_operations(graph, nodes),
            "facets": sum(shown.values()),
        },
        columns={"facets": columns},
        disk=sum(sizes),
        missing=sum(size for size, each in zip(sizes, plan, strict=True) if each.result.missing()),
        reading=max(sizes),
        facts={"compared": f"{len(plan.compared)} sets of units, facets of {len(plan.facets)}"},
    )


def _operations(run: ActiveRun, each: UnitFacets) -> int:
    canvas = run.parts.canvas(each.layer)
    one = Crop(run.parts.graph, each.layer.node, canvas.size, canvas.position).operations
    return len(each.images.units) * each.images.each * one


def _bytes(run: ActiveRun, each: Any) -> int:
    if isinstance(each, Norms):
        return len(each.reads) * len(run.images) * each.layer.units * FLOAT
    if isinstance(each, ComparedUnits):
        return len(each.climb.units) * (len(each.climb.units) - 1) // 2 * 5 * DOUBLE
    return len(each.images.units) * (each.images.each * 3 + 6) * DOUBLE
