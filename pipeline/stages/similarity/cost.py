"""The cost of similarity: images read, compared and shown."""

from __future__ import annotations

import numpy as np

from pipeline.analysis.similarity.catalog import FIELD, RESPONSES
from pipeline.analysis.similarity.nulls import UNITS
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.run.pace import Pace, timed
from pipeline.search.effective_fields import NoiseImages
from pipeline.search.image_similarity import Rivals, View, Wanted, compare_rivals, view_of
from pipeline.stages.showing_cost import pass_operations
from pipeline.stages.similarity.plan import SimilarityPlan, noise_images
from pipeline.stages.similarity.results import ComparedPair
from pipeline.stages.stage import Cost

FLOAT, DOUBLE = 4, 8  # bytes
VALUE_OPERATIONS = 5000  # of a network in the time of comparing one value by all statistics, about
TIMED = 8  # images; a whole block has up to 64, and takes hardly less for each
SHORTEST = 0.1  # of the time of an image without nulls, that a draw takes at least
PREPARED = 16  # values in float64 that are prepared of each value of an image, by all statistics


def similarity_cost(run: ActiveRun, plan: SimilarityPlan, machine: Machine | None = None) -> Cost:
    """Return the cost of comparing all pairs; given a machine, with times measured on it."""
    if not plan.pairs:
        return Cost()
    sizes = {pair.result.name: _bytes(run, pair) for pair in plan.pairs}
    images = {pair.result.name: _rows(pair) * _values(run, pair) for pair in plan.pairs}
    whole = max(images.values())
    block = max(_block(pair) * _values(run, pair) for pair in plan.pairs)
    missing = [pair for pair in plan.pairs if pair.result.missing()]
    drawn = sum(_rows(pair) * _draws(run, pair) for pair in plan.pairs)
    operations = {layer.name: 0 for layer in _layers(plan)}
    for pair in plan.pairs:
        operations[pair.layer.name] += _operations(run, plan, pair)
    by_layer = {} if machine is None else _seconds(run, plan, machine)
    return Cost(
        operations={"similarity": sum(operations.values())},
        columns={"similarity": operations},
        disk=sum(sizes.values()),
        missing=sum(sizes[pair.result.name] for pair in missing),
        memory=block * PREPARED * DOUBLE,
        reading=6 * whole * FLOAT,  # two ascents: images, starts and what was added
        seconds={"similarity": sum(by_layer.values())} if by_layer else {},
        layer_seconds=by_layer,
        facts={"similarity": f"{drawn} comparisons by {len(plan.statistics)} statistics"},
    )


def _layers(plan: SimilarityPlan) -> list[Layer]:
    return list({pair.layer.name: pair.layer for pair in plan.pairs}.values())


def _seconds(run: ActiveRun, plan: SimilarityPlan, machine: Machine) -> dict[str, float]:
    """Return the estimated seconds of every layer, from some images of up to three layers."""
    machine.runner.place(run.parts.network.module)
    of_layer: dict[str, list[ComparedPair]] = {}
    for pair in plan.pairs:
        of_layer.setdefault(pair.layer.name, []).append(pair)
    size = {name: _size(run, pairs[0].layer) for name, pairs in of_layer.items()}
    rising = sorted(of_layer, key=lambda name: size[name])
    chosen = dict.fromkeys((rising[0], rising[len(rising) // 2], rising[-1]))
    timed_layers = {
        size[name]: _time_images(run, plan, of_layer[name][0].layer, machine) for name in chosen
    }
    first = Pace({size: own for size, (own, _) in timed_layers.items()})
    drawn = Pace({size: each for size, (_, each) in timed_layers.items()})
    busy = machine.workers * machine.processes
    return {
        name: sum(
            _rows(pair) * (first(size[name]) + (_draws(run, pair) - 1) * drawn(size[name]))
            for pair in pairs
        )
        / busy
        for name, pairs in of_layer.items()
    }


def _size(run: ActiveRun, layer: Layer) -> int:
    """Return what the time of a comparison grows with: values of an image, and a pass over it."""
    height, width = run.parts.image_size(layer)
    return VALUE_OPERATIONS * 3 * height * width + pass_operations(run, layer, layer.units)


def _time_images(
    run: ActiveRun, plan: SimilarityPlan, layer: Layer, machine: Machine
) -> tuple[float, float]:
    """Return the seconds of one image without nulls, and those of one draw of an image."""
    every = dict.fromkeys([*run.parts.climbed_units(layer), *range(layer.units)])
    units = np.array([*every][:TIMED])
    rng = np.random.default_rng(0)
    shape = (len(units), 3, *run.parts.image_size(layer))
    a, b = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    own = np.arange(len(units))
    rivals = Rivals(a, b, units, 0 * own, own >= 0)
    needs = {each.needs for each in plan.statistics}
    view = view_of(run.parts.graph, layer, needs, noise_images(run), machine.device)
    kinds = run.parts.config.similarity.nulls or [UNITS]

    def seconds(draws: int, alone: View) -> float:
        wanted = Wanted(plan.statistics, kinds if draws else [], draws)
        compared = timed(machine, lambda: lambda: compare_rivals(rivals, alone, wanted))
        return compared / len(units)

    weights = None if view.weights is None else np.ones((len(units), *shape[2:]))
    given = View(view.respond, None if weights is None else lambda some: weights[: len(some)])
    none, one = seconds(0, given), seconds(1, given)
    return seconds(0, view), max((one - none) / len(kinds), SHORTEST * none)


def _rows(pair: ComparedPair) -> int:
    return max(rows.stop for rows in pair.blocks.values())


def _block(pair: ComparedPair) -> int:
    return max(rows.stop - rows.start for rows in pair.blocks.values())


def _values(run: ActiveRun, pair: ComparedPair) -> int:
    height, width = run.parts.image_size(pair.layer)
    return 3 * height * width


def _draws(run: ActiveRun, pair: ComparedPair) -> int:
    """Return how many images each image is compared with."""
    config = run.parts.config.similarity
    others = max(len(pair.climbs[0].units) - 1, 0)
    counts = [min(config.draws, others) if k == UNITS else config.draws for k in config.nulls]
    return 1 + sum(counts)


def _bytes(run: ActiveRun, pair: ComparedPair) -> int:
    return _rows(pair) * DOUBLE * (2 + len(pair.statistics) * _draws(run, pair))


def _operations(run: ActiveRun, plan: SimilarityPlan, pair: ComparedPair) -> int:
    """Return the operations of the network on images and on scrambled ones."""
    needs = {each.needs for each in plan.statistics}
    config, rows, operations = run.parts.config.similarity, _rows(pair), 0
    if RESPONSES in needs:
        scrambled = sum(kind != UNITS for kind in config.nulls) * config.draws
        every = pass_operations(run, pair.layer, pair.layer.units)
        operations += rows * (2 + scrambled) * every
    if FIELD in needs:
        operations += rows * 2 * NoiseImages.count * pass_operations(run, pair.layer, 1)
    return int(operations)
