"""Stage: correlate what was added from different inits."""

from __future__ import annotations

import hashlib
import logging
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.analysis.similarity import pearson
from pipeline.analysis.statistics import shuffled_partners, summarize
from pipeline.errors import StoreError
from pipeline.networks.layers import Layer
from pipeline.stages.ascent import Climb, find_climb
from pipeline.stages.session import Session
from pipeline.store.results import Result
from pipeline.store.runs import Images, read_images
from pipeline.store.tables import COLUMNS

log = logging.getLogger(__name__)


def run(session: Session) -> None:
    """Correlate every pair of inits in every layer, and write the two tables."""
    if len(session.parts.inits) < 2:
        log.info("correlations: one init only, so there is nothing to correlate")
    table, summary = tables(session)
    session.table("correlations", table)
    session.table("correlation_summary", summary)


def tables(session: Session) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the correlations by unit and their summary by layer, computing what is missing."""
    found = [
        _correlate(session, layer, first, second)
        for layer in session.parts.layers
        for first, second in combinations(session.parts.inits, 2)
    ]
    columns = list(COLUMNS["correlations"])
    rows = [rows for rows, _ in found] or [pd.DataFrame(columns=columns)]
    summary = [summary for _, summary in found]
    return (
        pd.concat(rows, ignore_index=True),
        pd.DataFrame(summary, columns=list(COLUMNS["correlation_summary"])),
    )


def _correlate(
    session: Session, layer: Layer, first: str, second: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    climbs = [find_climb(session, layer, init) for init in (first, second)]
    exact = [find_climb(session, layer, init, "float64") for init in (first, second)]
    settings = {"ascents": [climb.result.key for climb in (*climbs, *exact)]}
    name = f"{layer.name}/{first}/{second}"
    result = session.result("correlations", layer.name, name, settings, ["pairs"])
    if result.missing():
        _compute(session, result, climbs, exact)
    arrays, notes = result.read("pairs")
    identity = {
        "model": session.parts.network.name,
        "layer": layer.name,
        "init_a": first,
        "init_b": second,
    }
    table = {
        **identity,
        "unit": arrays["units"],
        "r": arrays["r"],
        "null_r": arrays["null_r"],
        "status": notes["status"],
    }
    rows = pd.DataFrame(table, columns=list(COLUMNS["correlations"]))
    rng = np.random.default_rng(_seed(session, name, "bootstrap"))
    summary = summarize(arrays["r"], arrays["null_r"], rng)
    return rows, identity | summary | {"floor": float(arrays["floor"][0])}


def _compute(session: Session, result: Result, climbs: list[Climb], exact: list[Climb]) -> None:
    for climb in (*climbs, *exact):
        if climb.result.missing():
            raise StoreError(
                f"correlations: the store does not hold all ascents of {climb.layer.name} from"
                f" '{climb.init}' for this configuration; add ascent to stages"
            )
    first, second = (read_images(climb.result) for climb in climbs)
    status = [_status(*pair) for pair in zip(first.status, second.status, strict=True)]
    added = first.added, second.added
    r = _defined(pearson(*added), status)
    partners = shuffled_partners(len(r), np.random.default_rng(_seed(session, result.key, "null")))
    null_r = _defined(pearson(added[0], added[1][partners]), status)
    null_r[[status[partner] != "ok" for partner in partners]] = np.nan
    if len(r) == 1:
        null_r[:] = np.nan  # a layer of one unit has no other
    undefined = np.isnan(r)
    status = [
        "undefined" if at_fault and reason == "ok" else reason
        for reason, at_fault in zip(status, undefined, strict=True)
    ]
    floors = [
        _floor(images, read_images(climb.result))
        for images, climb in zip((first, second), exact, strict=True)
    ]
    arrays = {"units": first.units, "r": r, "null_r": null_r, "floor": np.array([min(floors)])}
    session.begin(result)
    result.write("pairs", arrays, {"status": status})
    session.done += 1


def _status(first: str, second: str) -> str:
    return first if first != "ok" else second


def _defined(values: Float[np.ndarray, " units"], status: list[str]) -> Float[np.ndarray, " units"]:
    return np.where([reason == "ok" for reason in status], values, np.nan)


def _floor(images: Images, exact: Images) -> float:
    """Return the median r between float32 and float64 ascents of the same units."""
    at = np.searchsorted(images.units, exact.units)
    r = pearson(images.added[at], exact.added)
    return float(np.median(r[np.isfinite(r)])) if np.isfinite(r).any() else float("nan")


def _seed(session: Session, *parts: str) -> int:
    identity = "/".join((str(session.parts.config.seed), *parts))
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big")
