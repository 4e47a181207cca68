"""The section of a unit's page about its tuning to bars."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.figures.method_names import method_name
from pipeline.pages.sections import Curve, Part, Plot, Section, Words

TITLE = "Tuning to bars"
ABOUT = (
    "Responses to the unit's best bar with one parameter changed, all others and its place as they"
    " are. The mean is over all bars of the set with this value, in the same polarity."
)
AXES = {
    "length": ("Length", "length in pixels"),
    "width": ("Width", "width in pixels"),
    "orientation": ("Orientation", "degrees counterclockwise from vertical"),
    "polarity": ("Polarity", ""),
    "contrast": ("Contrast", "contrast of the bar on gray"),
}
POLARITIES = {-1.0: "dark on light", 1.0: "light on dark"}


def bar_section(curves: pd.DataFrame, reason: str = "", method: str = "") -> Section:
    """Return the section of one unit.

    Args:
        curves: one row per ``parameter`` and ``value`` with the unit's ``response``; the ``mean``
            over all bars with this value, if there is such a column. Parameters that this module
            does not know are shown under their names.
        reason: what is said of missing numbers, if there are any.
        method: name of the set of bars, if it is to be named.
    """
    parts: list[Part] = [Words(f"{reason[0].upper()}{reason[1:]}.")] if reason else []
    for parameter, rows in curves.groupby("parameter", sort=False):
        parts.append(_plot(str(parameter), rows.sort_values("value")))
    about = f"{ABOUT} The set is {method_name(method)}." if method else ABOUT
    return Section(TITLE, parts, about)


def _plot(parameter: str, rows: pd.DataFrame) -> Plot:
    title, x_name = AXES.get(parameter, (parameter, parameter))
    values = rows["value"].to_numpy(np.float64)
    names = [POLARITIES[value] for value in values] if parameter == "polarity" else []
    x = np.arange(len(values), dtype=np.float64) if names else values
    curves = [Curve("best bar", x, rows["response"].to_numpy(np.float64), points=True)]
    means = rows["mean"].to_numpy(np.float64) if "mean" in rows else np.empty(0)
    if np.isfinite(means).any():
        curves.append(Curve("mean", x, means, points=True))
    ticks = (0.0, 45.0, 90.0, 135.0) if parameter == "orientation" else ()
    return Plot(title, x_name, "response", curves, names, ticks)
