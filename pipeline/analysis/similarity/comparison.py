"""Similarity of two sets of images beside what chance gives: values, draws of nulls, p values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int

from pipeline.analysis.similarity.catalog import RESPONSES, Sample, Statistic
from pipeline.analysis.similarity.nulls import (
    DRAWN,
    NOISE,
    NULLS,
    PHASE,
    UNITS,
    matched_noise,
    phase_scrambled,
)
from pipeline.errors import ConfigError, nearest

Images = Float[np.ndarray, "images channels height width"]
Draws = Float[np.ndarray, "statistics draws images"]
SCRAMBLED = {PHASE: phase_scrambled, NOISE: matched_noise}


@dataclass(frozen=True, eq=False)
class Similarities:
    """Similarity of pairs of images by several statistics, and draws of nulls.

    Attributes:
        statistics: names, in the order of the arrays.
        values: by statistic and image; NaN where undefined.
        draws: by name of the null, as many as were drawn; NaN where undefined.
    """

    statistics: Sequence[str]
    values: Float[np.ndarray, "statistics images"]
    draws: Mapping[str, Draws] = field(default_factory=dict[str, Draws])


@dataclass(frozen=True)
class NullDraws:
    """Which nulls are drawn, and how.

    Attributes:
        kinds: names of nulls.
        count: draws of each of them.
        partners: index of the image of another unit, by draw and image; -1 where there is none.
        seeds: of the random numbers of each image.
        respond: returns the responses of all units of the layer to images; needed by statistics of
            responses.
        check: called between draws; raises an error to stop.
    """

    kinds: Sequence[str]
    count: int
    partners: Int[np.ndarray, "draws images"]
    seeds: Sequence[Sequence[int]]
    respond: Callable[[Images], Float[np.ndarray, "images units"]] | None = None
    check: Callable[[], None] = lambda: None


def check_nulls(names: Sequence[str], known: Sequence[str] = DRAWN) -> None:
    """Raise an error if a null is unknown or given twice.

    Raises:
        ConfigError: so it is.
    """
    for name in names:
        if name not in known:
            raise ConfigError(
                f"nulls: '{name}' is not one of {', '.join(known)}{nearest(name, known)}"
            )
    if len(set(names)) < len(names):
        raise ConfigError(f"nulls: {list(names)} names a null twice")


def compare(
    own: Sample,
    second: Sample,
    at: Int[np.ndarray, " images"],
    statistics: Sequence[Statistic],
    nulls: NullDraws,
) -> Similarities:
    """Compare images with some of those of a second sample, one by one, and draw nulls.

    Args:
        own: one image of each unit and copy.
        second: the other image of each; images of further units serve as null.
        at: which image of the second sample belongs to each of the first.
        statistics: what is computed.
        nulls: what is drawn, for all images of the second sample.
    """
    rival = second.taken(at, own=own)
    with _quiet():
        prepared = [each.prepare(own) for each in statistics]

    def against(sample: Sample) -> Float[np.ndarray, "statistics images"]:
        nulls.check()
        with _quiet():
            found = [
                each.compare(ready, each.prepare(sample))
                for each, ready in zip(statistics, prepared, strict=True)
            ]
        return np.stack(found) if found else np.empty((0, len(at)))

    values = against(rival)
    draws: dict[str, Draws] = {}
    for kind in nulls.kinds:
        if kind == UNITS:
            drawn = [_against_others(against, own, second, some[at]) for some in nulls.partners]
        else:
            drawn = _against_scrambled(against, rival, kind, nulls, at, statistics)
        empty = np.empty((len(statistics), 0, len(at)))
        draws[kind] = np.stack(drawn, axis=1) if drawn else empty
    return Similarities([each.name for each in statistics], values, draws)


def _quiet() -> np.errstate:
    """Do not warn of images that are not finite: their similarity is NaN."""
    return np.errstate(invalid="ignore", divide="ignore", over="ignore")


Against = Callable[[Sample], Float[np.ndarray, "statistics images"]]


def _against_others(
    against: Against, own: Sample, second: Sample, partners: Int[np.ndarray, " images"]
) -> Float[np.ndarray, "statistics images"]:
    there = partners >= 0
    found = against(second.taken(np.where(there, partners, 0), own=own))
    return np.where(there, found, np.nan)


def _against_scrambled(
    against: Against,
    rival: Sample,
    kind: str,
    nulls: NullDraws,
    at: Int[np.ndarray, " images"],
    statistics: Sequence[Statistic],
) -> list[Float[np.ndarray, "statistics images"]]:
    number = list(NULLS).index(kind)
    rngs = [np.random.default_rng([*nulls.seeds[row], number]) for row in at.tolist()]
    respond = nulls.respond if any(each.needs == RESPONSES for each in statistics) else None
    found: list[Float[np.ndarray, "statistics images"]] = []
    for _ in range(nulls.count):
        with _quiet():
            images = SCRAMBLED[kind](rival.images, rngs)
        responses = None if respond is None else respond(images)
        found.append(against(replace(rival, images=images, responses=responses)))
    return found


def without(found: Similarities, undefined: np.ndarray) -> Similarities:
    """Return similarities with NaN for some images, such as those of ascents that failed."""
    values = np.where(undefined, np.nan, found.values)
    draws = {kind: np.where(undefined, np.nan, drawn) for kind, drawn in found.draws.items()}
    return replace(found, values=values, draws=draws)


def joined(parts: Sequence[Similarities]) -> Similarities:
    """Return similarities of several sets of images as one."""
    draws = {
        kind: np.concatenate([part.draws[kind] for part in parts], axis=2)
        for kind in parts[0].draws
    }
    values = np.concatenate([part.values for part in parts], axis=1)
    return Similarities(parts[0].statistics, values, draws)
