"""The cost of opponency: counted, and timed on a machine."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.networks.cropping import Crop
from pipeline.networks.graph.counting import forward_operations, weight_shape
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.run.pace import affordable, timed
from pipeline.run.parts import Parts
from pipeline.search.opponency import SETS, OpponencyPresentation, is_whole
from pipeline.stages.opponency.results import LayerOpponency, grouped, stimuli_of
from pipeline.stages.stage import Cost

FLOAT = 4  # bytes


def opponency_cost(
    run: ActiveRun, planned: Sequence[LayerOpponency], machine: Machine | None = None
) -> Cost:
    """Return the cost of the responses of a run to hues, gray levels and gratings."""
    if not planned:
        return Cost()
    sets = stimuli_of(run, planned[0].layer, planned[0].protocol)
    count = sum(map(len, sets.values()))
    single = [(group, _operations(run.parts, group)) for group in grouped(run, planned)]
    seconds = 0.0
    if machine is not None:
        each_takes = [_seconds(run.parts, *known, machine) for known in single]
        seconds = count * sum(each_takes) / (machine.workers * machine.processes)
    sizes = {each.layer.name: FLOAT * each.stages * len(each.units) * count for each in planned}
    missing = [each.layer.name for each in planned if each.result.missing()]
    return Cost(
        operations={"opponency": count * sum(operations for _, operations in single)},
        disk=sum(sizes.values()),
        missing=sum(sizes[name] for name in missing),
        reading=sum(sizes.values()),
        seconds={"opponency": seconds} if machine is not None else {},
        facts={"shown": f"{count} hues, gray levels and gratings, to {len(planned)} layers"},
    )


def _operations(parts: Parts, group: Sequence[LayerOpponency]) -> int:
    """Return the operations of the responses of the units of a group to one stimulus."""
    first, graph = group[0], parts.graph
    if is_whole(graph, first.layer, first.protocol):
        return forward_operations(graph, [each.layer.node for each in group])
    canvas = first.protocol.canvas(graph, first.layer)
    one = Crop(graph, first.layer.node, canvas.size, canvas.position).operations
    weight = weight_shape(graph, first.layer.node)
    # That counts one unit of the layer, each of which has its own weights.
    return one + 2 * (first.layer.units - 1) * math.prod(weight[1:]) if weight else one


def _seconds(
    parts: Parts, group: Sequence[LayerOpponency], operations: int, machine: Machine
) -> float:
    """Return the seconds of showing one stimulus to a group, with all workers busy."""
    machine.runner.place(parts.network.module)
    presentation = OpponencyPresentation(
        parts.graph,
        [each.layer for each in group],
        parts.network.preprocessing,
        group[0].protocol,
        machine.device,
    )
    count = affordable(operations, presentation.step, machine.device.type)
    return timed(machine, lambda: lambda: presentation.show(SETS[-1], range(count))) / count
