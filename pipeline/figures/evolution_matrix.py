"""Searchers by generators: the median over units of what evolution reaches, one panel per layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, NullLocator

from pipeline.figures import style
from pipeline.figures.evolution_methods import (
    RATIOS,
    REFERENCES,
    Over,
    checked,
    methods,
    quartiles,
    ratios,
    rows_of,
)
from pipeline.figures.evolution_names import Method, generator_name, number, searcher_name

COLORS = "cividis"  # alike with and without red-green blindness
CAPTION = "Large: median over units; small: quartiles. Hatched: no data, or no reference above 0."
# Inches.
_CELL, _TALL = 0.62, 0.3
_BAR = 0.75  # that the color bar takes at the right


@style.paper_style()
def searcher_matrix(evolution: pd.DataFrame, over: Over = "top_patch") -> Figure:
    """Return a matrix for each layer: searchers down, generators across.

    Every cell has the median over units of the response without noise, as a multiple of that to the
    unit's top patch or ascent image, and the quartiles in small print. A unit with restarts counts
    once, with their mean. Cells without data, and those in which no reference is above 0, are
    hatched and say so. Rivals, which have no generator, stand below each matrix. All panels share
    the colors, which are logarithmic if all medians are above 0.

    Args:
        evolution: table ``evolution`` of one model, with ``model``, ``layer``, ``unit``,
            ``searcher``, ``generator``, ``restart``, and ``top_patch`` and ``over_patch``, or
            ``ascent`` and ``over_ascent``.
        over: what responses are divided by.

    Raises:
        ValueError: the table has no rows, lacks a column, is of several models, or has rivals only.
    """
    table = checked(evolution, (over, RATIOS[over]))
    found = methods(table)
    own = [method for method in found if not method.rival]
    if not own:
        raise ValueError("the table has no searcher with a generator; there is nothing to compare")
    searchers = list(dict.fromkeys(method.searcher for method in own))
    generators = list(dict.fromkeys(method.generator for method in own))
    rivals = [method for method in found if method.rival]
    by_unit = ratios(table, over)
    layers = [str(layer) for layer in table["layer"].unique()]
    crossed = [[Method(each, generator) for generator in generators] for each in searchers]
    cells = {
        layer: np.array([[_cell(by_unit, layer, method) for method in row] for row in crossed])
        for layer in layers
    }
    norm = _norm(np.stack(list(cells.values()))[..., 1])
    said = {layer: [_rival(by_unit, layer, rival) for rival in rivals] for layer in layers}
    figure, axes = _panels(said, searchers, generators)
    for axis, layer in zip(axes, layers, strict=True):
        size = style.fitting(layer, max(_CELL * len(generators), 1.0))
        axis.set_title(layer, pad=4, fontsize=size)
        _draw(axis, cells[layer], norm, by_unit.loc[by_unit["layer"] == layer], crossed)
        axis.annotate(
            "\n".join(said[layer]), (0.5, 0), (0, -3), "axes fraction", "offset points",
            ha="center", va="top", fontsize=style.SMALL_TEXT, annotation_clip=False,
        )  # fmt: skip
    _finish(figure, norm, over, str(table["model"].iloc[0]))
    return figure


def _cell(by_unit: pd.DataFrame, layer: str, method: Method) -> Float[np.ndarray, " 3"]:
    """Return the quartiles of a cell; NaN without data."""
    rows = rows_of(by_unit.loc[by_unit["layer"] == layer], method)
    return quartiles(rows["ratio"].to_numpy(np.float64)) if len(rows) else np.full(3, np.nan)


def _norm(medians: Float[np.ndarray, "*_"]) -> Normalize:
    known = medians[np.isfinite(medians)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    if low > 0:
        return LogNorm(low, high if high > 1.05 * low else 1.05 * low)
    return Normalize(low, high if high > low else low + 1.0)


def _panels(
    said: Mapping[str, Sequence[str]], searchers: Sequence[str], generators: Sequence[str]
) -> tuple[Figure, list[Axes]]:
    """Return a figure and the axes of all layers, names of searchers at the left of each row."""
    left = 0.1 + max(style.text_width(searcher_name(each), style.TEXT) for each in searchers)
    heads = [style.wrapped(generator_name(each), _CELL, style.SMALL_TEXT) for each in generators]
    above = 0.26 + 0.1 * max(head.count("\n") + 1 for head in heads)
    wide, tall = _CELL * len(generators), _TALL * len(searchers)
    lines = [line for own in said.values() for line in own]
    needed = max([wide, 1.0, *(style.text_width(line, style.SMALL_TEXT) for line in lines)])
    rivals, layers = max(map(len, said.values())), list(said)
    across = max(1, int((style.DOUBLE_COLUMN - left - _BAR + 0.15) / (needed + 0.15)))
    across = min(across, len(layers))
    rows = -(-len(layers) // across)
    down = above + tall + 0.1 * rivals + 0.1
    single = left + across * (needed + 0.15) - 0.15 + _BAR
    width = max(style.SINGLE_COLUMN, single)
    height = 0.25 + rows * down + 0.32
    figure = style.new_figure(width, height, None)
    axes: list[Axes] = []
    for at in range(len(layers)):
        row, column = divmod(at, across)
        x = left + column * (needed + 0.15) + (needed - wide) / 2
        y = height - 0.25 - row * down - above - tall
        axis = figure.add_axes((x / width, y / height, wide / width, tall / height))
        style.settle_ticks(axis)
        axis.set_yticks(range(len(searchers)), [searcher_name(each) for each in searchers])
        axis.tick_params(length=0, labelleft=column == 0, labeltop=True, labelbottom=False, pad=2)
        axis.set_xticks(range(len(generators)), heads, fontsize=style.SMALL_TEXT)
        axes.append(axis)
    return figure, axes


def _draw(
    axis: Axes,
    cells: Float[np.ndarray, "searchers generators 3"],
    norm: Normalize,
    by_unit: pd.DataFrame,
    crossed: Sequence[Sequence[Method]],
) -> None:
    rows, columns = cells.shape[:2]
    axis.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    axis.spines[:].set_visible(False)
    for row, column in np.ndindex(rows, columns):
        low, middle, high = cells[row, column].tolist()
        place = (column - 0.48, row - 0.47)
        if not np.isfinite(middle):
            there = len(rows_of(by_unit, crossed[row][column]))
            _hatch(axis, place, (column, row), "undefined" if there else "no data")
            continue
        color = colormaps[COLORS](norm(middle))
        axis.add_patch(_rectangle(place, facecolor=color, gid="cell"))
        ink = "white" if np.dot(color[:3], (0.2126, 0.7152, 0.0722)) < 0.45 else style.INK
        axis.text(
            column, row - 0.12, number(middle), ha="center", va="center", color=ink,
            fontsize=style.TEXT + 1, gid="median",
        )  # fmt: skip
        axis.text(
            column, row + 0.27, f"{number(low)} to {number(high)}", ha="center", va="center",
            color=ink, fontsize=5, gid="quartiles",
        )  # fmt: skip


def _hatch(axis: Axes, corner: tuple[float, float], middle: tuple[int, int], text: str) -> None:
    gray = str(style.MISSING_GRAY)
    axis.add_patch(_rectangle(corner, facecolor="white", edgecolor=gray, hatch="////", gid=text))
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    axis.text(*middle, text, ha="center", va="center", fontsize=style.SMALL_TEXT, bbox=box)


def _rectangle(corner: tuple[float, float], **look: Any) -> Rectangle:
    return Rectangle(corner, 0.96, 0.94, linewidth=0, **look)


def _rival(by_unit: pd.DataFrame, layer: str, rival: Method) -> str:
    low, middle, high = _cell(by_unit, layer, rival).tolist()
    if not np.isfinite(middle):
        return f"{rival.name}: none"
    return f"{rival.name}: {number(middle)} ({number(low)} to {number(high)})"


def _finish(figure: Figure, norm: Normalize, over: Over, model: str) -> None:
    width, height = figure.get_size_inches()
    x, tall = (width - _BAR + 0.18) / width, min(1.6, height - 0.9)
    axis = figure.add_axes((x, (height - 0.6 - tall) / height, 0.09 / width, tall / height))
    bar = figure.colorbar(ScalarMappable(norm, COLORS), cax=axis)
    bar.outline.set_visible(False)
    if isinstance(norm, LogNorm):
        ticks = style.log_ticks(float(norm.vmin or 0), float(norm.vmax or 1), 2.0, 6)
        axis.yaxis.set_minor_locator(NullLocator())
        bar.set_ticks(ticks.tolist())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    axis.tick_params(labelsize=style.SMALL_TEXT)
    title = f"{model}: response over that to the {REFERENCES[over]}"
    size = style.fitting(title, width - 0.1)
    figure.suptitle(title, y=1 - 0.04 / height, va="top", fontsize=size)
    text = style.wrapped(CAPTION, width - 0.1, style.SMALL_TEXT)
    figure.text(0.05 / width, 0.05 / height, text, fontsize=style.SMALL_TEXT, va="bottom")
