"""The cost of opponency: counted, and timed on a machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pipeline.networks.cropping import Crop
from pipeline.networks.graph.counting import weight_shape
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.run.pace import Pace, affordable, timed
from pipeline.run.parts import Parts
from pipeline.search.opponency import SETS, OpponencyPresentation
from pipeline.stages.opponency.results import LayerOpponency, stimuli_of
from pipeline.stages.stage import Cost

FLOAT = 4  # bytes


def opponency_cost(
    run: ActiveRun, planned: Sequence[LayerOpponency], machine: Machine | None = None
) -> Cost:
    """Return the cost of the responses of a run to hues, gray levels and gratings."""
    if not planned:
        return Cost()
    parts = run.parts
    count = sum(
        len(shown) for shown in stimuli_of(run, planned[0].layer, planned[0].protocol).values()
    )
    single = {each.layer.name: _operations(parts, each) for each in planned}
    shown = {name: count * operations for name, operations in single.items()}
    seconds: dict[str, float] = {}
    if machine is not None:
        pace = _pace(parts, planned, single, machine)
        busy = machine.workers * machine.processes
        seconds = {name: count * pace(operations) / busy for name, operations in single.items()}
    sizes = {each.layer.name: FLOAT * each.stages * len(each.units) * count for each in planned}
    missing = [each.layer.name for each in planned if each.result.missing()]
    return Cost(
        operations={"opponency": sum(shown.values())},
        columns={"opponency": shown},
        disk=sum(sizes.values()),
        missing=sum(sizes[name] for name in missing),
        reading=sum(sizes.values()),
        seconds={"opponency": sum(seconds.values())} if seconds else {},
        layer_seconds=seconds,
        facts={"shown": f"{count} hues, gray levels and gratings, to {len(planned)} layers"},
    )


def _operations(parts: Parts, each: LayerOpponency) -> int:
    """Return the operations of the responses of all units of a layer to one stimulus."""
    canvas, graph = each.protocol.canvas(parts.graph, each.layer), parts.graph
    one = Crop(graph, each.layer.node, canvas.size, canvas.position).operations
    weight = weight_shape(graph, each.layer.node)
    if not weight:
        return one
    # Crop counts one unit of the layer; each has its own weights.
    return one + 2 * (each.layer.units - 1) * math.prod(weight[1:])


def _pace(
    parts: Parts,
    planned: Sequence[LayerOpponency],
    single: Mapping[str, int],
    machine: Machine,
) -> Pace:
    """Return seconds of a stimulus by operations, from a few timed ones of up to three layers."""
    machine.runner.place(parts.network.module)
    kind = machine.device.type
    rising = sorted(planned, key=lambda each: single[each.layer.name])
    chosen = [e for e in rising if affordable(single[e.layer.name], 2, kind) > 1] or rising[:1]
    some = {e.layer.name: e for e in (chosen[0], chosen[len(chosen) // 2], chosen[-1])}
    return Pace(
        {single[name]: _seconds(parts, e, single[name], machine) for name, e in some.items()}
    )


def _seconds(parts: Parts, each: LayerOpponency, operations: int, machine: Machine) -> float:
    """Return the seconds of showing one stimulus to a layer, with all workers busy."""
    presentation = OpponencyPresentation(
        parts.graph, each.layer, parts.network.preprocessing, each.protocol, machine.device
    )
    count = affordable(operations, presentation.step, machine.device.type)
    return timed(machine, lambda: lambda: presentation.show(SETS[-1], range(count))) / count
