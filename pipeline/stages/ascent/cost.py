"""The cost of ascents: counted, and timed on a machine."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch

from pipeline.errors import ArtiphysError, ConfigError, first_line
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.run.pace import Pace, affordable, loading_seconds, step_seconds, time_visit
from pipeline.run.parts import Parts
from pipeline.search.top_patches import find_peaks
from pipeline.stages.ascent.layer_cost import (
    LayerCost,
    ascent_memory,
    layer_cost,
    result_memory,
    stored_bytes,
)
from pipeline.stages.ascent.results import Climb
from pipeline.stages.stage import Cost
from pipeline.synthesis.optimizers import Optimizer

EXACT_COST = 4  # float64 time relative to float32, if it is not timed


def ascent_cost(run: ActiveRun, climbs: Sequence[Climb], machine: Machine | None = None) -> Cost:
    """Return the cost of all ascents of a run."""
    parts, steps, inits = run.parts, run.parts.optimizer.steps, len(run.parts.inits)
    exact = any(climb.exact for climb in climbs)
    costs = [
        layer_cost(parts, layer, exact=exact)
        for layer in parts.layers
        if parts.climbed_units(layer)
    ]
    if not costs:
        return Cost()
    device, workers = parts.runner.device.type, machine.workers if machine is not None else 1
    by_layer = {cost.layer.name: cost.climb(steps) * inits for cost in costs}
    seconds = _seconds(parts, costs, machine) if machine is not None else {}
    # The objectives of two layers are kept, in float32 and float64.
    weights = sum(tensor.nbytes for tensor in parts.network.module.state_dict().values())
    return Cost(
        operations={"ascent": sum(by_layer.values())},
        columns={"step": {cost.layer.name: cost.step for cost in costs}, "ascent": by_layer},
        disk=stored_bytes(costs, inits),
        missing=sum(_missing_bytes(parts, climb) for climb in climbs),
        memory=3 * weights + ascent_memory(costs, device, workers),
        reading=result_memory(costs, inits),
        seconds={"ascent": sum(seconds.values())} if seconds else {},
        layer_seconds=seconds,
        facts={"ascents": f"from {', '.join(parts.inits)}, {steps} steps"},
    )


def _missing_bytes(parts: Parts, climb: Climb) -> int:
    """Return the bytes of a climb that are not in the store."""
    height, width = parts.image_size(climb.layer)
    units = sum(len(climb.blocks[item]) for item in climb.result.missing())
    channels = parts.network.preprocessing.channels
    return units * parts.copies * height * width * channels * 4 * (3 if climb.exact else 2)


def _seconds(parts: Parts, costs: Sequence[LayerCost], machine: Machine) -> dict[str, float]:
    """Return the estimated seconds per layer, from a few timed batches.

    Raises:
        ConfigError: the objective fails on a batch.
    """
    machine.runner.place(parts.network.module)
    pace, exact = _paces(parts, machine, parts.optimizer, costs)
    loading = loading_seconds(parts.images, machine)
    patches = sum(init.needs_top_patches for init in parts.inits.values())
    looks = max((transform.looks for transform in parts.transforms.values()), default=1)
    seconds: dict[str, float] = {}
    for cost in costs:
        one = _climb_seconds(cost, machine, parts.optimizer, pace, exact)
        starting = patches * (cost.images + cost.exact_images) * loading
        seconds[cost.layer.name] = looks * len(parts.inits) * one + starting / machine.processes
    return seconds


def _climb_seconds(
    cost: LayerCost, machine: Machine, optimizer: Optimizer, pace: Pace, exact: Pace
) -> float:
    """Return the seconds for all ascents of a layer from one init."""
    together = cost.together(machine.device.type)
    whole, rest = divmod(cost.images, together)
    step = whole * pace(cost.step * together) + (pace(cost.step * rest) if rest else 0.0)
    step += exact(cost.step * cost.exact_images) if cost.exact_images else 0.0
    # No gradient is computed for the last response.
    return step * (optimizer.steps + 0.5) / machine.workers / machine.processes


def _paces(
    parts: Parts,
    machine: Machine,
    optimizer: Optimizer,
    costs: Sequence[LayerCost],
) -> tuple[Pace, Pace]:
    """Time steps in float32 and in float64."""
    single: dict[int, float] = {}
    double: dict[int, float] = {}
    kind = machine.device.type
    for cost in _timed(costs, kind):
        scorer: Any = parts.scorer(cost.layer)
        count = affordable(cost.step, cost.together(kind), kind)
        single[cost.step * count] = _step(machine, scorer, optimizer, cost, count)
        if kind == "mps":  # MPS has no float64, so these ascents run on the CPU
            double[cost.step * count] = EXACT_COST * single[cost.step * count]
            continue
        if not cost.exact_images:
            continue
        count = affordable(EXACT_COST * cost.step, cost.exact_images, kind)
        exact = deepcopy(scorer).to(torch.float64)
        double[cost.step * count] = _step(machine, exact, optimizer, cost, count)
    visit = time_visit(parts, machine, [cost.layer for cost in costs], find_peaks)
    if visit.operations > max(single):  # no large layer could be timed, but the search could
        single[2 * visit.operations] = 2 * visit.seconds
        double[2 * visit.operations] = 2 * visit.seconds * EXACT_COST
    return Pace(single), Pace(double or {n: EXACT_COST * s for n, s in single.items()})


def _timed(costs: Sequence[LayerCost], device: str) -> list[LayerCost]:
    """Return a small, a medium and a large layer among those small enough to be timed."""
    rising = sorted(costs, key=lambda cost: cost.step)
    chosen = [cost for cost in rising if affordable(cost.step, 2, device) > 1] or rising[:1]
    return list(dict.fromkeys((chosen[0], chosen[len(chosen) // 2], chosen[-1])))


def _step(
    machine: Machine, scorer: Any, optimizer: Optimizer, cost: LayerCost, count: int
) -> float:
    exact = next(scorer.parameters(), torch.empty(0)).dtype is torch.float64
    count = -(-count // cost.copies) * cost.copies
    units = [cost.unit] * count
    try:
        kind = torch.float64 if exact else torch.float32
        return step_seconds(machine, scorer, optimizer, units, cost.image, kind)
    except ArtiphysError:
        raise
    except Exception as error:  # a user's objective may raise anything
        reason = first_line(error)
        raise ConfigError(
            f"objective: a step of {count} units of {cost.layer.name} fails ({reason})"
        ) from error
