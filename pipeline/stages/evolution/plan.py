"""The plan of a run: every layer, scored by every scorer, searched by every method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, partial

from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.faults import Faults
from pipeline.stages.ascent import STAGE as ASCENT
from pipeline.stages.evolution.batches import batch_of, experiment_of
from pipeline.stages.evolution.comparison import Comparison
from pipeline.stages.evolution.methods import methods, scorers
from pipeline.stages.evolution.references import read_references
from pipeline.stages.evolution.results import Searches, planned_searches
from pipeline.stages.stage import Plan
from pipeline.stages.top_patches import STAGE as TOP_PATCHES
from pipeline.store.results import Result
from pipeline.synthesis.evolution.scorers import Scorer
from pipeline.synthesis.evolution.showing import Preparation


class EvolutionPlan(Plan[Searches]):
    """The searches of every layer, scorer and method.

    Attributes:
        faults: what cannot be searched, and why.
        compared: results with which evolved images are compared, if the store holds them.
    """

    faults: Sequence[str] = ()
    compared: Sequence[Result] = ()

    @cached_property
    def comparisons(self) -> dict[str, Comparison]:
        """What the images of each layer are compared with, as far as it was computed."""
        return {}

    @property
    def consulted(self) -> list[Result]:
        """The top patches and ascents of the layers."""
        return list(self.compared)


def plan_evolution(run: ActiveRun) -> EvolutionPlan:
    """Return the searches of a run."""
    faults, parts = Faults(), run.parts
    seen = parts.network.preprocessing
    read = partial(read_references, parts.config.evolution.references, seen)
    references = faults.attempt(read)
    chosen, scored = methods(run, faults), scorers(run, faults)
    layers = [layer for layer in parts.layers if parts.units[layer.name]]
    plan = EvolutionPlan(
        planned_searches(run, layer, scorer, method, references)
        for layer in layers
        for scorer in scored
        for method in chosen
        if method.suits(scorer.made)
    )
    faults.attempt(lambda: experiment_of(run, None, None))
    plan.faults = faults.found
    compared = [run.plan(TOP_PATCHES), *([run.plan(ASCENT)] if parts.scoring.of_fields else [])]
    plan.compared = [result for each in compared for result in each.results]
    return plan


def evolution_faults(run: ActiveRun, plan: EvolutionPlan) -> Iterator[str]:
    """Yield what cannot be searched."""
    yield from plan.faults
    if plan.faults:
        return
    measured = dict.fromkeys(each.scorer.name for each in plan if each.measured)
    if measured and run.parts.runner.ranks.size > 1:
        yield (
            f"scorer.{next(iter(measured))}: a rig is shown the pictures of one process;"
            " use runner.devices=1"
        )
    faults = Faults()
    faults.attempt(
        lambda: Preparation(experiment_of(run, None, None), run.parts.network.preprocessing)
    )
    bits = run.parts.config.evolution.bits
    for each in {each.scorer.name: each.scorer for each in plan}.values():
        own = each.made.bits if isinstance(each.made, Scorer) else None
        if bits is not None and own is not None and bits != own:
            yield (
                f"evolution.bits: {bits} is given, and scorer '{each.name}' shows pictures of {own}"
                " bits; leave it out"
            )
    lacking = [each for each in plan if each.result.missing()]
    layers = {each.layer.name: each.layer for each in lacking}
    for name in dict.fromkeys([*layers][:1] + [*layers][-1:]):
        _try_generators(run, layers[name], lacking, faults)
    yield from faults.found


def _try_generators(
    run: ActiveRun, layer: Layer, searches: Sequence[Searches], faults: Faults
) -> None:
    """Build the generators of a layer; those that learn from images take long, and are left out."""
    batch = batch_of(run, layer)
    drawn = {
        each.method.generator.name: each.method.generator.made
        for each in searches
        if each.method.generator is not None
    }
    for name, generator in drawn.items():
        if not generator.images:
            faults.attempt(lambda n=name, g=generator: batch.generator(n, g))
