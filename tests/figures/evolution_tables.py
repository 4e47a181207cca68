"""Made-up tables of evolution whose numbers are known by formula."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

RIVALS = (("natural", ""), ("gradient", ""))
CROSSED = tuple((s, g) for s in ("genetic", "spherical") for g in ("grid", "decoder"))


def gain(method: tuple[str, str], restart: int = 0) -> float:
    """Return the final response of a method over that to the top patch, for unit 1."""
    known = {"genetic": 2.0, "spherical": 3.0, "natural": 1.0, "gradient": 8.0}
    return known[method[0]] + (0.5 if method[1] == "decoder" else 0.0) + 0.25 * restart


def tables(
    layers: Sequence[str] = ("conv2",),
    units: Sequence[int] = (1, 2, 4),
    methods: Sequence[tuple[str, str]] = (*CROSSED, *RIVALS),
    restarts: int = 1,
    generations: int = 3,
    noise: float = 0.0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables ``evolution`` and ``evolution_history``.

    The top patch of every unit drives it to 10, the ascent image to 80. The response without noise
    to the best image after generation g of n is 10 unit gain g / n; the means are half of it.
    """
    rows: list[dict[str, object]] = []
    history: list[pd.DataFrame] = []
    for layer in layers:
        for unit in units:
            for method in methods:
                for restart in range(restarts):
                    key = {"model": "net", "layer": layer, "unit": unit, "restart": restart}
                    key |= {"searcher": method[0], "generator": method[1]}
                    final = 10 * unit * gain(method, restart)
                    generation = np.arange(1, generations + 1)
                    best = final * generation / generations
                    rows.append(
                        key | {
                            "response": final + noise, "noise_free": final, "start": best[0],
                            "contrast": 0.6, "queries": 20 * generations, "queries_to_90": 60.0,
                            "top_patch": 10.0, "over_patch": final / 10, "ascent": 80.0,
                            "over_ascent": final / 80, "reason": "",
                        }
                    )  # fmt: skip
                    curve = {
                        "generation": generation, "queries": 20 * generation, "best": best + noise,
                        "mean": best / 2, "noise_free": best, "noise_free_mean": best / 2,
                        "missing": 0,
                    }  # fmt: skip
                    history.append(pd.DataFrame(key | curve))
    return pd.DataFrame(rows), pd.concat(history, ignore_index=True)


def without_reference(evolution: pd.DataFrame, *units: int, value: float = -1.0) -> pd.DataFrame:
    """Return the table with another response of some units to their top patches."""
    top_patch = evolution["top_patch"].where(~evolution["unit"].isin(units), value)
    return evolution.assign(top_patch=top_patch, over_patch=evolution["noise_free"] / top_patch)
