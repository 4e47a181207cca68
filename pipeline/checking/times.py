"""How long a job would take here, from its counted operations and a few timed batches."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from pipeline.checking.costs import LayerCost
from pipeline.checking.found import SAMPLE, Found
from pipeline.checking.machine import Machine
from pipeline.checking.pace import Pace, affordable, load_seconds, step_seconds, visit_seconds
from pipeline.config.parts import Parts
from pipeline.config.schema import Config
from pipeline.errors import ArtiphysError, ConfigError, first_line
from pipeline.images.batches import spread
from pipeline.networks.graph.counting import forward_operations
from pipeline.networks.responses import LayerResponses
from pipeline.synthesis.optimizers import Optimizer

EXACT_COST = 4  # how many times as long float64 takes, where it is not timed


@dataclass(frozen=True)
class Times:
    """Seconds that a job takes here.

    Attributes:
        search: of the whole search.
        ascents: of all ascents of each layer, by its name.
    """

    search: float
    ascents: dict[str, float]


def measure(config: Config, found: Found, costs: Sequence[LayerCost]) -> Times | None:
    """Time a few batches and return how long a job would take.

    Returns:
        ``None`` where something is lacking.

    Raises:
        ArtiphysError: the objective fails on a batch.
    """
    costs = [cost for cost in costs if cost.units]
    machine, parts = found.machine, found.parts(config)
    if machine is None or parts is None or not costs:
        return None
    images, optimizer = parts.images, parts.optimizer
    machine.runner.place(parts.network.module)
    # Neighbors of those that have been read: what is read twice may come from memory.
    neighbors = [(index + 1) % len(images) for index in spread(len(images), SAMPLE)]
    loading = load_seconds(images, neighbors) / machine.threads
    visit = _visit(parts, machine, costs)
    search, ascents = 0.0, dict.fromkeys((cost.layer.name for cost in costs), 0.0)
    if "top_patches" in config.stages:
        search = len(images) * _image_seconds(machine, visit, loading)
    if "ascent" in config.stages:
        pace, exact = _paces(parts, machine, optimizer, costs, visit)
        patches = sum(init.needs_top_patches for init in found.inits.values())
        looks = max((transform.looks for transform in parts.transforms.values()), default=1)
        for cost in costs:
            climbing = (
                looks * len(found.inits) * _climb_seconds(cost, machine, optimizer, pace, exact)
            )
            starting = patches * (cost.images + cost.exact_images) * loading
            ascents[cost.layer.name] = climbing + starting / machine.processes
    return Times(search, ascents)


class Visit(NamedTuple):
    """A batch of the search that was timed: images, operations, and the seconds of a lane."""

    images: int
    operations: int
    seconds: float


def _visit(parts: Parts, machine: Machine, costs: Sequence[LayerCost]) -> Visit:
    graph, images, layers = parts.graph, parts.images, [cost.layer for cost in costs]
    forward = forward_operations(graph, [layer.node for layer in layers])
    whole = min(parts.config.search.batch_size, len(images))
    count = affordable(forward, whole, machine.device.type)
    seconds = visit_seconds(machine, LayerResponses(graph, layers), images, count)
    return Visit(count, forward * count, seconds)


def _image_seconds(machine: Machine, visit: Visit, loading: float) -> float:
    """Return the seconds of searching one image."""
    seeing = visit.seconds / visit.images / machine.lanes
    # A lane of a CPU reads what it computes; other devices compute while threads read.
    cpu = machine.device.type == "cpu"
    return (seeing + loading if cpu else max(seeing, loading)) / machine.processes


def _climb_seconds(
    cost: LayerCost, machine: Machine, optimizer: Optimizer, pace: Pace, exact: Pace
) -> float:
    """Return the seconds of climbing a layer from one init."""
    together = cost.together(machine.device.type)
    whole, rest = divmod(cost.images, together)
    step = whole * pace(cost.step * together) + (pace(cost.step * rest) if rest else 0.0)
    step += exact(cost.step * cost.exact_images)
    # The last response has no gradient.
    return step * (optimizer.steps + 0.5) / machine.lanes / machine.processes


def _paces(
    parts: Parts,
    machine: Machine,
    optimizer: Optimizer,
    costs: Sequence[LayerCost],
    visit: Visit,
) -> tuple[Pace, Pace]:
    """Time steps in float32 and in float64."""
    single: dict[int, float] = {}
    double: dict[int, float] = {}
    kind = machine.device.type
    for cost in _timed(costs, kind):
        scorer: Any = parts.scorer(cost.layer)
        count = affordable(cost.step, cost.together(kind), kind)
        single[cost.step * count] = _step(machine, scorer, optimizer, cost, count)
        if kind == "mps":  # which has no float64, so that a CPU climbs instead
            double[cost.step * count] = EXACT_COST * single[cost.step * count]
            continue
        count = affordable(EXACT_COST * cost.step, cost.exact_images, kind)
        exact = deepcopy(scorer).to(torch.float64)
        double[cost.step * count] = _step(machine, exact, optimizer, cost, count)
    if visit.operations > max(single):  # no large layer could be timed, but the search could
        single[2 * visit.operations] = 2 * visit.seconds
        double[2 * visit.operations] = 2 * visit.seconds * EXACT_COST
    return Pace(single), Pace(double)


def _timed(costs: Sequence[LayerCost], device: str) -> list[LayerCost]:
    """Return a small, a middle and a large layer, of those that are not too large to be timed."""
    rising = sorted(costs, key=lambda cost: cost.step)
    chosen = [cost for cost in rising if affordable(cost.step, 2, device) > 1] or rising[:1]
    return list(dict.fromkeys((chosen[0], chosen[len(chosen) // 2], chosen[-1])))


def _step(
    machine: Machine, scorer: Any, optimizer: Optimizer, cost: LayerCost, count: int
) -> float:
    exact = next(scorer.parameters(), torch.empty(0)).dtype is torch.float64
    count = -(-count // cost.copies) * cost.copies
    units = [cost.units[0]] * count
    try:
        return step_seconds(
            machine, scorer, optimizer, units, torch.float64 if exact else torch.float32
        )
    except ArtiphysError:
        raise
    except Exception as error:  # what an objective can raise has no end
        reason = first_line(error)
        raise ConfigError(
            f"objective: a step of {count} units of {cost.layer.name} fails ({reason})"
        ) from error
