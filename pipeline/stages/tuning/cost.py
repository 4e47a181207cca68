"""The cost of tuning: counted, and timed on a machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.networks.cropping import Crop
from pipeline.networks.graph.counting import node_operations
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.run.pace import Pace, timed
from pipeline.search.presentation import Presentation
from pipeline.search.tuning.measurement import STAGES
from pipeline.search.tuning.sets import CONTRAST_SETTINGS, PHASES, SETS
from pipeline.stages.stage import Cost
from pipeline.stages.tuning.plan import TuningPlan
from pipeline.stages.tuning.results import ContrastResponses, LayerMeasures, SetResponses

FLOAT, DOUBLE = 4, 8  # bytes
POINTS = 96  # of all curves of a unit, about
MEASURE_SECONDS = 3e-3  # of a unit, for one stage and rate map and without draws, about
DRAW_SECONDS = 1.2e-4  # of a draw of a unit likewise


def tuning_cost(run: ActiveRun, plan: TuningPlan, machine: Machine | None = None) -> Cost:
    """Return the cost of showing all sets to the layers of a run, and of measuring."""
    sets = [*plan.shown, *plan.contrasts]
    if not sets:
        return Cost()
    single = {each.layer.name: _operations(run, each.layer) for each in sets}
    shown = dict.fromkeys(single, 0)
    stimuli = {each.result.name: each.count for each in sets}
    for each in sets:
        shown[each.layer.name] += single[each.layer.name] * stimuli[each.result.name]
    measuring = sum(map(_measure_seconds, plan.measures))
    seconds: dict[str, float] = {}
    by_layer: dict[str, float] = {}
    if machine is not None:
        by_layer = _showing_seconds(run, plan.shown, shown, machine)
        workers = machine.threads * machine.processes
        seconds = {"tuning": sum(by_layer.values()), "measures": measuring / workers}
    stored = [(each, _bytes(each, stimuli[each.result.name])) for each in sets]
    stored += [(each, _measure_bytes(each)) for each in plan.measures]
    return Cost(
        operations={"tuning": sum(shown.values())},
        columns={"tuning": shown},
        disk=sum(size for _, size in stored),
        missing=sum(size for each, size in stored if each.result.missing()),
        memory=max(FLOAT * len(each.units) * stimuli[each.result.name] for each in sets),
        reading=max(map(_measure_bytes, plan.measures)),
        seconds=seconds,
        layer_seconds=by_layer,
        facts={"shown": f"at most {sum(stimuli.values())} stimuli to {len(single)} layers"},
    )


def _bytes(each: SetResponses, stimuli: int) -> int:
    """Return the bytes of the stored responses; of contrasts, those of each unit's own grating."""
    if isinstance(each, ContrastResponses):
        shown = len(CONTRAST_SETTINGS["contrasts"]) * PHASES
        return FLOAT * len(each.units) * len(STAGES) * shown
    return FLOAT * len(each.units) * stimuli


def _measure_bytes(each: LayerMeasures) -> int:
    parts = len(each.options.at) * len(each.options.rate_maps)
    row = (3 * DOUBLE + FLOAT + 1) * len(each.options.properties) + DOUBLE * POINTS
    return parts * row * len(each.units)


def _operations(run: ActiveRun, layer: Layer) -> int:
    """Return the operations of the responses of all units of a layer to one stimulus."""
    graph, node, canvas = run.parts.graph, layer.node, run.parts.canvas(layer)
    one = Crop(graph, node, canvas.size, canvas.position).operations
    return one + (layer.units - 1) * node_operations(graph, node, 1)


def _measure_seconds(each: LayerMeasures) -> float:
    parts = len(each.options.at) * len(each.options.rate_maps)
    one = MEASURE_SECONDS + DRAW_SECONDS * each.options.draws
    return one * parts * len(each.units)


def _showing_seconds(
    run: ActiveRun, sets: Sequence[SetResponses], shown: dict[str, int], machine: Machine
) -> dict[str, float]:
    """Return the estimated seconds per layer, from a block of gratings of up to three layers."""
    machine.runner.place(run.parts.network.module)
    some = {each.layer.name: each for each in sets if each.name == "orientation"}
    rising = sorted(some.values(), key=lambda each: shown[each.layer.name])
    chosen = {each.layer.name: each for each in (rising[0], rising[len(rising) // 2], rising[-1])}
    batches = [_time_block(run, each, machine) for each in chosen.values()]
    pace, size = Pace(dict(batches)), int(np.median([operations for operations, _ in batches]))
    busy = machine.workers * machine.processes
    return {layer: pace(size) * work / size / busy for layer, work in shown.items()}


def _time_block(run: ActiveRun, each: SetResponses, machine: Machine) -> tuple[int, float]:
    """Return the operations of a block of a set, and its seconds."""
    stimuli = SETS[each.name].build(each.field)
    presentation = Presentation(run.parts.graph, each.layer, stimuli, machine.device)
    block = presentation.blocks[0]
    count = len(block) * PHASES
    seconds = timed(machine, lambda: lambda: presentation.respond(block))
    return max(1, _operations(run, each.layer) * count), seconds
