"""The cost of similarity: images read, compared and shown."""

from __future__ import annotations

from pipeline.analysis.similarity.catalog import FIELD, RESPONSES
from pipeline.analysis.similarity.nulls import UNITS
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.search.effective_fields import NoiseImages
from pipeline.stages.showing_cost import pass_operations
from pipeline.stages.similarity.plan import SimilarityPlan
from pipeline.stages.similarity.results import ComparedPair
from pipeline.stages.stage import Cost

FLOAT, DOUBLE = 4, 8  # bytes
PREPARED = 16  # values in float64 that are prepared of each value of an image, by all statistics


def similarity_cost(run: ActiveRun, plan: SimilarityPlan, _machine: Machine | None = None) -> Cost:
    """Return the cost of comparing all pairs; it is not timed."""
    if not plan.pairs:
        return Cost()
    sizes = {pair.result.name: _bytes(run, pair) for pair in plan.pairs}
    images = {pair.result.name: _rows(pair) * _values(run, pair) for pair in plan.pairs}
    whole = max(images.values())
    block = max(_block(pair) * _values(run, pair) for pair in plan.pairs)
    missing = [pair for pair in plan.pairs if pair.result.missing()]
    drawn = sum(_rows(pair) * _draws(run, pair) for pair in plan.pairs)
    return Cost(
        operations={"similarity": sum(_operations(run, plan, pair) for pair in plan.pairs)},
        disk=sum(sizes.values()),
        missing=sum(sizes[pair.result.name] for pair in missing),
        memory=block * PREPARED * DOUBLE,
        reading=6 * whole * FLOAT,  # two ascents: images, starts and what was added
        facts={"similarity": f"{drawn} comparisons by {len(plan.statistics)} statistics"},
    )


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
