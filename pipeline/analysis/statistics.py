"""Statistics over the units of a layer: quartiles, bootstrap interval, null.

A unit counts once, however many images it has: they are not independent of each other.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def unit_means(
    units: Int[np.ndarray, " images"], values: Float[np.ndarray, " images"]
) -> Float[np.ndarray, " units"]:
    """Return the mean of the defined values of every unit, in the order in which units first come.

    It is NaN where a unit has no value that is finite.
    """
    _, first, which = np.unique(units, return_index=True, return_inverse=True)
    defined = np.isfinite(values)
    counts = np.bincount(which, defined)
    sums = np.bincount(which, np.where(defined, values, 0.0))
    means = np.divide(sums, counts, out=np.full(len(first), np.nan), where=counts > 0)
    return means[np.argsort(first)]


def bootstrap_median(
    values: Float[np.ndarray, " units"], rng: np.random.Generator, resamples: int = 2000
) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the median (Efron 1979).

    NaN for both ends where there are not two values: one says nothing of their spread.
    """
    if len(values) < 2:
        return float("nan"), float("nan")
    drawn = rng.integers(0, len(values), size=(resamples, len(values)))
    low, high = np.quantile(np.median(values[drawn], axis=1), [0.025, 0.975])
    return float(low), float(high)


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, count of total (Wilson 1927, JASA 22:209).

    NaN for both ends where the total is 0.

    >>> [round(end, 3) for end in wilson_interval(0, 10)]
    [0.0, 0.278]
    """
    if not total:
        return float("nan"), float("nan")
    z, share = 1.959964, count / total
    middle = share + z**2 / (2 * total)
    half = z * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    scale = 1 + z**2 / total
    # Exact at both ends, where rounding would leave the share itself outside.
    low = float(middle - half) / scale if count else 0.0
    high = float(middle + half) / scale if count < total else 1.0
    return low, high


def shuffled_partners(units: int, rng: np.random.Generator) -> Int[np.ndarray, " units"]:
    """Return for each unit another unit of the layer, each exactly once and never itself.

    The units are set in a random circle and each takes the next one. A layer of one unit has no
    other: its partner is itself, to be treated as undefined by the caller.
    """
    circle = rng.permutation(units)
    partners = np.empty(units, dtype=np.int64)
    partners[circle] = np.roll(circle, -1)
    return partners


def summarize(
    values: Float[np.ndarray, " units"],
    null: Float[np.ndarray, " units"],
    rng: np.random.Generator,
) -> dict[str, float | int]:
    """Return a layer's row of the summary table.

    Args:
        values: r per unit (the mean over its copies), NaN where undefined.
        null: likewise with another unit's images, NaN where undefined.
        rng: draws the bootstrap.

    Returns:
        ``units`` (all of them), ``undefined`` (how many of them), and over the defined ones
        ``median``, ``mean``, ``q25``, ``q75``, ``ci_low`` and ``ci_high`` (95 % interval of the
        median), and ``null_median``; NaN where nothing is defined.
    """
    defined = values[np.isfinite(values)]
    null = null[np.isfinite(null)]
    nan = float("nan")
    q25, median, q75 = np.quantile(defined, [0.25, 0.5, 0.75]) if len(defined) else (nan,) * 3
    low, high = bootstrap_median(defined, rng)
    return {
        "units": len(values),
        "undefined": int(len(values) - len(defined)),
        "median": float(median),
        "mean": float(defined.mean()) if len(defined) else nan,
        "q25": float(q25),
        "q75": float(q75),
        "ci_low": low,
        "ci_high": high,
        "null_median": float(np.median(null)) if len(null) else nan,
    }
