"""Responses to evolved images over those to top patches and ascent images, by layer and method.

After the relative activation of Xiao & Kreiman, PLoS Computational Biology 16:e1007973 (2020), and
Ponce et al., Cell 177:999 (2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from pipeline.figures import style
from pipeline.figures.evolution_methods import (
    RATIOS,
    Over,
    checked,
    legend,
    looks,
    methods,
    multiple_label,
    quartiles,
    ratios,
    rows_of,
)
from pipeline.figures.evolution_names import Method

SPREAD, WIDEST = 0.86, 0.16  # shares of a layer's width: of all methods, and of one at most
GOLDEN = 0.6180339887498949  # multiples of it fill an interval evenly
WIDE = 9  # methods in all layers that fit into one column
SMALLEST = 5.5  # points of a name that is not turned
LOGARITHMIC = 8.0  # from this ratio of the highest to the lowest value on
_SAID = "horizontal lines: median; vertical: quartiles"


@style.paper_style()
def relative_responses(
    evolution: pd.DataFrame, references: Sequence[Over] = ("top_patch", "ascent")
) -> Figure:
    """Return responses to the best images over those to references, by layer and method.

    There is a panel for each reference, the top patch and the ascent image, at the same norm and
    contrast as the evolved image. Every point is a unit; a unit with restarts counts once, with
    their mean. Long bars are medians over units, vertical ones reach from quartile to quartile, and
    the line at 1 is the reference. Responses are without noise. Units without a reference above 0
    have no multiple; below each layer stands how many have one (of the method with the most).

    Args:
        evolution: table ``evolution`` of one model, with ``model``, ``layer``, ``unit``,
            ``searcher``, ``generator``, ``restart``, and for the references ``top_patch`` and
            ``over_patch``, ``ascent`` and ``over_ascent``.
        references: what responses are divided by, one or both.

    Raises:
        ValueError: the table has no rows, lacks a column, or is of several models.
    """
    if not references:
        raise ValueError("no reference is given; name top_patch, ascent or both")
    needed = [column for over in references for column in (over, RATIOS[over])]
    table = checked(evolution, needed)
    chosen = methods(table)
    shown = looks(chosen)
    layers = [str(layer) for layer in table["layer"].unique()]
    many = len(layers) * len(chosen) > WIDE
    width = style.DOUBLE_COLUMN if many else style.SINGLE_COLUMN
    size = _letters(layers, width)
    fall = 0.0 if size else max(style.text_width(f"{layer}, n = 99", 6.0) for layer in layers)
    figure = style.new_figure(width, 0.45 + (1.75 + fall) * len(references))
    for at, over in enumerate(references):
        axis = figure.add_subplot(len(references), 1, at + 1)
        style.settle_ticks(axis)
        by_unit = ratios(table, over)
        if over == "ascent":  # which is not its own rival
            by_unit = by_unit.loc[by_unit["searcher"] != "gradient"]
        _draw_panel(axis, by_unit, shown, layers)
        axis.set_ylabel(style.wrapped(multiple_label(over), 1.5, style.TEXT), fontsize=style.TEXT)
    title = f"{table['model'].iloc[0]}: responses to the best images ({_SAID})"
    figure.suptitle(style.wrapped(title, width - 0.2))
    handles = [
        Line2D([], [], label=method.name, color=look["color"], marker=look["marker"], ms=3, lw=0)
        for method, look in shown.items()
    ]
    legend(figure, handles)
    return figure


def _draw_panel(
    axis: Axes,
    by_unit: pd.DataFrame,
    drawn: Mapping[Method, Mapping[str, Any]],
    layers: Sequence[str],
) -> None:
    axis.axhline(1.0, color=style.INK, linewidth=0.7, linestyle=(0, (4, 2)), zorder=0)
    for place in range(1, len(layers), 2):
        axis.axvspan(place - 0.5, place + 0.5, color=style.INK, alpha=0.04, linewidth=0, zorder=0)
    step = min(SPREAD / len(drawn), WIDEST)
    counts: list[int] = []
    for place, layer in enumerate(layers):
        of_layer = by_unit.loc[by_unit["layer"] == layer]
        found: list[int] = [0]
        for at, (method, look) in enumerate(drawn.items()):
            values = rows_of(of_layer, method)["ratio"].dropna().to_numpy(np.float64)
            x = place + (at + 0.5 - len(drawn) / 2) * step
            found.append(len(values))
            if len(values):
                _draw_units(axis, x, 0.72 * step, np.sort(values), look, f"{layer}, {method.name}")
        counts.append(max(found))
        if not counts[-1]:
            axis.text(
                place, 0.5, "undefined", rotation=90, ha="center", va="center",
                fontsize=style.SMALL_TEXT, transform=axis.get_xaxis_transform(),
            )  # fmt: skip
    _label(axis, layers, counts)
    axis.set_xlim(-0.5, len(layers) - 0.5)
    methods_of = by_unit.groupby(["layer", "searcher", "generator"], observed=True)
    medians: Any = methods_of["ratio"].median()
    _scale(axis, by_unit["ratio"].dropna().to_numpy(np.float64), float(medians.min()))


def _label(axis: Axes, layers: Sequence[str], counts: Sequence[int]) -> None:
    """Name the layers and how many units they have; from below where there is little room."""
    figure: Any = axis.figure
    size = _letters(layers, figure.get_figwidth())
    between = "\n" if size else ", "
    names = [f"{layer}{between}n = {count}" for layer, count in zip(layers, counts, strict=True)]
    turned = 0 if size else 90
    axis.set_xticks(range(len(layers)), names, fontsize=size or style.SMALL_TEXT, rotation=turned)
    axis.tick_params(axis="x", length=0)


def _letters(layers: Sequence[str], width: float) -> float:
    """Return the size in points at which names of layers fit side by side; 0 if it is too small."""
    room = 0.95 * (width - 0.7) / len(layers)
    size = min(style.fitting(name, room, style.TEXT) for name in [*layers, "n = 999"])
    return size if size >= SMALLEST else 0.0


def _draw_units(
    axis: Axes,
    x: float,
    width: float,
    values: Float[np.ndarray, " units"],
    look: Mapping[str, Any],
    gid: str,
) -> None:
    """Draw points, spread evenly across without random numbers, and their quartiles."""
    aside = (np.arange(1, len(values) + 1) * GOLDEN % 1 - 0.5) * width if len(values) > 1 else 0.0
    thin = look["marker"] in ("x", "+")
    axis.scatter(
        x + aside, values, s=5, marker=look["marker"], color=look["color"],
        alpha=0.45 if len(values) > 1 else 1.0,
        linewidths=0.6 if thin else 0, gid=gid,
    )  # fmt: skip
    if len(values) == 1:
        return
    low, middle, high = quartiles(values)
    axis.vlines(x, low, high, color=style.INK, linewidth=0.8, gid=f"quartiles {gid}", zorder=3)
    axis.hlines(
        middle, x - 0.5 * width, x + 0.5 * width, color=style.INK, linewidth=1.6,
        gid=f"median {gid}", zorder=3,
    )  # fmt: skip


def _scale(axis: Axes, values: Float[np.ndarray, " _"], lowest_median: float) -> None:
    """Make the axis logarithmic if the values are above 0 and spread far.

    Multiples of a reference just above 0 can be far below 0: these are counted, not drawn.
    """
    if not len(values) or values.min() <= 0 or values.max() < LOGARITHMIC * values.min():
        axis.yaxis.set_major_locator(style.few_ticks())
        if len(values) and values.min() < -max(1.0, values.max()):
            top = 1.1 * max(1.0, values.max())
            bottom = min(-0.25 * top, 1.1 * lowest_median)
            axis.set_ylim(bottom, top)
            _count_below(axis, int((values < bottom).sum()))
        return
    axis.set_yscale("log", base=2)
    low, high = min(values.min(), 1.0) / 1.15, max(values.max(), 1.0) * 1.15
    axis.set_ylim(low, high)
    axis.set_yticks(style.log_ticks(low, high, 10.0 if high / low > 1000 else 2.0, 6))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axis.yaxis.set_minor_locator(NullLocator())


def _count_below(axis: Axes, count: int) -> None:
    if count:
        axis.text(
            0.995, 0.03, f"{count} point{'s' * (count > 1)} below this range",
            transform=axis.transAxes, ha="right", va="bottom", fontsize=style.SMALL_TEXT,
        )  # fmt: skip
