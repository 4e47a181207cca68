"""Tuning of units to bars: which bars to show beside the best one, and what their responses say.

A table of bars has the columns ``x``, ``y``, ``length`` and ``width`` (pixels), ``orientation``
(degrees of the long axis from vertical, counterclockwise on the screen) and ``polarity`` (1 for
white on black, -1 for black on white).
"""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

GEOMETRY = ("x", "y", "length", "width", "orientation")
# Contrast is signed: positive for a bar that is lighter than gray.
PARAMETERS = ("length", "width", "orientation", "polarity", "contrast")
CONSTANT = "responds to all bars alike"
_SAME = 1e-6  # pixels by which rounding may tell two sizes apart
_ENDS = {  # of parameters whose values come to an end
    "length": ("the shortest bar shown is the best", "the longest bar shown is the best"),
    "width": ("the narrowest bar shown is the best", "the widest bar shown is the best"),
}


def distinct(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " different"]:
    """Return the different values in ascending order; those that only rounding parts are one.

    >>> distinct(np.array([0.3, 0.1, 0.1 + 0.2]))
    array([0.1, 0.3])
    """
    ordered = np.unique(values)
    return ordered[np.diff(ordered, prepend=-np.inf) > _SAME]


def variants(best: pd.DataFrame, shown: pd.DataFrame) -> pd.DataFrame:
    """Return the bars that differ from the best one in one parameter alone.

    Lengths, widths, orientations and polarities are all those of a set. No bar is wider than it is
    long, since its orientation would then be that of its short axis.

    Args:
        best: a bar for each unit.
        shown: the bars of the set.

    Returns:
        One row per unit, parameter and value: ``row`` (of ``best``), ``parameter``, ``value``, and
        the bar.

    >>> bar = {"x": 0.0, "y": 0.0, "length": 4.0, "width": 2.0, "orientation": 0.0, "polarity": 1}
    >>> shown = pd.DataFrame([bar, bar | {"length": 8.0, "width": 1.0}])
    >>> variants(shown[:1], shown)[["parameter", "value", "length", "width"]]
         parameter  value  length  width
    0       length    4.0     4.0    2.0
    1       length    8.0     8.0    2.0
    2        width    1.0     4.0    1.0
    3        width    2.0     4.0    2.0
    4  orientation    0.0     4.0    2.0
    5     polarity    1.0     4.0    2.0
    """
    bars = best[[*GEOMETRY, "polarity"]].astype(np.float64).reset_index(drop=True)
    parts: list[pd.DataFrame] = []
    for parameter in PARAMETERS[:4]:
        values = distinct(shown[parameter].to_numpy(np.float64))
        changed = bars.loc[bars.index.repeat(len(values))].rename_axis("row").reset_index()
        changed[parameter] = np.tile(values, len(bars))
        changed.insert(1, "parameter", parameter)
        changed.insert(2, "value", changed[parameter])
        parts.append(changed)
    whole = pd.concat(parts)
    narrow = whole.loc[whole["width"] <= whole["length"] + _SAME]
    return narrow.sort_values("row", kind="stable", ignore_index=True)


def mean_responses(
    curves: pd.DataFrame, shown: pd.DataFrame, responses: Float[np.ndarray, "units stimuli"]
) -> Float[np.ndarray, " rows"]:
    """Return for each row of some curves the mean over all bars with its value and its polarity.

    Over both polarities a linear unit would respond to everything as to gray.

    Args:
        curves: ``row`` (of the responses), ``parameter``, ``value``, ``polarity``.
        shown: the bars of the set.
        responses: to each of them.

    >>> shown = pd.DataFrame({"length": [4.0, 8.0, 4.0, 4.0], "polarity": [1, 1, 1, -1]})
    >>> curves = pd.DataFrame({"row": 0, "parameter": "length", "value": [4.0, 8.0], "polarity": 1})
    >>> mean_responses(curves, shown, np.array([[1.0, 5.0, 2.0, 9.0]]))
    array([1.5, 5. ])
    """
    found = np.full(len(curves), np.nan)
    rows = curves["row"].to_numpy(np.int64)
    for same, some in curves.groupby(
        ["parameter", "value", "polarity"], sort=False
    ).indices.items():
        parameter, value, polarity = cast("tuple[str, float, float]", same)
        alike = np.abs(shown[parameter].to_numpy(np.float64) - value) <= _SAME
        alike &= shown["polarity"].to_numpy() == polarity
        # Each row by itself, so that its mean does not depend on how many units there are.
        found[some] = [responses[row, alike].mean(dtype=np.float64) for row in rows[some]]
    return found


def with_peaks(curves: pd.DataFrame) -> pd.DataFrame:
    """Mark the highest response of each curve, of equal ones that of the lowest value.

    Args:
        curves: ``unit``, ``parameter``, ``value`` (ascending in each curve) and ``response``.

    >>> curve = pd.DataFrame({"unit": 3, "parameter": "length", "value": [1.0, 2.0, 4.0]})
    >>> with_peaks(curve.assign(response=[0.5, 2.0, 2.0]))["peak"].tolist()
    [False, True, False]
    """
    peaks = curves.groupby(["unit", "parameter"], sort=False)["response"].idxmax()
    return curves.assign(peak=curves.index.isin(peaks.to_numpy()))


def preferred(
    curves: pd.DataFrame, best: pd.DataFrame, constant: Bool[np.ndarray, " units"]
) -> pd.DataFrame:
    """Return what each unit prefers, and whether the set ends there.

    Args:
        curves: of all units that respond, with peaks.
        best: one row per unit: ``unit``, ``stimulus``, ``response``, ``x``, ``y``.
        constant: units that respond to all bars alike, for which nothing is said.

    Returns:
        ``best``, then for each of ``PARAMETERS`` the value at which the curve is highest, and
        ``reason``: why numbers are missing or are bounds, or an empty string.
    """
    peaks = curves[curves["peak"]].pivot(index="unit", columns="parameter", values="value")
    peaks = peaks.reindex(index=best["unit"], columns=list(PARAMETERS))
    table = best.reset_index(drop=True).join(peaks.reset_index(drop=True))
    table.loc[constant, table.columns.drop("unit").drop("stimulus")] = np.nan
    table["stimulus"] = table["stimulus"].astype("Int64").mask(pd.Series(constant))
    reasons = [
        CONSTANT if silent else "; ".join(_at_ends(curves.loc[curves["unit"] == unit]))
        for unit, silent in zip(best["unit"], constant, strict=True)
    ]
    return table.assign(reason=reasons)


def _at_ends(curves: pd.DataFrame) -> list[str]:
    """Return at which ends of the values that were shown a unit responds most."""
    found: list[str] = []
    for parameter, words in _ENDS.items():
        peak = curves.loc[curves["parameter"] == parameter, "peak"].to_numpy()
        ends = [word for word, at in zip(words, (0, -1), strict=True) if peak[at]]
        found += ends if len(peak) > 1 else []
    return found
