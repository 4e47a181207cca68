"""How responses rise during ascent: one panel per layer, one color per init."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import style

COLUMNS = ("model", "layer", "unit", "init", "step", "transformed", "response")
QUARTILES = (0.25, 0.5, 0.75)
LABEL = "response (median, quartiles over units)"
ITSELF = "the image itself (lines: transformed)"


@style.paper_style()
def ascent_curves(trajectories: pd.DataFrame) -> Figure:
    """Return the response against the step: median over units, band from quartile to quartile.

    Takes the trajectories table of one model: ``model layer unit init step transformed response``.
    Layers and inits keep their order of first appearance. A unit with copies counts once, by their
    mean. Responses that are not finite are left out of the quartiles, and their units are counted
    in the panel. Where some are of transformed images, these make the line and the band, and those
    of the images themselves are points of their own.
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
            _draw_points(axis, _quartiles(climbs.loc[~transformed]), color)
            climbs = climbs.loc[transformed]
        quartiles = _quartiles(climbs)
        steps = quartiles.index.to_numpy()
        # A single recorded step has no line to see.
        marker = "" if len(steps) > 1 else "_" if transformed.any() else "o"
        axis.fill_between(steps, quartiles[0.25], quartiles[0.75], color=color, alpha=0.18, lw=0)
        axis.plot(steps, quartiles[0.5], color=color, lw=1.1, marker=marker, ms=3, label=str(init))
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


def _quartiles(climbs: pd.DataFrame) -> pd.DataFrame:
    """Return quartiles over units for every step; a unit with copies counts once, by their mean."""
    by_unit = climbs.pivot_table(index="unit", columns="step", values="response", aggfunc="mean")
    return by_unit.quantile(list(QUARTILES)).T


def _draw_points(axis: Axes, quartiles: pd.DataFrame, color: str) -> None:
    steps = quartiles.index.to_numpy()
    axis.vlines(steps, quartiles[0.25], quartiles[0.75], color=color, lw=0.8)
    axis.plot(steps, quartiles[0.5], color=color, lw=0, marker="o", ms=3, label="_itself")


def _counts(units: np.ndarray, broken: np.ndarray) -> str:
    lines = [f"n = {len(np.unique(units))}"]
    if len(broken):
        lines.append(f"{len(np.unique(broken))} not finite")
    return "\n".join(lines)
