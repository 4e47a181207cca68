"""The cost of evolution: counted, and timed on a machine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod

import torch

from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.run.pace import Pace, timed
from pipeline.stages.evolution.batches import batch_of
from pipeline.stages.evolution.plan import EvolutionPlan
from pipeline.stages.evolution.results import Searches
from pipeline.stages.stage import Cost
from pipeline.synthesis.evolution.batch import field_size

FLOAT, DOUBLE = 4, 8  # bytes
MEASURES = 5  # of a generation
TIMED = 20  # pictures of a timed pass
PASSES = 1.15  # of pure forward passes: what drawing and searching add, about


def evolution_cost(run: ActiveRun, plan: EvolutionPlan, machine: Machine | None = None) -> Cost:
    """Return the cost of the searches of a run: of their forward passes, in the network."""
    if not plan:
        return Cost()
    layers = {each.layer.name: each.layer for each in plan}
    shown = dict.fromkeys(layers, 0)
    for each in plan:
        if not each.measured:
            shown[each.layer.name] += _pictures(run, each)
    single = {name: batch_of(run, layer).costs.operations for name, layer in layers.items()}
    by_layer = {name: shown[name] * single[name] for name in layers}
    seconds: dict[str, float] = {}
    if machine is not None:
        seconds = _seconds(run, list(layers.values()), by_layer, single, machine)
    total = sum(shown.values())
    return Cost(
        operations={"evolution": sum(by_layer.values())},
        columns={"evolution": by_layer},
        disk=sum(_bytes(run, each, list(each.blocks)) for each in plan),
        missing=sum(_bytes(run, each, each.result.missing()) for each in plan),
        reading=sum(_bytes(run, each, list(each.blocks)) for each in plan),
        seconds={"evolution": sum(seconds.values())} if seconds else {},
        layer_seconds=seconds,
        facts={"shown": f"{total} pictures to {len(layers)} layers, by {_named(plan)}"},
    )


def _named(plan: Sequence[Searches]) -> str:
    names = dict.fromkeys(" + ".join(filter(None, each.method.names)) for each in plan)
    return ", ".join(names)


def _searches(run: ActiveRun, each: Searches, items: Sequence[str]) -> int:
    return run.parts.config.evolution.restarts * sum(len(each.blocks[item]) for item in items)


def _pictures(run: ActiveRun, each: Searches) -> int:
    """Return how many pictures go through the network; repeats do only once."""
    config = run.parts.config.evolution
    return _searches(run, each, list(each.blocks)) * max(1, config.queries // config.repeats)


def _bytes(run: ActiveRun, each: Searches, items: Sequence[str]) -> int:
    config = run.parts.config.evolution
    channels = len(run.parts.network.preprocessing.mean)
    image = channels * prod(field_size(run.parts.sized_network, each.layer)) * FLOAT
    generations = max(1, config.queries // (each.method.population * config.repeats))
    one = (1 + config.film) * image + MEASURES * DOUBLE * generations
    return _searches(run, each, items) * one


def _seconds(
    run: ActiveRun,
    layers: Sequence[Layer],
    work: dict[str, int],
    single: dict[str, int],
    machine: Machine,
) -> dict[str, float]:
    """Return the estimated seconds per layer, from a pass of up to three of them."""
    machine.runner.place(run.parts.network.module)
    rising = sorted(layers, key=lambda layer: single[layer.name])
    chosen = {each.name: each for each in (rising[0], rising[len(rising) // 2], rising[-1])}
    pace = Pace({TIMED * single[name]: _pass(run, each, machine) for name, each in chosen.items()})
    workers = machine.workers * machine.processes
    return {
        name: PASSES * pace(TIMED * single[name]) * work[name] / (TIMED * single[name]) / workers
        for name in work
    }


def _pass(run: ActiveRun, layer: Layer, machine: Machine) -> float:
    """Return the seconds in which pictures are prepared and shown to a unit."""
    batch = batch_of(run, layer)
    shape = (TIMED, len(run.parts.network.preprocessing.mean), *batch.size)
    pictures = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(batch.device)
    response = batch.response
    assert response is not None  # noqa: S101
    unit = torch.full((TIMED,), run.parts.units[layer.name][-1], device=batch.device)

    def show() -> None:
        with torch.inference_mode():
            response(batch.showing.prepare(pictures), unit).cpu()

    return timed(machine, partial(lambda do: do, show))
