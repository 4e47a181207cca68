"""The contents of a run's pages, gathered from the stored results of its stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pipeline.errors import ImageError, TransientError
from pipeline.figures.scaling import channel_note
from pipeline.networks.layers import Layer
from pipeline.pages.contents import Layer as ShownLayer
from pipeline.pages.contents import Picture, ShownAscent, ShownPreprocessing, Site
from pipeline.pages.encoded_images import to_bytes
from pipeline.run.active_run import ActiveRun
from pipeline.stages.ascent.results import Climb, ascents, find_climb
from pipeline.stages.correlations import STAGE as CORRELATIONS
from pipeline.stages.correlations.results import Pair, correlation_summary, correlations
from pipeline.stages.pages.sections import Found, layer_sections, stages_with_sections
from pipeline.stages.top_patches import STAGE as TOP_PATCHES
from pipeline.stages.top_patches.results import find_search, top_patches
from pipeline.store.results import WHOLE_LAYER

CHOICES = (
    "objective", "optimizer", "parameterization", "constraint", "regularizer", "smoothing",
    "transform", "gradient",
)  # fmt: skip


def site_contents(run: ActiveRun) -> Site:
    """Return the contents for the pages of a run, without results missing in the store."""
    parts = run.parts
    pairs = run.plan(CORRELATIONS)
    stages = stages_with_sections(run)
    return Site(
        facts=_facts(run),
        preprocessing=_preprocessing(run),
        inits=list(parts.inits),
        copies=parts.copies,
        layers=[_layer(run, layer, pairs, stages) for layer in parts.layers],
        picture=_Pictures(run),
        numbers={name: number for number, name in enumerate(run.images.names)},
        headline=_headline(run),
    )


def _facts(run: ActiveRun) -> dict[str, Any]:
    parts = run.parts
    config, model = parts.config, parts.network.name
    return {
        "title": f"{model}: {config.name}",
        "name": config.name,
        "run": run.paths.name,
        "version": version("artiphys"),
        "model": model,
        # A path would reveal details of the machine to readers of published pages.
        "weights": Path(parts.network.weights).name,
        "images": f"{len(run.images)} images ({run.images.settings['kind']})",
        "channels": parts.network.preprocessing.channels,
        "colors": channel_note(parts.network.preprocessing.channels),
        "seed": config.seed,
        "precision": config.precision,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "steps": _steps(run),
        **{group: parts.option(group) for group in CHOICES},
    }


def _steps(run: ActiveRun) -> int | None:
    steps = run.parts.config.optimizer.get("steps")
    return int(steps) if isinstance(steps, int) else None


def _preprocessing(run: ActiveRun) -> ShownPreprocessing:
    """Return how the image set was preprocessed; for arrays, how the network expects it."""
    settings = run.images.settings.get("preprocessing")
    return ShownPreprocessing(**(settings or run.parts.network.preprocessing.settings()))


def _headline(run: ActiveRun) -> Path | None:
    drawn = sorted(run.paths.figures.glob("correlations_*.png"))
    return drawn[0] if drawn else None


def _layer(run: ActiveRun, layer: Layer, pairs: Sequence[Pair], stages: Found) -> ShownLayer:
    parts = run.parts
    climbs = {init: find_climb(run, layer, init) for init in parts.inits}
    found = {init: climb for init, climb in climbs.items() if not climb.result.missing()}
    own = [pair for pair in pairs if pair.layer == layer]
    correlated = [pair for pair in own if not pair.result.missing()]
    search = find_search(run, layer)
    searched = not search.result.missing()
    patches = top_patches(run, [search] if searched else [])
    whole = [] if parts.scoring.per_unit else [WHOLE_LAYER]
    sections = layer_sections(run, stages, layer)
    of_units = parts.scoring.per_unit or searched or sections is not None
    units = parts.units[layer.name] if of_units else []
    box = parts.canvas(layer).box
    return ShownLayer(
        name=layer.name,
        module=layer.call,
        units=[*whole, *units],
        field=(box.height, box.width),
        image=parts.image_size(layer),
        searched=searched,
        climbed={init: init in found for init in climbs},
        correlated=bool(own) and len(correlated) == len(own),
        top_patches=patches.loc[patches["rank"] < parts.config.pages.ranks],
        ascents=ascents(run, list(found.values())),
        correlations=correlations(run, correlated),
        correlation_summary=correlation_summary(run, correlated),
        read=_Reading(list(found.values()), bool(parts.transforms)),
        sections=sections,
    )


class _Reading:
    """Reads the ascents of a layer block by block, as all at once may not fit in memory."""

    def __init__(self, climbs: Sequence[Climb], transformed: bool) -> None:
        self.climbs, self.transformed = climbs, transformed

    def __call__(self) -> Iterator[Mapping[int, Sequence[ShownAscent]]]:
        for blocks in zip(*(climb.blocks for climb in self.climbs), strict=True):
            units: dict[int, list[ShownAscent]] = {}
            for climb, block in zip(self.climbs, blocks, strict=True):
                for unit, ascent in self._ascents(climb, block):
                    units.setdefault(unit, []).append(ascent)
            yield units

    def _ascents(self, climb: Climb, block: str) -> Iterator[tuple[int, ShownAscent]]:
        names = ("units", "copies", "images", "starts", "responses")
        arrays, notes = climb.result.read(block, names)
        columns = (*(arrays[name] for name in names), notes["status"])
        for unit, copy, image, start, responses, status in zip(*columns, strict=True):
            yield (
                int(unit),
                ShownAscent(
                    climb.init, int(copy), image, start, responses, status, self.transformed
                ),
            )


class _Pictures:
    """Source images as the search saw them, in pixels."""

    def __init__(self, run: ActiveRun) -> None:
        self.images, self.preprocessing = run.images, _preprocessing(run)
        found = [search for search in run.plan(TOP_PATCHES) if not search.result.missing()]
        self.digests = found[0].extremes.digests if found else None

    def __call__(self, number: int) -> Picture:
        digest = None if self.digests is None else int(self.digests[number])
        try:
            image = self.images.read(number, digest).numpy()
        except (ImageError, TransientError) as error:
            raise ValueError(str(error)) from error
        pixels = self.preprocessing.to_pixels(image)
        low, high = (0.0, 1.0) if self.images.pixel_scale else _range(pixels)
        return Picture(to_bytes(pixels, low, high), low, high)


def _range(pixels: Float[np.ndarray, "_ _ 3"]) -> tuple[float, float]:
    return float(pixels.min()), float(pixels.max())
