"""What correlating leaves: r of every unit for every pair of inits, and the two tables."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np
import pandas as pd

from pipeline.analysis.statistics import summarize, unit_means
from pipeline.networks.layers import Layer
from pipeline.session.climbed import Climb, find_climb
from pipeline.session.session import Session
from pipeline.store.results import Result
from pipeline.store.tables import COLUMNS


@dataclass(frozen=True)
class Pair:
    """Two inits of one layer: their climbs, in float32 and float64, and where r is stored.

    An init beside itself compares each copy of a unit with the next, and the last with the first;
    of two copies that is one pair.
    """

    layer: Layer
    inits: tuple[str, str]
    climbs: tuple[Climb, Climb]
    exact: tuple[Climb, Climb]
    result: Result


def all_pairs(session: Session) -> list[Pair]:
    """Return every pair of inits of every layer; with copies, those of an init with itself too."""
    inits = session.parts.inits
    pairs = combinations_with_replacement if session.parts.copies > 1 else combinations
    return [
        _pair(session, layer, first, second)
        for layer in session.parts.layers
        for first, second in pairs(inits, 2)
    ]


def _pair(session: Session, layer: Layer, first: str, second: str) -> Pair:
    climbs = find_climb(session, layer, first), find_climb(session, layer, second)
    exact = (
        find_climb(session, layer, first, "float64"),
        find_climb(session, layer, second, "float64"),
    )
    keys = [climb.result.key for climb in (*climbs, *exact)]
    settings = {"ascents": keys, "seed": session.parts.config.seed}
    name = f"{layer.name}/{first}/{second}"
    result = session.result("correlations", layer.name, name, settings, ["pairs"])
    return Pair(layer, (first, second), climbs, exact, result)


def correlations(session: Session, pairs: Sequence[Pair] | None = None) -> pd.DataFrame:
    """Return the table of correlations, or of some pairs: a row per layer, pair, unit and copy."""
    columns = list(COLUMNS["correlations"])
    frames = [pd.DataFrame(columns=columns)]
    for pair in all_pairs(session) if pairs is None else pairs:
        arrays, notes = pair.result.read("pairs")
        table = {
            **_identity(session, pair),
            "unit": arrays["units"],
            "copy": arrays["copies"],
            "r": arrays["r"],
            "null_r": arrays["null_r"],
            "status": notes["status"],
        }
        frames.append(pd.DataFrame(table, columns=columns))
    return pd.concat(frames[1:] or frames, ignore_index=True)


def correlation_summary(session: Session, pairs: Sequence[Pair] | None = None) -> pd.DataFrame:
    """Return the summary, or that of some pairs: one row per layer and pair of inits.

    It is over units: the r of a unit with copies is the mean over them, and so is its null.
    """
    rows = []
    for pair in all_pairs(session) if pairs is None else pairs:
        arrays, _ = pair.result.read("pairs")
        rng = random_numbers(session, pair, "bootstrap")
        r, null = (unit_means(arrays["units"], arrays[name]) for name in ("r", "null_r"))
        summary = summarize(r, null, rng)
        floor = {"floor": float(arrays["floor"][0])}
        rows.append(_identity(session, pair) | summary | floor)
    return pd.DataFrame(rows, columns=list(COLUMNS["correlation_summary"]))


def random_numbers(session: Session, pair: Pair, purpose: str) -> np.random.Generator:
    """Return random numbers of one pair's own, for one purpose."""
    names = "/".join((session.parts.network.name, pair.layer.name, *pair.inits))
    identity = f"{session.parts.config.seed}/{names}/{purpose}"
    seed = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big")
    return np.random.default_rng(seed)


def _identity(session: Session, pair: Pair) -> dict[str, Any]:
    return {
        "model": session.parts.network.name,
        "layer": pair.layer.name,
        "init_a": pair.inits[0],
        "init_b": pair.inits[1],
    }
