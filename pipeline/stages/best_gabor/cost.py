"""The cost of best Gabors: counted, and timed on a machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pipeline.networks.cropping import Crop
from pipeline.networks.graph.counting import node_operations
from pipeline.networks.layers import Layer
from pipeline.networks.unit_networks import unit_network
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.run.pace import Pace, affordable, timed
from pipeline.search.presentation import Presentation
from pipeline.stages.best_gabor.plan import GaborPlan
from pipeline.stages.best_gabor.results import Compared, GridStarts, LayerGabors
from pipeline.stages.stage import Cost
from pipeline.stimuli.gabors import PARAMETERS
from pipeline.synthesis.gabors import STARTS, best_of_grid, gabor_climb

FLOAT, DOUBLE = 4, 8  # bytes
STEP = 3  # passes of a step: forward, and backward to images
OTHERS = 5  # numbers of a unit besides the Gabor and its color
TIMED = 2  # steps of a timed climb


def gabor_cost(run: ActiveRun, plan: GaborPlan, machine: Machine | None = None) -> Cost:
    """Return the cost of showing grids to the layers of a run, of climbing and of comparing."""
    if not plan.gabors:
        return Cost()
    grids = {each.of.layer.name: _gabors_of(each.starts) for each in plan.gabors}
    showing, climbing = (
        {each.of.layer.name: count(run, each, grids) for each in plan.gabors}
        for count in (_showing, _climbing)
    )
    total = {layer: showing[layer] + climbing[layer] for layer in showing}
    by_layer: dict[str, float] = {}
    if machine is not None:
        by_layer = _seconds(run, plan, (showing, climbing), machine)
    stored = [(each, _bytes(each)) for each in plan]
    return Cost(
        operations={"best_gabor": sum(total.values())},
        columns={"best_gabor": total},
        disk=sum(size for _, size in stored),
        missing=sum(size for each, size in stored if each.result.missing()),
        memory=max(FLOAT * len(each.of.units) * grids[each.of.layer.name] for each in plan.gabors),
        seconds={"best_gabor": sum(by_layer.values())} if machine is not None else {},
        layer_seconds=by_layer,
        facts={
            "best_gabor": f"{STARTS} climbs of {plan.gabors[0].climb.steps} steps per unit, from"
            f" grids of {min(grids.values())} to {max(grids.values())} Gabors"
        },
    )


def _gabors_of(each: GridStarts) -> int:
    return 0 if each.of.too_small else len(each.of.search.grid(np.ones(1)))


def _single(run: ActiveRun, layer: Layer) -> int:
    """Return the operations of the response of one unit to one image of its field."""
    canvas = run.parts.canvas(layer)
    return Crop(run.parts.graph, layer.node, canvas.size, canvas.position).operations


def _showing(run: ActiveRun, each: LayerGabors, grids: dict[str, int]) -> int:
    layer = each.of.layer
    others = (layer.units - 1) * node_operations(run.parts.graph, layer.node, 1)
    return grids[layer.name] * (_single(run, layer) + others)


def _climbing(run: ActiveRun, each: LayerGabors, grids: dict[str, int]) -> int:
    shown = bool(grids[each.of.layer.name])
    climbs = STARTS * STEP * each.climb.steps * len(each.of.units)
    return shown * climbs * _single(run, each.of.layer)


def _bytes(each: GridStarts | LayerGabors | Compared) -> int:
    of = each.gabors.of if isinstance(each, Compared) else each.of
    units, numbers = len(of.units), len(PARAMETERS) + of.search.field.colors.channels
    if isinstance(each, GridStarts):
        shown = 0 if of.too_small else STARTS * numbers
        return units * (DOUBLE * (shown + 1) + 1)
    if isinstance(each, LayerGabors):
        return units * DOUBLE * (numbers + OTHERS)
    return units * DOUBLE * 3


def _seconds(
    run: ActiveRun,
    plan: GaborPlan,
    operations: tuple[dict[str, int], dict[str, int]],
    machine: Machine,
) -> dict[str, float]:
    """Return the estimated seconds per layer, from up to three layers."""
    machine.runner.place(run.parts.network.module)
    searched = [each for each in plan.gabors if not each.of.too_small]
    found = dict.fromkeys(operations[0], 0.0)
    busy = machine.workers * machine.processes
    for time_some, work in zip((_time_grid, _time_climb), operations, strict=True):
        timings = [time_some(run, each, machine) for each in _spread(searched, work)]
        if timings:
            pace, size = Pace(dict(timings)), int(np.median([count for count, _ in timings]))
            for layer, count in work.items():
                found[layer] += pace(size) * count / size / busy
    return found


def _spread(searched: Sequence[LayerGabors], work: dict[str, int]) -> list[LayerGabors]:
    """Return a small, a medium and a large layer."""
    rising = sorted(searched, key=lambda each: work[each.of.layer.name])
    return list(dict.fromkeys([rising[0], rising[len(rising) // 2], rising[-1]])) if rising else []


def _time_grid(run: ActiveRun, each: LayerGabors, machine: Machine) -> tuple[int, float]:
    """Return the operations of a block of a grid, and its seconds."""
    layer, grid = each.of.layer, each.of.search.grid(np.ones(1))
    presentation = Presentation(run.parts.graph, layer, grid, machine.device)
    block = presentation.blocks[0]
    shown = len(presentation.respond(block)[0])
    seconds = timed(machine, lambda: lambda: presentation.respond(block))
    return max(1, _showing(run, each, {layer.name: shown})), seconds


def _time_climb(run: ActiveRun, each: LayerGabors, machine: Machine) -> tuple[int, float]:
    """Return the operations of a brief climb of some units, and its seconds."""
    search, layer = each.of.search, each.of.layer
    network = unit_network(run.parts.graph, layer).eval().to(machine.device)
    single = STARTS * STEP * TIMED * _single(run, layer)
    whole = 1 if machine.device.type == "cpu" else each.block
    units = list(each.of.units[: affordable(single, whole, machine.device.type)])
    grid = search.grid(np.ones(1))
    first = best_of_grid(grid, np.tile(-np.arange(len(grid), dtype=np.float32), (len(units), 1)))
    rms, climb = np.ones(len(units)), gabor_climb(TIMED)

    def worker() -> Callable[[], object]:
        return lambda: search.climbed(network, units, first, rms, climb, machine.device)

    return max(1, single * len(units)), timed(machine, worker)
