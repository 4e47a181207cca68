"""The cost of transfer, counted: forward passes on the image set, and on receptive fields."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.networks.cropping import Crop
from pipeline.networks.graph.counting import forward_operations
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.stages.stage import Cost
from pipeline.stages.transfer.plan import TransferPlan
from pipeline.stages.transfer.results import Changed, Norms, Seen

FLOAT = 4  # bytes
SHIFTS = 4  # images of one shift


def transfer_cost(
    run: ActiveRun,  # noqa: ARG001 - networks have runs of their own
    plan: TransferPlan,
    machine: Machine | None = None,  # noqa: ARG001 - not timed
) -> Cost:
    """Return the cost of all that is shown."""
    if not plan:
        return Cost()
    by_network: dict[str, list[Norms]] = {}
    for each in plan.norms:
        by_network.setdefault(each.seer.name, []).append(each)
    searched = sum(map(_set_operations, by_network.values()))
    single = {id(each.norms): _operations(each) for each in plan.seen}
    shown = sum(_images(each) * single[id(each.norms)] for each in (*plan.seen, *plan.changed))
    names = ", ".join(by_network)
    return Cost(
        operations={"image set": searched, "transfer": shown},
        columns={"transfer": _by_layer(plan, single)},
        disk=sum(map(_bytes, plan)),
        missing=sum(_bytes(each) for each in plan if each.result.missing()),
        reading=max(map(_bytes, plan)),
        facts={"shown": f"{len(plan.seen)} sets of images of units, to layers of {names}"},
    )


def _by_layer(plan: TransferPlan, single: Mapping[int, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in (*plan.seen, *plan.changed):
        name = each.source.layer.name
        found[name] = found.get(name, 0) + _images(each) * single[id(each.norms)]
    return found


def _set_operations(norms: list[Norms]) -> int:
    run = norms[0].seer.run
    nodes = [each.layer.node for each in norms]
    return len(run.images) * forward_operations(run.parts.graph, nodes)


def _operations(each: Seen) -> int:
    """Return the operations of the responses of all units of a layer to one image."""
    parts, layer = each.norms.seer.run.parts, each.norms.layer
    if each.viewing.at != "center":
        return forward_operations(parts.graph, [layer.node])
    canvas = parts.canvas(layer)
    return Crop(parts.graph, layer.node, canvas.size, canvas.position).operations


def _images(each: Seen) -> int:
    if not isinstance(each, Changed):
        return each.source.count
    copies = each.norms.seer.run.parts.copies if each.source.kind == "ascent" else 1
    versions = sum(SHIFTS if change.kind == "shift" else 1 for change in each.changes)
    return len(each.units) * copies * versions


def _bytes(each: Norms | Seen) -> int:
    if isinstance(each, Norms):
        return len(each.seer.run.images) * each.layer.units * FLOAT
    if isinstance(each, Changed):
        copies = each.norms.seer.run.parts.copies if each.source.kind == "ascent" else 1
        return len(each.units) * copies * len(each.changes) * each.norms.layer.units * FLOAT
    return each.source.count * each.norms.layer.units * FLOAT
