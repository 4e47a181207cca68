"""Tuning to shapes by layer: how many units a model explains, and how invariant they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pipeline.analysis.statistics import bootstrap_median, wilson_interval

TUNED = 0.5  # r above which a unit counts as tuned


def shape_summary(tuning: pd.DataFrame | Mapping[str, pd.DataFrame], seed: int = 0) -> pd.DataFrame:
    """Return the tuning to shapes of every layer, with 95 % intervals over its units.

    Args:
        tuning: what ``pipeline.shape_tuning`` returns or a run's table ``shape_tuning``; or several
            of them by the names of their conditions, such as a trained network and its controls.
        seed: of the bootstrap, which starts anew for each layer.

    Returns:
        One row per layer: ``condition`` (of several), ``layer``, ``units``, ``fitted`` (units to
        which models are fitted) and of these ``median_r`` and ``tuned`` (share with r above 0.5),
        ``tuned_low`` and ``tuned_high`` (Wilson interval), ``null_r`` (median of shuffled
        responses); ``moved`` (units with a translation invariance) and of these
        ``median_invariance``, ``invariance_low`` and ``invariance_high`` (bootstrap interval of
        the median). NaN where there is no such unit.

    >>> import pandas as pd
    >>> import pipeline
    >>> units = {"layer": "conv1", "apc_r": [0.6, 0.4], "null_r": 0.1}
    >>> table = pd.DataFrame(units | {"translation_invariance": [0.5, 0.7]})
    >>> found = pipeline.shape_summary({"trained": table})
    >>> found[["tuned", "tuned_low", "median_invariance"]].round(2)
       tuned  tuned_low  median_invariance
    0    0.5       0.09                0.6
    """
    several = isinstance(tuning, Mapping)
    tables: Mapping[str, pd.DataFrame] = tuning if isinstance(tuning, Mapping) else {"": tuning}
    rows = [
        ({"condition": name} if several else {}) | _row(str(layer), units, seed)
        for name, table in tables.items()
        for layer, units in table.groupby("layer", sort=False)
    ]
    return pd.DataFrame(rows)


def _row(layer: str, units: pd.DataFrame, seed: int) -> dict[str, object]:
    r, null, ti = (
        units[name].dropna().to_numpy(dtype=np.float64)
        for name in ("apc_r", "null_r", "translation_invariance")
    )
    tuned = int((r > TUNED).sum())
    low, high = wilson_interval(tuned, len(r))
    ti_low, ti_high = bootstrap_median(ti, np.random.default_rng(seed))
    return {
        "layer": layer,
        "units": len(units),
        "fitted": len(r),
        "median_r": float(np.median(r)) if len(r) else np.nan,
        "tuned": tuned / len(r) if len(r) else np.nan,
        "tuned_low": low,
        "tuned_high": high,
        "null_r": float(np.median(null)) if len(null) else np.nan,
        "moved": len(ti),
        "median_invariance": float(np.median(ti)) if len(ti) else np.nan,
        "invariance_low": ti_low,
        "invariance_high": ti_high,
    }
