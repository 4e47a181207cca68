"""Do two matrices of similarity say the same of the same units?"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float


def mantel(
    first: Float[np.ndarray, "n n"],
    second: Float[np.ndarray, "m m"],
    rng: np.random.Generator,
    permutations: int = 999,
) -> tuple[float, float]:
    """Return Pearson's r of the upper triangles of two symmetric matrices, and its p.

    Pairs of units are not independent of each other, units are: p is the share, of permutations of
    the units of one matrix and the identity, whose r is at least as far from 0 (two-sided).

    Source: Mantel (1967), Cancer Research 27:209.

    Args:
        first: similarity of every pair of units; the diagonal does not count.
        second: another, of the same units.
        rng: draws the permutations.
        permutations: number of them; the smallest possible p is 1 / (permutations + 1).

    Raises:
        ValueError: the matrices differ in size.

    >>> a = np.array([[0.0, 1, 2, 4], [1, 0, 3, 5], [2, 3, 0, 6], [4, 5, 6, 0]])
    >>> round(mantel(a, 1 - a, np.random.default_rng(0), 9)[0], 9)
    -1.0
    """
    if first.shape != second.shape:
        raise ValueError(f"matrices of {first.shape} and {second.shape} are not of the same units")
    count = len(first)
    above = np.triu_indices(count, 1)
    if count < 3 or not (np.isfinite(first[above]).all() and np.isfinite(second[above]).all()):
        return float("nan"), float("nan")
    a, b = (_standardized(matrix[above]) for matrix in (first, second))
    observed = float(a @ b)
    if not np.isfinite(observed):
        return observed, float("nan")
    full = np.zeros((count, count))
    full[above] = b
    full += full.T
    drawn = np.empty(permutations)
    for n in range(permutations):
        order = rng.permutation(count)
        drawn[n] = a @ full[np.ix_(order, order)][above]
    # Rounding must not tell a permutation that changes nothing from the observed order.
    farther = int((np.abs(drawn) >= abs(observed) - 1e-12).sum())
    return observed, (1 + farther) / (1 + permutations)


def agreement(
    matrices: Mapping[str, Float[np.ndarray, "n n"]],
    rng: np.random.Generator,
    permutations: int = 999,
) -> pd.DataFrame:
    """Return the Mantel test of every two matrices, over the units that both define.

    Returns:
        One row per two matrices: ``first`` and ``second``, their names; ``r`` and ``p``; ``units``,
        the number of those that both define.
    """
    rows = []
    for first, second in combinations(matrices, 2):
        a, b = matrices[first], matrices[second]
        defined = (np.isfinite(a).sum(axis=1) > 1) & (np.isfinite(b).sum(axis=1) > 1)
        own = np.ix_(defined, defined)
        r, p = mantel(a[own], b[own], rng, permutations)
        rows.append((first, second, r, p, int(defined.sum())))
    return pd.DataFrame(rows, columns=["first", "second", "r", "p", "units"])


def _standardized(values: Float[np.ndarray, " pairs"]) -> Float[np.ndarray, " pairs"]:
    centered = values.astype(np.float64) - values.mean(dtype=np.float64)
    length = np.sqrt((centered**2).sum())
    return centered / length if length > 0 else np.full(len(values), np.nan)
