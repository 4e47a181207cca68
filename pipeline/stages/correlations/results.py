"""Results of correlations: r of every unit for every pair of inits, and the two tables."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import pandas as pd

from pipeline.analysis.statistics import summarize, unit_means
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.stages.ascent.results import Climb, find_climb
from pipeline.stages.correlations import CORRELATIONS, STAGE, SUMMARY
from pipeline.stages.stage import Plan
from pipeline.store.results import Result
from pipeline.store.runs import Images
from pipeline.store.tables import read_table


@dataclass(frozen=True)
class Pair:
    """Two inits of one layer: their climbs in float32 and float64, and the stored result.

    If both inits are the same, each copy of a unit is compared with the next, and the last with the
    first; two copies make one pair.
    """

    layer: Layer
    inits: tuple[str, str]
    climbs: tuple[Climb, Climb]
    exact: tuple[Climb, Climb]
    result: Result


def plan_pairs(run: ActiveRun) -> Plan[Pair]:
    """Return all pairs of inits of every layer; with copies, also each init with itself."""
    inits = run.parts.inits
    pairs = combinations_with_replacement if run.parts.copies > 1 else combinations
    return Plan(
        _pair(run, layer, first, second)
        for layer in run.parts.layers
        for first, second in pairs(inits, 2)
    )


def _pair(run: ActiveRun, layer: Layer, first: str, second: str) -> Pair:
    climbs = find_climb(run, layer, first), find_climb(run, layer, second)
    exact = (
        find_climb(run, layer, first, exact=True),
        find_climb(run, layer, second, exact=True),
    )
    keys = [climb.result.key for climb in (*climbs, *exact)]
    settings = {"ascents": keys, "seed": run.parts.config.seed}
    name = f"{layer.name}/{first}/{second}"
    result = run.result(STAGE, layer.name, name, settings, ["pairs"])
    return Pair(layer, (first, second), climbs, exact, result)


def paired(inits: tuple[str, str], images: Sequence[Images]) -> list[Images]:
    """Return the images to compare; for an init with itself, each copy and the next."""
    if inits[0] != inits[1]:
        return list(images)
    found, copies = images[0], int(images[0].copies.max()) + 1
    own = np.arange(len(found.units)).reshape(-1, copies)
    following = np.roll(own, -1, axis=1)
    pairs = 1 if copies == 2 else copies  # copies 2 and 1 are the same pair as 1 and 2
    return [found.taken(at[:, :pairs].ravel()) for at in (own, following)]


def correlations(run: ActiveRun, pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return the table of correlations of some pairs: a row per layer, pair, unit and copy."""
    columns = list(CORRELATIONS.columns)
    frames = [pd.DataFrame(columns=columns)]
    for pair in pairs:
        arrays, notes = pair.result.read("pairs")
        table = {
            **_identity(run, pair),
            "unit": arrays["units"],
            "copy": arrays["copies"],
            "r": arrays["r"],
            "null_r": arrays["null_r"],
            "status": notes["status"],
        }
        frames.append(pd.DataFrame(table, columns=columns))
    return pd.concat(frames[1:] or frames, ignore_index=True)


def correlation_summary(run: ActiveRun, pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return the summary of some pairs: one row per layer and pair of inits.

    Statistics are over units: both r and null r of a unit are first averaged over its copies.
    """
    rows = []
    for pair in pairs:
        arrays, _ = pair.result.read("pairs")
        rng = random_numbers(run, pair, "bootstrap")
        r, null = (unit_means(arrays["units"], arrays[name]) for name in ("r", "null_r"))
        summary = summarize(r, null, rng)
        ceiling = {"noise_ceiling": float(arrays["noise_ceiling"][0])}
        rows.append(_identity(run, pair) | summary | ceiling)
    return pd.DataFrame(rows, columns=list(SUMMARY.columns))


@runtime_checkable
class OfInits(Protocol):
    """What is made of two inits of one layer."""

    @property
    def layer(self) -> Layer:
        """The layer."""
        ...

    @property
    def inits(self) -> tuple[str, str]:
        """The names of the inits."""
        ...


def random_numbers(run: ActiveRun, pair: OfInits, purpose: str) -> np.random.Generator:
    """Return a random generator for one pair and one purpose."""
    names = "/".join((run.parts.network.name, pair.layer.name, *pair.inits))
    identity = f"{run.parts.config.seed}/{names}/{purpose}"
    seed = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big")
    return np.random.default_rng(seed)


def _identity(run: ActiveRun, pair: Pair) -> dict[str, Any]:
    return {
        "model": run.parts.network.name,
        "layer": pair.layer.name,
        "init_a": pair.inits[0],
        "init_b": pair.inits[1],
    }


def findings(run: ActiveRun, _pairs: Sequence[Pair]) -> list[str]:
    """Return one line per layer with its median r."""
    lines: list[str] = []
    summary = read_table(run.paths.tables, SUMMARY.name)
    width = max([10, *summary["layer"].str.len()])
    for inits, rows in summary.groupby(["init_a", "init_b"], sort=False):
        first, second = cast("tuple[str, str]", inits)
        both = f"ascents from {first} and {second}"
        alone = f"copies from {first}, each with the next"
        lines.append(f"median r between {alone if first == second else both}:")
        for row in rows.to_dict("records"):
            undefined = ", {undefined} undefined" if row["undefined"] else ""
            line = (
                "  {layer:<{width}} {median:6.3f}  [{ci_low:.3f}, {ci_high:.3f}]"
                "  null {null_median:6.3f}  noise ceiling {noise_ceiling:.3f}  {units} units"
                + undefined
            )
            lines.append(line.format(**row, width=width))
    return lines
