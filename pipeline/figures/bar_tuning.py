"""Tuning of units to bars: length, width, orientation, polarity and contrast."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import style

COLUMNS = ("layer", "unit", "parameter", "value", "response", "mean", "peak")
LABELS = {
    "length": "length (pixels)",
    "width": "width (pixels)",
    "orientation": "orientation\n(degrees from vertical)",
    "polarity": "polarity",
    "contrast": "contrast on gray",
}
MOST = 10  # units that a page holds
_MEAN = {"color": style.NULL_COLOR, "linewidth": 1.0, "linestyle": (0, (3, 1.5))}
# Colors of bars that are lighter and darker than gray.
_POLARITIES = {1: style.SERIES_COLORS[1], -1: style.SERIES_COLORS[0]}


@style.paper_style()
def bar_tuning(curves: pd.DataFrame, title: str = "") -> Figure:
    """Return a row of tuning curves for each unit, one panel for each parameter.

    Solid lines are responses to the unit's best bar with one parameter changed, circles their
    peaks; dashed lines are means over all bars of the set with the value, of the same polarity.
    Orientation comes round to its beginning. Contrast is that of the best bar on gray, in both
    polarities, on a logarithmic axis; the dotted line is the response to gray alone. All panels of
    a unit have the same responses upward.

    Args:
        curves: of ``pipeline.bar_tuning``, of at most ten units.
        title: of the figure.

    Raises:
        ValueError: a column is missing, or there are no units or too many.
    """
    style.check_table(curves, COLUMNS, single=())
    units = list(curves.groupby(["layer", "unit"], sort=False))
    if len(units) > MOST:
        raise ValueError(f"{len(units)} units do not fit on a page; select up to {MOST}")
    parameters = [name for name in LABELS if name in set(curves["parameter"])]
    figure = style.new_figure(style.DOUBLE_COLUMN, 0.85 + 1.0 * len(units))
    ratios = [0.6 if name == "polarity" else 1.0 for name in parameters]
    axes = figure.subplots(
        len(units), len(parameters), sharey="row", squeeze=False, width_ratios=ratios
    )
    names = [cast("tuple[str, int]", name) for name, _ in units]
    for number, (_, own) in enumerate(units):
        (layer, unit), last = names[number], number == len(units) - 1
        row = axes[number]
        for axis, parameter in zip(row, parameters, strict=True):
            style.settle_ticks(axis)
            _draw(axis, parameter, own.loc[own["parameter"] == parameter])
            axis.axhline(0, color=style.INK, linewidth=0.3, zorder=0)
            # Lengths are other ones in every layer.
            axis.tick_params(labelbottom=last or names[number + 1][0] != layer)
            if last:
                axis.set_xlabel(LABELS[parameter], fontsize=style.TEXT)
        row[0].yaxis.set_major_locator(style.few_ticks())
        row[0].set_ylabel(f"{layer}\nunit {unit}", fontsize=style.TEXT)
    figure.supylabel("response", fontsize=style.TEXT)
    if title:
        figure.suptitle(style.wrapped(title, style.DOUBLE_COLUMN - 0.3))
    figure.legend(handles=_legend(), loc="outside lower center", ncols=5)
    return figure


def _draw(axis: Axes, parameter: str, curve: pd.DataFrame) -> None:
    if parameter == "contrast":
        _draw_contrasts(axis, curve)
        return
    value, response, mean = curve[["value", "response", "mean"]].to_numpy(np.float64).T
    if parameter == "orientation":
        value = np.append(value, value[:1] + 180)
        response, mean = (np.append(each, each[:1]) for each in (response, mean))
        axis.set_xticks([0, 45, 90, 135, 180])
    if parameter == "polarity":
        axis.set_xticks([-1, 1], ["black", "white"])
        axis.set_xlim(-1.6, 1.6)
    axis.plot(value, mean, **_MEAN, gid="mean")  # pyright: ignore[reportArgumentType]
    axis.plot(value, response, color=style.INK, marker="o", markersize=2, lw=0.9, gid="response")
    _mark(axis, curve.loc[curve["peak"], "value"], curve.loc[curve["peak"], "response"])
    if parameter in ("length", "width"):
        axis.set_xlim(left=0)
        axis.xaxis.set_major_locator(style.few_ticks())


def _draw_contrasts(axis: Axes, curve: pd.DataFrame) -> None:
    """Draw the responses to bars lighter and darker than gray over the size of their contrast."""
    for polarity, color in _POLARITIES.items():
        some = curve.loc[np.sign(curve["value"]) == polarity]
        axis.plot(
            np.abs(some["value"]), some["response"], color=color, marker="o", markersize=2, lw=0.9,
            gid=f"contrast {polarity}",
        )  # fmt: skip
    gray = curve.loc[curve["value"] == 0, "response"]
    for response in gray:
        axis.axhline(response, color=style.INK, lw=0.7, ls=":", zorder=1, gid="gray")
    peak = curve.loc[curve["peak"] & (curve["value"] != 0)]
    if len(peak):  # gray alone, at which a unit may respond most, is no place on the axis
        _mark(axis, np.abs(peak["value"]), peak["response"])
    axis.set_xscale("log", base=2)
    steps = sorted(set(curve["value"].abs()) - {0.0})
    axis.set_xticks(steps, [_fraction(step) for step in steps])
    axis.minorticks_off()


def _mark(axis: Axes, value: Any, response: Any) -> None:
    axis.plot(
        value, response, "o", markersize=5, markerfacecolor="none", markeredgewidth=0.8,
        markeredgecolor=style.SERIES_COLORS[3], gid="peak", clip_on=False,
    )  # fmt: skip


def _fraction(step: float) -> str:
    """Return a contrast as a reader would write it: 1/16 and the like."""
    inverse = 1 / step
    return "1" if step == 1 else f"1/{inverse:g}" if inverse == round(inverse) else f"{step:.2g}"


def _legend() -> list[Line2D]:
    circle = {"marker": "o", "linestyle": "", "markerfacecolor": "none", "markersize": 5}
    peak = style.SERIES_COLORS[3]
    return [
        Line2D([], [], color=style.INK, marker="o", markersize=2, lw=0.9, label="best bar"),
        Line2D([], [], **_MEAN, label="mean of the set"),  # pyright: ignore[reportArgumentType]
        Line2D([], [], color=peak, **circle, label="peak"),  # pyright: ignore[reportArgumentType]
        *(
            Line2D([], [], color=_POLARITIES[sign], marker="o", markersize=2, lw=0.9, label=name)
            for sign, name in ((1, "lighter than gray"), (-1, "darker"))
        ),
    ]
