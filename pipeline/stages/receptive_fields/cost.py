"""The cost of mapping receptive fields: counted, and timed on a machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from pipeline.analysis.map_agreement import agreement
from pipeline.networks.cropping import Crop
from pipeline.networks.graph.counting import node_operations
from pipeline.networks.graph.nodes import traced_shape
from pipeline.networks.unit_networks import unit_network
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.run.pace import Pace, affordable, loading_seconds, timed
from pipeline.search.field_mapping import COUNTS, KEPT, SIGNS, MappedFields, summarize
from pipeline.search.presentation import Presentation
from pipeline.stages.receptive_fields.measures import Measures
from pipeline.stages.receptive_fields.methods import passes_of_unit
from pipeline.stages.receptive_fields.plan import FieldPlan
from pipeline.stages.receptive_fields.results import FieldMaps, SetMaps, build_set
from pipeline.stages.stage import Cost

FLOAT, LONG = 4, 8  # bytes
NUMBERS = 24  # columns of a summary
COMPARED = 3  # measures of agreement
IMAGES = 32  # that are timed together
Number = TypeVar("Number", int, float)


def field_cost(run: ActiveRun, plan: FieldPlan, machine: Machine | None = None) -> Cost:
    """Return the cost of the maps of a run, and of the measures of them."""
    maps = plan.maps
    if not maps:
        return Cost()
    work = {each.result.name: _operations(run, each) for each in maps}
    operations = [(each, work[each.result.name]) for each in maps]
    seconds = _seconds(run, maps, work, machine) if machine is not None else []
    facts = {"measures": _measures_fact(plan, machine)} if machine is not None else {}
    sizes = [(each, map_bytes(each)) for each in maps]
    measured = [(each, _measure_bytes(each)) for each in plan if isinstance(each, Measures)]
    stored = [*sizes, *measured]
    return Cost(
        operations=_sums((each.method, number) for each, number in operations),
        columns={"maps": _sums((each.layer.name, number) for each, number in operations)},
        disk=sum(size for _, size in stored),
        missing=sum(size for each, size in stored if each.result.missing()),
        memory=max(_memory(each) for each in maps),
        reading=max(size for _, size in sizes),
        seconds=_sums((each.method, time) for each, time in seconds),
        layer_seconds=_sums((each.layer.name, time) for each, time in seconds),
        facts=facts,
    )


def _sums(numbers: Iterable[tuple[str, Number]]) -> dict[str, Number]:
    """Return the sum of the numbers of each name."""
    found: dict[str, Number] = {}
    for name, number in numbers:
        found[name] = found[name] + number if name in found else number
    return found


def map_bytes(each: FieldMaps) -> int:
    """Return the bytes of stored maps, and of what is stored with them."""
    units, (height, width) = len(each.units), each.field
    one = 2 * height * width * FLOAT
    if not isinstance(each, SetMaps):
        return units * one
    kept = 2 * min(KEPT, each.shown.count) * (LONG + FLOAT)
    kept += each.shown.count * FLOAT * each.keeps_responses
    places = (2 * len(COUNTS) * 2 + 1) * LONG * each.of_figures
    return units * ((1 + each.of_figures) * one + kept + places)


def _measure_bytes(each: Measures) -> int:
    return each.count * LONG * (COMPARED if each.compared else NUMBERS)


def _memory(each: FieldMaps) -> int:
    """Return the memory of an item: maps, and of a set all responses, in float32 and float64."""
    size = len(each.blocks["block-0000"])
    responses = each.shown.count * size if isinstance(each, SetMaps) else 0
    return responses * (FLOAT + LONG) + 3 * map_bytes(each)


def _field_operations(run: ActiveRun, each: FieldMaps) -> int:
    """Return the operations of one pass on the field: for one unit, or of a set for all units."""
    graph, node, canvas = run.parts.graph, each.layer.node, run.parts.canvas(each.layer)
    one = Crop(graph, node, canvas.size, canvas.position).operations
    others = each.layer.units - 1 if isinstance(each, SetMaps) else 0
    return one + others * node_operations(graph, node, 1)


def _operations(run: ActiveRun, each: FieldMaps) -> int:
    if isinstance(each, SetMaps):
        return int(_field_operations(run, each) * each.shown.passes * len(each.blocks))
    passes = passes_of_unit(each.method, each.ranks, each.field)
    return _field_operations(run, each) * passes * len(each.units)


def _seconds(
    run: ActiveRun, maps: Sequence[FieldMaps], work: dict[str, int], machine: Machine
) -> list[tuple[FieldMaps, float]]:
    """Return the estimated seconds of all maps, from a few timed batches."""
    machine.runner.place(run.parts.network.module)
    found: list[tuple[FieldMaps, float]] = []
    reading = loading_seconds(run.parts.images, machine) if any(m.ranks for m in maps) else 0.0
    for time, of_sets in ((_time_set, True), (_time_units, False)):
        some = sorted((m for m in maps if isinstance(m, SetMaps) == of_sets), key=_work(work))
        if not some:
            continue
        chosen = dict.fromkeys(some[n].result.name for n in (0, len(some) // 2, -1))
        batches = [time(run, each, machine, work) for each in some if each.result.name in chosen]
        pace = Pace(dict(batches))
        size = float(np.median([operations for operations, _ in batches]))
        for each in some:
            one = pace(int(size)) * work[each.result.name] / size / machine.workers
            one += 2 * each.ranks * len(each.units) * reading
            found.append((each, one / machine.processes))
    return found


def _work(work: dict[str, int]) -> Callable[[FieldMaps], int]:
    return lambda each: work[each.result.name]


def _time_set(
    run: ActiveRun, each: Any, machine: Machine, work: dict[str, int]
) -> tuple[int, float]:
    """Return the operations of the first block of a set, and its seconds."""
    stimuli = build_set(run, each.shown.name, each.shown.field)
    presentation = Presentation(run.parts.graph, each.layer, stimuli, machine.device)
    blocks = presentation.blocks
    share = len(blocks[0]) / sum(map(len, blocks)) / len(each.blocks)
    seconds = timed(machine, lambda: lambda: presentation.respond(blocks[0]))
    return max(1, int(work[each.result.name] * share)), seconds


def _time_units(
    run: ActiveRun, each: FieldMaps, machine: Machine, _work: dict[str, int]
) -> tuple[int, float]:
    """Return the operations of a batch of images on a unit's field, and its seconds."""
    one = max(1, _field_operations(run, each))
    count = affordable(one, IMAGES, machine.device.type)
    network = unit_network(run.parts.graph, each.layer).to(machine.device)
    channels = traced_shape(run.parts.graph.image)[1]
    images = torch.zeros(count, channels, *each.field, device=machine.device)
    units = torch.full((count,), each.units[0], device=machine.device)

    def respond() -> None:
        with torch.inference_mode():
            network(images, units)

    return one * count, timed(machine, lambda: respond)


def _measures_fact(plan: FieldPlan, machine: Machine) -> str:
    """Return how many maps are measured and compared, and how long it takes."""
    seconds = 0.0
    one = {each.field: _measure_seconds(each.field, machine) for each in plan.maps}
    for each in plan:
        if isinstance(each, Measures):
            seconds += each.count * one[each.of[0].field][each.compared]
    maps, pairs = (sum(each.count for each in some) for some in (plan.summaries, plan.agreements))
    seconds /= machine.threads * machine.processes
    return f"{maps} maps are measured, {pairs} pairs compared, in about {max(1, round(seconds))} s"


def _measure_seconds(size: tuple[int, int], machine: Machine) -> tuple[float, float]:
    """Return the seconds of measuring one map, and of comparing a pair."""
    maps = np.random.default_rng(0).random((2, 1, len(SIGNS), *size), np.float32)
    one = timed(machine, lambda: lambda: summarize(MappedFields(maps[0]), "", [0]))
    named = {"one": maps[0], "other": maps[1]}
    pair = timed(machine, lambda: lambda: agreement(named, [("one", "other")], [0]))
    return one / len(SIGNS), pair / len(SIGNS)
