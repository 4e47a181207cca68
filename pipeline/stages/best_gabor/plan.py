"""The plan of a run: grids, best Gabors and comparisons, by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from pipeline.errors import ConfigError
from pipeline.networks.cropping import Crop
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.faults import Faults
from pipeline.run.identity import network_settings
from pipeline.search.presentation import field_of
from pipeline.stages.best_gabor import STAGE
from pipeline.stages.best_gabor.results import GRID, Compared, GridStarts, LayerGabors, Searched
from pipeline.stages.best_gabor.sources import (
    RANKS,
    AscentSource,
    PatchSource,
    ascent_source,
    patch_source,
)
from pipeline.stages.stage import Plan
from pipeline.stimuli.field import Colors
from pipeline.store.results import Result
from pipeline.synthesis.gabor_search import RMS, GaborSearch
from pipeline.synthesis.gabors import STARTS, gabor_climb
from pipeline.synthesis.plan import block_units

PLACES = {"grid": "best_gabor_grid", "patch": "best_gabor_patches", "ascent": "best_gabor_ascents"}


class GaborPlan(Plan[Any]):
    """The grids, the best Gabors and the comparisons of every layer.

    Attributes:
        faults: what cannot be searched, and why.
        sources: of the images of every layer with which Gabors are compared.
    """

    faults: Sequence[str] = ()
    sources: Sequence[PatchSource | AscentSource] = ()

    @property
    def consulted(self) -> list[Result]:
        """The searches and ascents with which Gabors are compared if there are any."""
        return [result for source in self.sources for result in source.results]

    @property
    def grids(self) -> list[GridStarts]:
        """The grids."""
        return [each for each in self if isinstance(each, GridStarts)]

    @property
    def gabors(self) -> list[LayerGabors]:
        """The best Gabors."""
        return [each for each in self if isinstance(each, LayerGabors)]

    @property
    def compared(self) -> list[Compared]:
        """The comparisons, of layers of whose images there are any."""
        return [each for each in self if isinstance(each, Compared)]


def plan_gabors(run: ActiveRun) -> GaborPlan:
    """Return what a run searches and compares, by layer."""
    faults = Faults()
    found: list[Any] = []
    sources: list[PatchSource | AscentSource] = []
    for layer in run.parts.layers:
        if run.parts.units[layer.name]:
            own = [patch_source(run, layer), ascent_source(run, layer)]
            sources += own
            found += faults.attempt(partial(_of_layer, run, layer, own)) or []
    plan = GaborPlan(found)
    plan.faults, plan.sources = faults.found, sources
    return plan


def gabor_faults(_run: ActiveRun, plan: GaborPlan) -> Iterator[str]:
    """Yield what cannot be searched, and what the store lacks for it."""
    yield from plan.faults
    for each in plan.grids:
        patches = each.of.patches
        if patches is not None and patches.reason:
            yield (
                f"best_gabor.rms: is null, for the contrast of top patches, but {patches.reason},"
                f" {patches.layer.name}, for these weights and images; add top_patches to stages,"
                f" or give a contrast, as in best_gabor.rms={RMS:g}"
            )
            return


def _of_layer(
    run: ActiveRun, layer: Layer, sources: Sequence[PatchSource | AscentSource]
) -> list[Any]:
    config = run.parts.config.best_gabor
    preprocessing = run.parts.network.preprocessing
    field = field_of(run.parts.graph, layer, Colors.bounds(preprocessing.mean, preprocessing.std))
    search = GaborSearch(field, config.color == "free", config.displayable)
    try:
        _ = search.limits
    except ConfigError as error:
        raise ConfigError(f"best_gabor.{error}") from error
    patches = next(source for source in sources if isinstance(source, PatchSource))
    units = run.parts.units[layer.name]
    rms = RMS if config.rms is None else config.rms
    of = Searched(layer, units, search, patches if config.rms is None else None, rms)
    gabors = _gabors(run, of)
    pairs = [(gabors, source) for source in sources if not source.reason]
    return [gabors.starts, gabors, *(_compared(run, *pair) for pair in pairs)]


def _gabors(run: ActiveRun, of: Searched) -> LayerGabors:
    layer, field, config = of.layer, of.search.field, run.parts.config.best_gabor
    canvas = run.parts.canvas(layer)
    settings: dict[str, Any] = {
        **network_settings(run),
        "layer": layer.identity,
        "units": list(of.units),
        "canvas": [*canvas.size, *canvas.position, *canvas.box],
        "black": list(field.colors.black),
        "white": list(field.colors.white),
        "color": config.color,
        "displayable": config.displayable,
        "rms": config.rms,
    }
    if of.patches is not None:
        settings |= {"top_patches": of.patches.results[0].key, "ranks": RANKS}
    name = f"{layer.name}/grid"
    grid = run.result(STAGE, layer.name, name, settings, [GRID], PLACES["grid"])
    cost = Crop(run.parts.graph, layer.node, canvas.size, canvas.position)
    block = block_units(cost, STARTS)
    climbed = {"grid": grid.key, "steps": config.steps, "block": block}
    items = [f"block-{n:04d}" for n in range(-(-len(of.units) // block))]
    result = run.result(STAGE, layer.name, layer.name, climbed, items)
    starts = GridStarts(of, grid)
    return LayerGabors(of, starts, gabor_climb(config.steps), block, result)


def _compared(run: ActiveRun, gabors: LayerGabors, source: PatchSource | AscentSource) -> Compared:
    layer = source.layer.name
    settings: dict[str, Any] = {
        "gabors": gabors.result.key,
        "images": [result.key for result in source.results],
    }
    if isinstance(source, PatchSource):
        settings["ranks"] = RANKS
    items, place = list(gabors.result.items), PLACES[source.name]
    result = run.result(STAGE, layer, f"{layer}/{source.name}", settings, items, place)
    return Compared(gabors, source, result)
