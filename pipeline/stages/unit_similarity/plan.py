"""The plan of a run: pairs of units of every layer and init, and facets of their images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.images.batches import split
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.identity import canvas_settings
from pipeline.run.image_blocks import image_blocks
from pipeline.search.transfer import TOGETHER
from pipeline.search.unit_similarity import FEWEST, SIDE
from pipeline.stages.ascent.results import find_climb
from pipeline.stages.set_responses import set_settings
from pipeline.stages.stage import Plan
from pipeline.stages.top_patches.results import find_search, read_patches
from pipeline.stages.unit_similarity import STAGE
from pipeline.stages.unit_similarity.results import (
    ALL,
    ComparedUnits,
    Norms,
    UnitFacets,
    UnitImages,
)
from pipeline.store.results import Result
from pipeline.store.runs import read_images
from pipeline.synthesis.evolution.contrast import at_contrast

NORMS, FACETS = "unit_norms", "unit_facets"  # folders of the store
BLOCK = 16  # units of a work item of facets
CONTRAST = 1.0  # of ascents when other units see them: that of photographs


class UnitPlan(Plan[Any]):
    """Responses to the image set, compared units, and facets."""

    @property
    def norms(self) -> list[Norms]:
        """Responses to the image set, of each layer."""
        return [each for each in self if isinstance(each, Norms)]

    @property
    def compared(self) -> list[ComparedUnits]:
        """Compared units, of each layer and init."""
        return [each for each in self if isinstance(each, ComparedUnits)]

    @property
    def facets(self) -> list[UnitFacets]:
        """Facets, of each layer, kind and init."""
        return [each for each in self if isinstance(each, UnitFacets)]


def plan_units(run: ActiveRun) -> UnitPlan:
    """Return what is compared; nothing if ascents are not of units."""
    if not run.parts.scoring.per_unit:
        return UnitPlan()
    return UnitPlan(item for layer in run.parts.layers for item in _of_layer(run, layer))


def unit_faults(run: ActiveRun, plan: UnitPlan) -> Iterator[str]:
    """Yield what cannot be compared, and what the store lacks for it."""
    stages = run.parts.config.stages
    if not run.parts.scoring.per_unit:
        yield (
            "stages: unit_similarity compares units, and ascents of this objective are of whole"
            " layers; use objective=[unit_response], or leave it out"
        )
    for each in plan.compared:
        if len(each.climb.units) < 2:
            yield (
                f"units: unit_similarity compares units of {each.layer.name} with each other, and"
                f" {len(each.climb.units)} is chosen; choose 2 or more"
            )
    if len(run.images) < 2:
        yield (
            "images: unit_similarity compares responses over the image set, which has"
            f" {len(run.images)} image; choose 2 or more"
        )
    wanted = [(each.result, each.climb.result, each.layer, each.init) for each in plan.compared]
    wanted += [(e.result, e.images.of, e.layer, e.images.init) for e in plan.facets]
    for result, images, layer, init in wanted:
        if images.stage not in stages and result.missing() and images.missing():
            what = f"ascents of {layer.name} from {init}" if init else f"patches of {layer.name}"
            yield f"unit_similarity: the store holds no {what}; add {images.stage} to stages"


def _of_layer(run: ActiveRun, layer: Layer) -> Iterator[Any]:
    config = run.parts.config.unit_similarity
    if not run.parts.units[layer.name]:
        return
    settings = {**set_settings(run, layer), "at": config.at}
    items, name = list(image_blocks(run)), f"{layer.name}/set"
    norms = Norms(layer, config.at, run.result(STAGE, layer.name, name, settings, items, NORMS))
    yield norms
    for init in run.parts.inits:
        yield _compared(run, layer, init, norms)
    if config.draws:
        for images in _images(run, layer):
            if images.each >= FEWEST:
                yield _facets(run, layer, images, norms)


def _compared(run: ActiveRun, layer: Layer, init: str, norms: Norms) -> ComparedUnits:
    config, climb = run.parts.config.unit_similarity, find_climb(run, layer, init)
    settings = {
        "ascent": climb.result.key,
        "responses": norms.result.key,
        "layer": layer.identity,
        **{name: getattr(config, name) for name in ("at", "shift", "groups", "permutations")},
        "side": SIDE,
        "seed": run.parts.config.seed,
    }
    result = run.result(STAGE, layer.name, f"{layer.name}/{init}", settings, [ALL])
    return ComparedUnits(run, layer, climb, norms, result)


def _facets(run: ActiveRun, layer: Layer, images: UnitImages, norms: Norms) -> UnitFacets:
    config = run.parts.config.unit_similarity
    blocks = {
        f"block-{n:04d}": images.units[part.start : part.stop]
        for n, part in enumerate(split(len(images.units), BLOCK))
    }
    settings = {
        "images": [images.kind, images.of.key, images.each],
        "responses": norms.result.key,
        "network": canvas_settings(run, layer),
        "units": list(images.units),
        "most": config.most,
        "draws": config.draws,
        "contrast": CONTRAST if images.init else None,
        "together": TOGETHER,
        "block": BLOCK,
        "seed": run.parts.config.seed,
    }
    name = "/".join(filter(None, (layer.name, images.kind, images.init)))
    result = run.result(STAGE, layer.name, name, settings, [*blocks], FACETS)
    return UnitFacets(run, layer, images, norms, blocks, result)


def _images(run: ActiveRun, layer: Layer) -> Iterator[UnitImages]:
    parts, units = run.parts, run.parts.units[layer.name]
    for init in parts.inits:
        climb = find_climb(run, layer, init).result
        yield UnitImages("ascent", init, units, parts.copies, climb, _copies(run, climb))
    config = parts.config
    each = min(config.unit_similarity.patches, config.search.keep, len(run.images))
    search = find_search(run, layer).result
    yield UnitImages("top_patch", "", units, each, search, _patches(run, layer, each))


Several = Mapping[int, tuple[Tensor, list[int]]]


def _copies(run: ActiveRun, climb: Result) -> Callable[[Sequence[int]], Several]:
    """Return what reads the ascents of some units, at the contrast of photographs."""

    def read(units: Sequence[int]) -> Several:
        found = read_images(climb)
        good = np.array([status == "ok" for status in found.status])
        own = {unit: np.flatnonzero((found.units == unit) & good) for unit in units}
        return {
            unit: (shown(found.image[at]), found.copies[at].tolist()) for unit, at in own.items()
        }

    def shown(images: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(images)
        made_in = run.parts.network.preprocessing
        return at_contrast(tensor, CONTRAST, made_in) if len(tensor) else tensor

    return read


def _patches(run: ActiveRun, layer: Layer, each: int) -> Callable[[Sequence[int]], Several]:
    """Return what reads the strongest patches of some units, as they are."""

    def read(units: Sequence[int]) -> Several:
        by_rank = [read_patches(run, layer, units, rank, 1) for rank in range(each)]
        together = torch.stack(by_rank, 1)
        ranks = list(range(each))
        return {unit: (own, ranks) for unit, own in zip(units, together, strict=True)}

    return read
