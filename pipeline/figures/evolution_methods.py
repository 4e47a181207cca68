"""Methods of evolution in figures: their looks, and what figures draw of their tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures import style
from pipeline.figures.evolution_names import Method

Over = Literal["top_patch", "ascent"]

KEYS = ("model", "layer", "unit", "searcher", "generator", "restart")
RATIOS: Mapping[Over, str] = {"top_patch": "over_patch", "ascent": "over_ascent"}
REFERENCES: Mapping[Over, str] = {"top_patch": "top patch", "ascent": "ascent image"}
COLORS = (*style.SERIES_COLORS, "#fbafe4", "#ece133")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)))
RIVAL_LOOKS: Mapping[str, Mapping[str, Any]] = {
    "natural": {"color": "#7a7a7a", "linestyle": (0, (3, 1.5)), "marker": "x"},
    "gradient": {"color": "#7a7a7a", "linestyle": (0, (1, 1.2)), "marker": "+"},
}


def checked(
    table: pd.DataFrame, columns: Iterable[str], single: Iterable[str] = ("model",)
) -> pd.DataFrame:
    """Return a copy of a table of evolution in which rivals have the generator "".

    Raises:
        ValueError: a column is missing, there are no rows, or several values of a ``single``.
    """
    style.check_table(table, (*KEYS, *columns), single)
    named = {name: table[name].astype(object).where(table[name].notna(), "") for name in KEYS[3:5]}
    return table.assign(**named)


def methods(table: pd.DataFrame) -> list[Method]:
    """Return the methods of a checked table in order of first appearance, rivals last."""
    pairs = zip(table["searcher"], table["generator"], strict=True)
    found = [Method(str(searcher), str(generator)) for searcher, generator in dict.fromkeys(pairs)]
    return sorted(found, key=lambda method: method.rival)


def rows_of(table: pd.DataFrame, method: Method) -> pd.DataFrame:
    """Return the rows of one method in a checked table."""
    own = (table["searcher"] == method.searcher) & (table["generator"] == method.generator)
    return table.loc[own]


def looks(chosen: Sequence[Method]) -> dict[Method, dict[str, Any]]:
    """Return color, line style and marker of each method; rivals are gray.

    Of several searchers with several generators, generators differ in color and searchers in line
    style and marker; otherwise each method has its own color and marker.
    """
    own = [method for method in chosen if not method.rival]
    searchers = list(dict.fromkeys(method.searcher for method in own))
    generators = list(dict.fromkeys(method.generator for method in own))
    crossed = len(searchers) > 1 and len(generators) > 1
    found: dict[Method, dict[str, Any]] = {}
    for number, method in enumerate(own):
        hue = generators.index(method.generator) if crossed else number
        again = len(searchers) * (hue // len(COLORS)) if crossed else hue // len(COLORS)
        dash = again + searchers.index(method.searcher) if crossed else again
        found[method] = {
            "color": COLORS[hue % len(COLORS)],
            "linestyle": DASHES[dash % len(DASHES)],
            "marker": style.SERIES_MARKERS[(dash if crossed else hue) % len(style.SERIES_MARKERS)],
        }
    rivals = {each: dict(RIVAL_LOOKS[each.searcher]) for each in chosen if each.rival}
    return found | rivals


def ratios(evolution: pd.DataFrame, over: Over) -> pd.DataFrame:
    """Return a row for each unit and method of a checked table, with its ``ratio``.

    The ratio is the response without noise to the best image over that to the unit's top patch or
    ascent image; a unit counts once, with the mean of its restarts. It is NaN where the reference
    is not above 0, as such a ratio means nothing, or unknown.
    """
    ratio = evolution[RATIOS[over]].where(evolution[over] > 0).astype(np.float64)
    known = evolution.assign(ratio=ratio.where(np.isfinite(ratio)))
    by_unit = ["layer", "unit", "searcher", "generator"]
    means = known.groupby(by_unit, sort=False, observed=True, as_index=False)[["ratio"]].mean()
    return cast("pd.DataFrame", means)


def quartiles(values: Float[np.ndarray, "units *_"]) -> Float[np.ndarray, "3 *_"]:
    """Return lower quartile, median and upper quartile over units, without those that are NaN.

    >>> quartiles(np.array([1.0, 2.0, np.nan, 3.0])).tolist()
    [1.5, 2.0, 2.5]
    """
    flat = pd.DataFrame(values.reshape(len(values), -1)).quantile([0.25, 0.5, 0.75])
    return flat.to_numpy(np.float64).reshape(3, *values.shape[1:])


def legend(figure: Figure, handles: Sequence[Any]) -> None:
    """Add a legend below a figure, in as many columns as fit, and make the figure taller by it."""
    width = figure.get_figwidth()
    longest = max(style.text_width(str(each.get_label()), style.TEXT) for each in handles)
    columns = min(len(handles), max(1, int((width - 0.2) / (longest + 0.42))))
    lines = -(-len(handles) // columns)
    figure.set_figheight(figure.get_figheight() + 0.14 * lines)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def panel_width(axis: Axes) -> float:
    """Return the inches that a panel of ``style.panel_grid`` has, with the space beside it."""
    placed: Any = axis
    return placed.figure.get_figwidth() / placed.get_subplotspec().get_gridspec().ncols


def starts_row(axis: Axes) -> bool:
    """Return whether a panel of ``style.panel_grid`` is the first of its row."""
    placed: Any = axis
    return placed.get_subplotspec().colspan.start == 0


def label_rows(axes: Iterable[Axes], text: str) -> None:
    """Name the vertical axis of the first panel in each row of ``style.panel_grid``."""
    for axis in axes:
        if starts_row(axis):
            axis.set_ylabel(style.wrapped(text, 1.25, style.TEXT), fontsize=style.TEXT)


def multiple_label(over: Over) -> str:
    """Return the name of an axis of multiples."""
    return f"multiple of the response to the {REFERENCES[over]}"


def say(axis: Axes, text: str, size: float = style.SMALL_TEXT) -> None:
    """Write in the middle of an empty panel."""
    axis.text(
        0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", fontsize=size,
        color=style.INK,
    )  # fmt: skip
