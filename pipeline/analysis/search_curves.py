"""Curves of searches by queries, of which each run has its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float


def query_counts(runs: pd.DataFrame) -> Float[np.ndarray, " queries"]:
    """Return all query counts of some runs, in order."""
    return np.unique(runs["queries"].to_numpy(np.float64))


def held_values(
    runs: pd.DataFrame, column: str, grid: Float[np.ndarray, " queries"]
) -> Float[np.ndarray, "runs queries"]:
    """Return the value of each run at some query counts: that of its last generation until then.

    It is NaN before the first generation of a run, and where it is not finite, and holds after its
    last.

    Args:
        runs: ``unit``, ``restart``, ``queries`` and the column, of one method.
        column: what is returned.
        grid: query counts.

    >>> run = pd.DataFrame({"unit": 0, "restart": 0, "queries": [20, 40], "best": [1.0, 3.0]})
    >>> held_values(run, "best", np.array([10.0, 20.0, 30.0, 60.0])).tolist()
    [[nan, 1.0, 1.0, 3.0]]
    """
    rows: list[np.ndarray] = []
    for _, own in runs.groupby(["unit", "restart"], sort=False, observed=True):
        own = own.sort_values("queries")
        at = np.searchsorted(own["queries"].to_numpy(np.float64), grid, "right") - 1
        values = own[column].to_numpy(np.float64)[at]
        rows.append(np.where((at >= 0) & np.isfinite(values), values, np.nan))
    return np.stack(rows)


def mean_of_runs(
    runs: pd.DataFrame, column: str, grid: Float[np.ndarray, " queries"]
) -> Float[np.ndarray, " queries"]:
    """Return the mean of ``held_values`` over the runs that have one."""
    return pd.DataFrame(held_values(runs, column, grid)).mean().to_numpy(np.float64)
