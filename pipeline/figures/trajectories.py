"""Responses during ascent: one panel per layer, one color per init."""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import style

COLUMNS = ("model", "layer", "unit", "init", "step", "transformed", "response")
QUARTILES = ("pi", 50)  # for seaborn: the interval with the middle half of the units
LABEL = "response (median, quartiles over units)"
ITSELF = "the image itself (lines: transformed)"


@style.paper_style()
def ascent_curves(trajectories: pd.DataFrame) -> Figure:
    """Return the response against the step: median over units, band from quartile to quartile.

    Takes the trajectories table of one model: ``model layer unit init step transformed response``.
    Layers and inits keep their order of first appearance. A unit with copies counts once, with
    their mean. Responses that are not finite are left out of the quartiles, and their units are
    counted in the panel. If some are of transformed images, these form the line and the band, and
    those of the images themselves are separate points.
    """
    style.check_table(trajectories, COLUMNS, single=("model",))
    layers = list(trajectories.groupby("layer", sort=False, observed=True))
    colors = style.init_colors(map(str, trajectories["init"].unique()))
    figure, axes = style.panel_grid([str(layer) for layer, _ in layers], "step")
    for axis, (_, rows) in zip(axes, layers, strict=True):
        _draw_layer(axis, rows, colors)
    title = f"{trajectories['model'].iloc[0]}: response during ascent, by init"
    figure.suptitle(style.wrapped(title, figure.get_figwidth() - 0.2))
    figure.supylabel(style.wrapped(LABEL, 0.75 * figure.get_figheight()))
    handles = [Line2D([], [], color=color, label=name) for name, color in colors.items()]
    if trajectories["transformed"].to_numpy().any():
        handles.append(Line2D([], [], color=style.INK, marker="o", ms=3, lw=0, label=ITSELF))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(axes) + 2, 6))
    return figure


def _draw_layer(axis: Axes, rows: pd.DataFrame, colors: dict[str, str]) -> None:
    finite = np.isfinite(rows["response"].to_numpy(np.float64))
    units = rows["unit"].to_numpy()
    for init, climbs in rows.loc[finite].groupby("init", sort=False, observed=True):
        color, transformed = colors[str(init)], climbs["transformed"].to_numpy(bool)
        if transformed.any():
            _draw_points(axis, climbs.loc[~transformed], color)
            climbs = climbs.loc[transformed]
        # A single recorded step has no visible line.
        marker = "" if climbs["step"].nunique() > 1 else "_" if transformed.any() else "o"
        look = {"linewidth": 1.1, "marker": marker, "label": str(init)}
        _draw_median(axis, climbs, color, look, {"alpha": 0.18, "linewidth": 0}, "band")
    axis.margins(x=0.02)
    axis.yaxis.set_major_locator(style.few_ticks())
    axis.xaxis.set_major_locator(style.few_ticks(integer=True))
    axis.text(
        0.97,
        0.04,
        _counts(units, broken=units[~finite]),
        transform=axis.transAxes,
        ha="right",
        va="bottom",
        fontsize=style.SMALL_TEXT,
    )


def _draw_points(axis: Axes, climbs: pd.DataFrame, color: str) -> None:
    """Draw medians and quartiles of single steps, without a line."""
    look = {"linewidth": 0, "marker": "o", "label": "_itself"}
    # Without "none", Matplotlib would add a line through the bars.
    _draw_median(axis, climbs, color, look, {"fmt": "none", "elinewidth": 0.8}, "bars")


def _draw_median(
    axis: Axes,
    climbs: pd.DataFrame,
    color: str,
    look: dict[str, Any],
    error_look: dict[str, Any],
    error_style: Literal["band", "bars"],
) -> None:
    """Draw median and quartiles over units; a unit with copies counts once, with their mean."""
    import seaborn as sns

    if climbs.empty:
        return
    by_unit = climbs.groupby(["unit", "step"], as_index=False, observed=True)[["response"]].mean()
    with style.own_labels(axis):
        sns.lineplot(
            cast("pd.DataFrame", by_unit),
            x="step",
            y="response",
            estimator="median",
            errorbar=QUARTILES,
            err_style=error_style,
            err_kws=error_look,
            color=color,
            markersize=3,
            markeredgecolor=color,
            legend=False,
            **look,
            ax=axis,
        )


def _counts(units: np.ndarray, broken: np.ndarray) -> str:
    lines = [f"n = {len(np.unique(units))}"]
    if len(broken):
        lines.append(f"{len(np.unique(broken))} not finite")
    return "\n".join(lines)
