"""The ranking of searchers with and without noise of the responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import style
from pipeline.figures.evolution_methods import (
    RATIOS,
    Over,
    checked,
    label_rows,
    legend,
    looks,
    methods,
    multiple_label,
    panel_width,
    quartiles,
    ratios,
    rows_of,
    say,
)
from pipeline.figures.evolution_names import Method

_SHOWN = "response without noise to the best image, median and quartiles; numbers: ranks by median"


@style.paper_style()
def ranking_by_noise(evolution: pd.DataFrame, over: Over = "top_patch") -> Figure:
    """Return the median response by noise level, a line for each method and a panel for each layer.

    Responses are those without noise to the images that were found with it, as multiples of that to
    the unit's top patch or ascent image. Vertical lines reach from quartile to quartile over units;
    the numbers are ranks among the methods of the layer at this level, equal ones for equal
    medians. A unit with restarts counts once, with their mean. Rivals are gray and have no rank.

    Args:
        evolution: table ``evolution`` of one model, with ``model``, ``layer``, ``unit``,
            ``searcher``, ``generator``, ``restart``, ``noise`` (name of the level, such as "none"
            or "poisson 50", in order of first appearance), and ``top_patch`` and ``over_patch``, or
            ``ascent`` and ``over_ascent``.
        over: what responses are divided by.

    Raises:
        ValueError: the table has no rows, lacks a column, or is of several models.
    """
    table = checked(evolution, ("noise", over, RATIOS[over]))
    levels = [str(level) for level in table["noise"].unique()]
    by_level = [
        ratios(table.loc[table["noise"].astype(str) == level], over).assign(noise=level)
        for level in levels
    ]
    by_unit = pd.concat(by_level, ignore_index=True)
    chosen = methods(table)
    shown = looks(chosen)
    layers = [str(layer) for layer in table["layer"].unique()]
    figure, axes = style.panel_grid(layers, "noise")
    figure.set_figheight(figure.get_figheight() + 0.5)
    for axis, layer in zip(axes, layers, strict=True):
        _draw_layer(axis, by_unit.loc[by_unit["layer"] == layer], shown, levels)
    model = table["model"].iloc[0]
    figure.suptitle(style.wrapped(f"{model}: {_SHOWN}", figure.get_figwidth() - 0.2))
    label_rows(axes, multiple_label(over))
    handles = [
        Line2D([], [], label=method.name, linewidth=1.0, markersize=4, **look)
        for method, look in shown.items()
    ]
    legend(figure, handles)
    return figure


def _draw_layer(
    axis: Axes,
    by_unit: pd.DataFrame,
    shown: Mapping[Method, Mapping[str, Any]],
    levels: Sequence[str],
) -> None:
    found = {method: _by_level(rows_of(by_unit, method), levels) for method in shown}
    ranked = [method for method in shown if not method.rival]
    medians = pd.DataFrame({at: found[method][1] for at, method in enumerate(ranked)})
    ranks = medians.rank(axis=1, method="min", ascending=False)
    for at, (method, look) in enumerate(shown.items()):
        aside = 0.6 * ((at + 0.5) / len(shown) - 0.5)
        place = np.arange(len(levels)) + aside
        low, middle, high = found[method]
        axis.vlines(place, low, high, color=look["color"], linewidth=0.7)
        size = 3.5 if method.rival else 6.5
        axis.plot(place, middle, linewidth=1.0, markersize=size, gid=method.name, **look)
        if method.rival:
            continue
        for level in np.flatnonzero(np.isfinite(middle)).tolist():
            rank = int(ranks.iloc[level, ranked.index(method)])
            axis.annotate(
                str(rank), (place[level], middle[level]), ha="center", va="center_baseline",
                fontsize=5, color=_ink(look["color"]), gid=f"rank {method.name}",
            )  # fmt: skip
    if not any(np.isfinite(each[1]).any() for each in found.values()):
        say(axis, "no reference\nabove 0")
    _label(axis, levels)


def _by_level(rows: pd.DataFrame, levels: Sequence[str]) -> Float[np.ndarray, "3 levels"]:
    values = [rows.loc[rows["noise"] == level, "ratio"].to_numpy(np.float64) for level in levels]
    ends = [quartiles(each) if len(each) else np.full(3, np.nan) for each in values]
    return np.stack(ends, axis=1)


def _label(axis: Axes, levels: Sequence[str]) -> None:
    room = (panel_width(axis) - 0.4) / len(levels) - 0.1
    names = [style.wrapped(level, room, style.SMALL_TEXT) for level in levels]
    axis.set_xticks(range(len(levels)), names, fontsize=style.SMALL_TEXT)
    axis.set_xlim(-0.5, len(levels) - 0.5)
    axis.yaxis.set_major_locator(style.few_ticks())


def _ink(color: str) -> str:
    """Return black or white, whichever is legible on the color."""
    red, green, blue = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5 else style.INK
