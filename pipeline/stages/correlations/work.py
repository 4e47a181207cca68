"""Correlate what ascents from two inits added to their starting images, unit by unit."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from pipeline.analysis.similarity import pearson
from pipeline.analysis.statistics import shuffled_partners, unit_means
from pipeline.errors import StoreError
from pipeline.run.active_run import ActiveRun
from pipeline.stages.correlations.results import Pair, paired, random_numbers
from pipeline.store.runs import Images, read_images

log = logging.getLogger(__name__)


def correlate(run: ActiveRun, pairs: Sequence[Pair]) -> None:
    """Correlate every pair of inits in every layer."""
    if len(run.parts.inits) < 2 and run.parts.copies < 2:
        log.info("correlations: there is only one init, so there is nothing to correlate")
    for pair in pairs:
        if pair.result.missing():
            run.begin(pair.result, "begun")
            _correlate(run, pair)
            run.begin(pair.result, "finished")


def _correlate(run: ActiveRun, pair: Pair) -> None:
    for climb in (*pair.climbs, *pair.exact):
        if climb.result.missing():
            raise StoreError(
                f"correlations: the store does not hold all ascents of {climb.layer.name} from"
                f" '{climb.init}' for this configuration; add ascent to stages"
            )
    read = [read_images(climb.result) for climb in pair.climbs]
    images = paired(pair.inits, read)
    status = [_first_failure(*both) for both in zip(*(i.status for i in images), strict=True)]
    ok = np.array([reason == "ok" for reason in status])
    first, second = (found.added for found in images)
    r = np.where(ok, pearson(first, second), np.nan)
    partners = _other_units(images[0], random_numbers(run, pair, "null"))
    # A layer with a single unit has no other unit for the null.
    comparable = ok & ok[partners] & (partners != np.arange(len(r)))
    arrays = {
        "units": images[0].units,
        "copies": images[0].copies,
        "r": r,
        "null_r": np.where(comparable, pearson(first, second[partners]), np.nan),
        "noise_ceiling": np.array([_pair_noise_ceiling(pair, read)]),
    }
    status = [
        "undefined" if np.isnan(value) and reason == "ok" else reason
        for value, reason in zip(r, status, strict=True)
    ]
    pair.result.write("pairs", arrays, {"status": status})
    run.done += 1


def _other_units(images: Images, rng: np.random.Generator) -> Int[np.ndarray, " images"]:
    """Return for each image the same copy of another unit; itself if there is no other unit."""
    copies = int(images.copies.max()) + 1
    units = shuffled_partners(len(images.units) // copies, rng)
    return (units[:, None] * copies + np.arange(copies)).ravel()


def _first_failure(first: str, second: str) -> str:
    return first if first != "ok" else second


def _pair_noise_ceiling(pair: Pair, images: list[Images]) -> float:
    """Return the lower noise ceiling of both inits: no correlation of the pair can mean more."""
    ceilings = [
        _noise_ceiling(found, read_images(climb.result))
        for found, climb in zip(images, pair.exact, strict=True)
    ]
    return float(np.min(ceilings))


def _noise_ceiling(images: Images, exact: Images) -> float:
    """Return the median over some units of r between their float32 and float64 ascents."""
    at = np.flatnonzero(np.isin(images.units, exact.units))
    r = unit_means(exact.units, pearson(images.added[at], exact.added))
    return float(np.median(r[np.isfinite(r)])) if np.isfinite(r).any() else float("nan")
