"""Similarity by layer: a panel for each statistic, with nulls beside and the ceiling above."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.analysis.similarity.catalog import statistics
from pipeline.figures import style
from pipeline.figures.layer_correlations import pair_title

COLUMNS = (
    "model", "layer", "init_a", "init_b", "statistic", "null_kind", "value", "ci_low", "ci_high",
    "null", "null_low", "null_high", "ceiling", "units", "undefined",
)  # fmt: skip
Places = Float[np.ndarray, " layers"]
GRAY = "#6e6e6e"
STEP = 0.17  # of a layer's width, from one marker to the next
LONG_NAMES = 12  # layers whose names stand upright


class Look(NamedTuple):
    """How points are drawn, and what the legend calls them."""

    name: str
    label: str
    color: str
    marker: str
    fill: str


VALUE = Look("value", "units: median, 95 %", style.SERIES_COLORS[0], "o", style.SERIES_COLORS[0])
LOOKS = {
    "units": Look("units", "null: other units", GRAY, "s", GRAY),
    "phase": Look("phase", "null: random phases", GRAY, "D", "#ffffff"),
    "noise": Look("noise", "null: noise", GRAY, "^", "#b8b8b8"),
    "twin": Look("twin", "null: random weights", GRAY, "v", "#ffffff"),
}


@style.paper_style()
def statistics_by_layer(
    summary: pd.DataFrame, chosen: Sequence[str] | None = None, *, columns: int | None = None
) -> Figure:
    """Return a panel for each statistic: the median over units from layer to layer.

    Circles are medians with 95 % bootstrap intervals. Beside them in gray are nulls, with the 2.5th
    to 97.5th percentile of their medians. Short lines are ceilings: float32 against float64. Layers
    without a defined value say "none".

    Args:
        summary: table ``similarity_summary`` of one model and one pair of inits.
        chosen: names of statistics in order; all by default.
        columns: panels in a row: 2 or fewer are one column of a paper, 89 mm, more are two, 180 mm;
            by default as few as suit the number of panels, at most 4.

    Raises:
        ValueError: a column is missing, the table has several models or pairs, or no such
            statistic.
    """
    style.check_table(summary, COLUMNS, single=("model", "init_a", "init_b"))
    names = [str(name) for name in dict.fromkeys(summary["statistic"])]
    if chosen is not None:
        if lacking := [name for name in chosen if name not in names]:
            raise ValueError(f"the table has no statistic {lacking[0]}; it has {', '.join(names)}")
        names = list(chosen)
    layers = [str(layer) for layer in dict.fromkeys(summary["layer"])]
    kinds = [str(kind) for kind in dict.fromkeys(summary["null_kind"]) if kind in LOOKS]
    across = columns or min(len(names), 4 if len(layers) <= 8 else 3)
    width = style.SINGLE_COLUMN if across <= 2 else style.DOUBLE_COLUMN
    rows = -(-len(names) // across)
    figure = style.new_figure(width, 1.0 + 1.35 * rows)
    for number, name in enumerate(names):
        axis = figure.add_subplot(rows, across, number + 1)
        style.settle_ticks(axis)
        _draw(axis, summary.loc[summary["statistic"] == name], layers, kinds)
        _finish(axis, name, layers, width / across, lowest=number + across >= len(names))
    figure.suptitle(style.wrapped(pair_title(summary), width - 0.3))
    figure.legend(
        handles=_legend(kinds), loc="outside lower center", ncols=2 if across <= 2 else 5,
        fontsize=style.SMALL_TEXT,
    )  # fmt: skip
    return figure


def _draw(axis: Axes, own: pd.DataFrame, layers: Sequence[str], kinds: Sequence[str]) -> None:
    places = np.arange(len(layers), dtype=np.float64)
    first = own.drop_duplicates("layer").set_index("layer").reindex(layers)
    left = -STEP * len(kinds) / 2
    _points(axis, places + left, first, ("value", "ci_low", "ci_high"), VALUE)
    for number, kind in enumerate(kinds):
        null = own[own["null_kind"] == kind].set_index("layer").reindex(layers)
        beside = places + left + STEP * (number + 1)
        _points(axis, beside, null, ("null", "null_low", "null_high"), LOOKS[kind])
    ceiling = first["ceiling"].to_numpy(np.float64)
    axis.hlines(
        ceiling, places - 0.42, places + 0.42, color=style.SERIES_COLORS[3], linewidth=0.9,
        gid="ceiling",
    )  # fmt: skip
    for place in np.flatnonzero(np.isnan(first["value"].to_numpy(np.float64))).tolist():
        axis.text(
            place, 0.5, "none", fontsize=5, rotation=90, ha="center", va="center",
            transform=axis.get_xaxis_transform(),
        )  # fmt: skip


def _points(
    axis: Axes, places: Places, rows: pd.DataFrame, columns: Sequence[str], look: Look
) -> None:
    middle, low, high = rows[[*columns]].to_numpy(np.float64).T
    spread = [np.nan_to_num(middle - low).clip(0), np.nan_to_num(high - middle).clip(0)]
    axis.errorbar(
        places, middle, spread, color=look.color, marker=look.marker, markersize=2.8,
        markerfacecolor=look.fill, markeredgewidth=0.6, linestyle="none", elinewidth=0.7,
        gid=look.name, zorder=3,
    )  # fmt: skip


def _finish(axis: Axes, name: str, layers: Sequence[str], room: float, *, lowest: bool) -> None:
    known = statistics().get(name)
    title = known.label if known else name
    axis.set_title(title, fontsize=style.fitting(title, room - 0.3, 7.0), pad=3)
    low, high = axis.get_ylim()
    bottom, top = known.span if known else (None, None)
    margin = 0.04 * ((top if top is not None else high) - min(low, 0.0))
    if bottom is not None and low < bottom:
        low = bottom - margin
    axis.set_ylim(min(low, -margin), high if top is None else top + margin)
    axis.axhline(0, color=style.INK, linewidth=0.4, zorder=0)
    for between in range(1, len(layers)):
        axis.axvline(between - 0.5, color="#e3e3e3", linewidth=0.4, zorder=0)
    wide = max(style.text_width(layer, style.SMALL_TEXT) for layer in layers)
    turned = wide > 0.9 * (room - 0.5) / len(layers)
    axis.set_xticks(
        range(len(layers)), layers if lowest else [""] * len(layers), rotation=90 if turned else 0,
        fontsize=4.5 if len(layers) > LONG_NAMES else style.SMALL_TEXT,
    )  # fmt: skip
    axis.tick_params(axis="y", labelsize=style.SMALL_TEXT)
    axis.set_xlim(-0.55, len(layers) - 0.45)


def _legend(kinds: Sequence[str]) -> list[Line2D]:
    handles = [
        Line2D(
            [], [], color=look.color, marker=look.marker, ms=2.8, lw=0.7, mew=0.6,
            markerfacecolor=look.fill, label=look.label,
        )
        for look in (VALUE, *(LOOKS[kind] for kind in kinds))
    ]  # fmt: skip
    ceiling = Line2D([], [], color=style.SERIES_COLORS[3], lw=0.9, label="float32 against float64")
    return [*handles, ceiling]
