"""The cost of tuning to bars: counted, and timed on a machine."""

from __future__ import annotations

from pipeline.analysis.bar_tuning import PARAMETERS
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.run.pace import Pace
from pipeline.search.bar_tuning import CONTRASTS
from pipeline.stages.bar_tuning.results import LayerBars
from pipeline.stages.showing_cost import pass_operations, time_block
from pipeline.stages.stage import Cost, Plan
from pipeline.stimuli.bars import ASPECTS, LENGTHS
from pipeline.stimuli.parameters import ORIENTATIONS

FLOAT, DOUBLE = 4, 8  # bytes
# Bars of a unit: the values of its curves, and at most as many bars in two polarities.
VALUES = len(LENGTHS) + len(LENGTHS) * len(ASPECTS) + len(ORIENTATIONS) + 2 + len(CONTRASTS)
VARIANTS = 2 * VALUES
CURVE = 6  # columns of a curve


def bar_cost(run: ActiveRun, plan: Plan[LayerBars], machine: Machine | None = None) -> Cost:
    """Return the cost of the tuning of a run to bars; of the bars around the best one, the most."""
    if not plan:
        return Cost()
    work = {each.result.name: _operations(run, each) for each in plan}
    columns: dict[str, int] = {}
    for each in plan:
        columns[each.layer.name] = columns.get(each.layer.name, 0) + work[each.result.name]
    seconds = _seconds(run, plan, work, machine) if machine is not None else {}
    return Cost(
        operations={"bars": sum(work.values())},
        columns={"bars": columns},
        disk=sum(map(_bytes, plan)),
        missing=sum(_bytes(each) for each in plan if each.result.missing()),
        memory=max(map(_memory, plan)),
        reading=max(map(_bytes, plan)),
        seconds={"bars": sum(seconds.values())} if seconds else {},
        layer_seconds=seconds,
    )


def _memory(each: LayerBars) -> int:
    """Return the memory of the responses of an item, and of those to the bars around the best."""
    units = each.size("block-0000")
    return FLOAT * units * (each.shown.count + VARIANTS * units)


def _bytes(each: LayerBars) -> int:
    return len(each.units) * DOUBLE * (CURVE * VALUES + len(PARAMETERS) + 6)


def _operations(run: ActiveRun, each: LayerBars) -> int:
    passes = each.shown.passes * len(each.blocks) + VARIANTS * len(each.units)
    return int(pass_operations(run, each.layer, each.layer.units) * passes)


def _seconds(
    run: ActiveRun, plan: Plan[LayerBars], work: dict[str, int], machine: Machine
) -> dict[str, float]:
    """Return the estimated seconds of all layers, from a block of bars of up to three of them."""
    machine.runner.place(run.parts.network.module)
    rising = sorted(plan, key=lambda each: work[each.result.name])
    chosen = {rising[n].result.name: rising[n] for n in (0, len(rising) // 2, -1)}
    measured: dict[int, float] = {}
    for each in chosen.values():
        share, seconds = time_block(run, each.layer, each.shown, machine)
        one = pass_operations(run, each.layer, each.layer.units) * each.shown.passes
        measured[max(1, int(one * share))] = seconds
    pace, size = Pace(measured), sorted(measured)[len(measured) // 2]
    busy = machine.workers * machine.processes
    found: dict[str, float] = {}
    for each in plan:
        own = pace(size) * work[each.result.name] / size / busy
        found[each.layer.name] = found.get(each.layer.name, 0.0) + own
    return found
