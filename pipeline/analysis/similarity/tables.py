"""Long tables of similarity: a row per image, statistic and null, and their summary over units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pipeline.analysis.similarity.comparison import Similarities
from pipeline.analysis.similarity.nulls import TOLERANCE, TWIN, permutation_p
from pipeline.analysis.statistics import bootstrap_median, unit_means

LEVEL = 0.05  # of the units that are counted as above chance
NO_NULL = "none"  # the kind of null of rows for which none was drawn


def similarity_table(
    found: Similarities,
    units: Int[np.ndarray, " images"],
    copies: Int[np.ndarray, " images"],
    status: Sequence[str],
) -> pd.DataFrame:
    """Return one row per statistic, null and image.

    Args:
        found: similarities of the images.
        units: unit of each image.
        copies: number of each image among those of its unit.
        status: ``ok``, or why one of the two images failed.

    Returns:
        ``unit``, ``copy``, ``statistic``, ``value``, ``null_kind``, ``null`` (mean over draws),
        ``null_sd``, ``p``, ``draws`` and ``status``: ``ok``, ``undefined`` or as given.
    """
    frames: list[pd.DataFrame] = []
    for row, statistic in enumerate(found.statistics):
        values = found.values[row]
        known = [
            "undefined" if reason == "ok" and np.isnan(value) else reason
            for reason, value in zip(status, values, strict=True)
        ]
        none = {NO_NULL: np.empty((len(found.statistics), 0, len(units)))}
        for kind, draws in (found.draws or none).items():
            counts = np.isfinite(draws[row]).sum(axis=0)
            rows = {
                "unit": units,
                "copy": copies,
                "statistic": statistic,
                "value": values,
                "null_kind": kind,
                "null": _over_draws(draws[row], np.nanmean),
                "null_sd": _over_draws(draws[row], np.nanstd),
                "p": permutation_p(values, draws[row]),
                "draws": counts,
                "status": known,
            }
            frames.append(pd.DataFrame(rows))
    return pd.concat(frames, ignore_index=True)


def similarity_summary(
    found: Similarities,
    units: Int[np.ndarray, " images"],
    rng: np.random.Generator,
    ceilings: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return one row per statistic and null: the median over units beside that of the null.

    A unit counts once: its copies are averaged first, in each draw.

    Args:
        found: similarities of the images.
        units: unit of each image.
        rng: draws the bootstrap.
        ceilings: by statistic, if they are known.

    Returns:
        ``statistic``, ``null_kind``; ``value``, the median over units, and ``ci_low`` and
        ``ci_high``, its 95 % bootstrap interval; ``null``, the median over draws of the median over
        units, and ``null_low`` and ``null_high``, its 2.5th and 97.5th percentiles over draws (of
        a twin, its median and the bootstrap interval); ``p``, how often a draw's median is at least
        as large (of a twin, by Mann and Whitney's test); ``ceiling``; ``units``, ``undefined`` (how
        many of them), ``above_chance`` (how many have p <= 0.05; 5 % by chance alone) and ``note``:
        why there is no null, or an empty string.
    """
    rows: list[dict[str, Any]] = []
    for number, statistic in enumerate(found.statistics):
        values = unit_means(units, found.values[number])
        defined = values[np.isfinite(values)]
        low, high = bootstrap_median(defined, rng)
        for kind in [*found.draws] or [NO_NULL]:
            row = {
                "statistic": statistic,
                "null_kind": kind,
                "value": _median(defined),
                "ci_low": low,
                "ci_high": high,
                "ceiling": (ceilings or {}).get(statistic, np.nan),
                "units": len(values),
                "undefined": len(values) - len(defined),
            }
            draws = found.draws[kind][number] if found.draws else np.empty((0, len(units)))
            null = _null_row(values, units, draws, kind, rng)
            note = _note(values, draws, kind) if np.isnan(null["null"]) else ""
            rows.append(row | null | {"note": note})
    return pd.DataFrame(rows)


def _note(
    values: Float[np.ndarray, " units"], draws: Float[np.ndarray, "draws images"], kind: str
) -> str:
    """Return why a statistic has no null of a kind."""
    if kind == NO_NULL:
        return "no null was drawn"
    if not np.isfinite(values).any():
        return "no unit has a value"
    if kind == TWIN:
        return (
            "the twin has no value of this statistic; run the stage similarity on the twin with it,"
            " and then this run again"
        )
    if not len(draws):
        return "there are no other units whose images could be drawn; choose more units"
    return "no unit has both a value and a null"


def _null_row(
    values: Float[np.ndarray, " units"],
    units: Int[np.ndarray, " images"],
    draws: Float[np.ndarray, "draws images"],
    kind: str,
    rng: np.random.Generator,
) -> dict[str, float]:
    nan = float("nan")
    row = {"null": nan, "null_low": nan, "null_high": nan, "p": nan, "above_chance": 0}
    by_unit = np.array([unit_means(units, draw) for draw in draws]).reshape(-1, len(values))
    p = permutation_p(values, by_unit)
    row["above_chance"] = int((p <= LEVEL).sum())
    if kind == TWIN:
        return row | _twin_row(values, by_unit, rng)
    return row | median_test(values, by_unit)


def median_test(
    values: Float[np.ndarray, " units"], draws: Float[np.ndarray, "draws units"]
) -> dict[str, float]:
    """Return how often the median over units of a draw is at least as large as that of the values.

    Units without a value or without all draws, such as those without a partner, are left out.

    Returns:
        ``null``, ``null_low`` and ``null_high``: median, 2.5th and 97.5th percentile over draws of
        the median over units; and ``p``, (1 + draws at least as large) / (1 + draws). Empty if
        there is nothing to test.

    >>> draws = np.array([[0.1, 0.3, 0.2], [0.0, 0.9, 0.8], [0.2, 0.2, 0.2]])
    >>> median_test(np.array([0.5, 0.4, 0.7]), draws)["p"]
    0.5
    """
    tested = np.isfinite(values) & np.isfinite(draws).all(axis=0)
    if not tested.any() or not len(draws):
        return {}
    medians = np.median(draws[:, tested], axis=1)
    low, middle, high = np.quantile(medians, [0.025, 0.5, 0.975])
    p = permutation_p(np.array([np.median(values[tested])]), medians[:, None])
    return {
        "null": float(middle),
        "null_low": float(low),
        "null_high": float(high),
        "p": float(p[0]),
    }


def _twin_row(
    values: Float[np.ndarray, " units"],
    by_unit: Float[np.ndarray, "draws units"],
    rng: np.random.Generator,
) -> dict[str, float]:
    """Return the median of the twin's units, which are the same draws for all units."""
    from scipy.stats import mannwhitneyu

    defined = values[np.isfinite(values)]
    twin = by_unit[:, 0] if by_unit.shape[1] else by_unit.ravel()
    twin = twin[np.isfinite(twin)]
    low, high = bootstrap_median(twin, rng)
    p = float("nan")
    if len(twin) and len(defined):
        p = float(mannwhitneyu(_rounded(defined), _rounded(twin), alternative="greater").pvalue)
    return {"null": _median(twin), "null_low": low, "null_high": high, "p": p}


def _rounded(values: Float[np.ndarray, " _"]) -> Float[np.ndarray, " _"]:
    """Return values of which those that are equal but for rounding are equal."""
    return np.round(values / TOLERANCE) * TOLERANCE


def _median(values: Float[np.ndarray, " _"]) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _over_draws(draws: Float[np.ndarray, "draws images"], measure: Any) -> np.ndarray:
    """Return a measure over the defined draws of each image; NaN where there are none."""
    found = np.full(draws.shape[1], np.nan)
    there = np.isfinite(draws).any(axis=0)
    found[there] = measure(draws[:, there], axis=0)
    return found
