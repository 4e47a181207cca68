"""What the pages of a run show, gathered from what its stages have left in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pipeline.config.parts import WHOLE_LAYER
from pipeline.errors import ImageError, TransientError
from pipeline.networks.layers import Layer
from pipeline.pages.contents import Layer as ShownLayer
from pipeline.pages.contents import Picture, ShownAscent, ShownPreprocessing, Site
from pipeline.pages.unit_images import to_bytes
from pipeline.session.climbed import Climb, ascents, find_climb
from pipeline.session.correlated import Pair, all_pairs, correlation_summary, correlations
from pipeline.session.searched import extremes_result, read_extremes, top_patches
from pipeline.session.session import Session

CHOICES = (
    "objective", "optimizer", "parameterization", "constraint", "regularizer", "smoothing",
    "transform", "gradient",
)  # fmt: skip


def shown(session: Session) -> Site:
    """Return all that there is to show of a run; what is missing in the store is left out."""
    parts = session.parts
    pairs = all_pairs(session)
    return Site(
        facts=_facts(session),
        preprocessing=_preprocessing(session),
        inits=list(parts.inits),
        copies=parts.copies,
        layers=[_layer(session, layer, pairs) for layer in parts.layers],
        picture=_Pictures(session),
        numbers={name: number for number, name in enumerate(session.images.names)},
        headline=_headline(session),
    )


def _facts(session: Session) -> dict[str, Any]:
    parts = session.parts
    config, model = parts.config, parts.network.name
    return {
        "title": f"{model}: {config.name}",
        "name": config.name,
        "run": session.paths.name,
        "version": version("artiphys"),
        "model": model,
        # A path would tell readers of published pages about the machine.
        "weights": Path(parts.network.weights).name,
        "images": f"{len(session.images)} images ({session.images.settings['kind']})",
        "seed": config.seed,
        "precision": config.precision,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "steps": _steps(session),
        **{group: parts.option(group) for group in CHOICES},
    }


def _steps(session: Session) -> int | None:
    steps = session.parts.config.optimizer.get("steps")
    return int(steps) if isinstance(steps, int) else None


def _preprocessing(session: Session) -> ShownPreprocessing:
    """Return how the image set was preprocessed; how the network wants it, for arrays."""
    settings = session.images.settings.get("preprocessing")
    return ShownPreprocessing(**(settings or session.parts.network.preprocessing.settings()))


def _headline(session: Session) -> Path | None:
    drawn = sorted(session.paths.figures.glob("correlations_*.png"))
    return drawn[0] if drawn else None


def _layer(session: Session, layer: Layer, pairs: Sequence[Pair]) -> ShownLayer:
    parts = session.parts
    climbs = {init: find_climb(session, layer, init) for init in parts.inits}
    found = {init: climb for init, climb in climbs.items() if not climb.result.missing()}
    own = [pair for pair in pairs if pair.layer == layer]
    correlated = [pair for pair in own if not pair.result.missing()]
    searched = not extremes_result(session, layer).missing()
    patches = top_patches(session, [layer] if searched else [])
    whole = [] if parts.scoring.per_unit else [WHOLE_LAYER]
    units = parts.units[layer.name] if parts.scoring.per_unit or searched else []
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
        ascents=ascents(session, list(found.values())),
        correlations=correlations(session, correlated),
        correlation_summary=correlation_summary(session, correlated),
        read=_Reading(list(found.values()), bool(parts.transforms)),
    )


class _Reading:
    """Reads the ascents of a layer, block by block: all at once may not fit the memory."""

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
    """Source images as they were searched, in pixels."""

    def __init__(self, session: Session) -> None:
        self.images, self.preprocessing = session.images, _preprocessing(session)
        searched = [x for x in session.parts.layers if not extremes_result(session, x).missing()]
        self.digests = read_extremes(session, searched[0]).digests if searched else None

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
