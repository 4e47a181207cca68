"""Best Gabors by layer: how much of the response to other images they evoke at equal contrast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from pipeline.analysis.statistics import bootstrap_median
from pipeline.figures import style

INDICES = {
    "gabor_over_ascent": "best Gabor / ascent image",
    "gabor_over_patch": "best Gabor / top patch",
}
FEW, MANY = 6, 12  # layers that fit into one column, and those beyond which words are turned
RESAMPLES = 1000  # for intervals of medians


@style.paper_style()
def gabor_indices_by_layer(table: pd.DataFrame) -> Figure:
    """Return for each layer the distributions of both indices over units, on logarithmic axes.

    Points are units, boxes medians and quartiles, and bars 95 % bootstrap intervals of the medians.
    At 1 (the line) the best Gabor evokes as much as the other image at the same RMS contrast.
    Layers in which no unit has an index say "none"; ratios of 0 and below cannot be drawn, and
    their number stands below the axis.

    Args:
        table: ``best_gabor`` of a run, or the table of ``pipeline.best_gabor``.

    Raises:
        ValueError: the table has no rows, lacks a column, or is of several networks.
    """
    single = ("model",) if "model" in table else ()
    style.check_table(table, ("layer", *INDICES), single=single)
    layers = list(dict.fromkeys(table["layer"]))
    figure, axes = _panels(layers)
    for axis, column in zip(axes, INDICES, strict=True):
        _draw(axis, table, column, layers)
    name = f"{table['model'].iloc[0]}: " if single else ""
    title = f"{name}responses above the blank at equal RMS contrast"
    axes[0].set_title(style.wrapped(title, figure.get_figwidth() - 0.9))
    figure.legend(
        handles=_legend(), loc="outside lower center", ncols=1 if len(layers) <= FEW else 3
    )
    return figure


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], linestyle="none", marker="o", markersize=3, label="units",
               markerfacecolor=style.CORRELATION_COLOR, markeredgewidth=0),
        Line2D([], [], color=style.MEDIAN_COLOR, linewidth=1.4,
               label="median, in the box of the quartiles"),
        Line2D([], [], color=style.INK, linewidth=1.0, label="95 % interval of the median"),
    ]  # fmt: skip


def _panels(layers: Sequence[str]) -> tuple[Figure, list[Axes]]:
    width = style.SINGLE_COLUMN if len(layers) <= FEW else style.DOUBLE_COLUMN
    figure = style.new_figure(width, 4.6)
    found = figure.subplots(len(INDICES), sharex=True, squeeze=False)
    axes: list[Axes] = list(found[:, 0])
    for axis, label in zip(axes, INDICES.values(), strict=True):
        style.settle_ticks(axis)
        axis.set_ylabel(label)
        axis.axhline(1.0, color=style.INK, linewidth=0.5, linestyle=(0, (4, 2)), zorder=0)
    axes[-1].set_xticks(range(len(layers)), layers)
    axes[-1].set_xlim(-0.6, len(layers) - 0.4)
    room = (width - 0.7) / len(layers)
    if max(style.text_width(layer, style.TEXT) for layer in layers) > 0.9 * room:
        axes[-1].tick_params(axis="x", labelrotation=90)
    return figure, axes


def _draw(axis: Axes, table: pd.DataFrame, column: str, layers: Sequence[str]) -> None:
    rng = np.random.default_rng(0)
    drawn: list[float] = []
    left_out: dict[int, int] = {}
    axis.set_yscale("log", base=2)
    for place, layer in enumerate(layers):
        values = table.loc[table["layer"] == layer, column].dropna().to_numpy(np.float64)
        above = values[values > 0]
        drawn += above.tolist()
        if len(above) < len(values):
            left_out[place] = len(values) - len(above)
        if len(above):
            _draw_layer(axis, place, above, rng)
        elif not len(values):
            axis.text(
                place, 0.5, "none", ha="center", va="center", fontsize=style.SMALL_TEXT,
                rotation=90 if len(layers) > MANY else 0,
                transform=axis.get_xaxis_transform(),
            )  # fmt: skip
    _scale(axis, drawn)
    for place, count in left_out.items():
        axis.text(
            place, 0.01, f"{count} at or below 0", ha="center", va="bottom",
            fontsize=style.SMALL_TEXT, transform=axis.get_xaxis_transform(),
        )  # fmt: skip


def _draw_layer(
    axis: Axes, place: int, values: Float[np.ndarray, " units"], rng: np.random.Generator
) -> None:
    jitter = rng.uniform(-0.3, 0.3, len(values))
    axis.scatter(
        place + jitter,
        values,
        4,
        style.CORRELATION_COLOR,
        alpha=0.6,
        linewidths=0,
        gid="units",
        zorder=3,
    )
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    side = place - 0.3, place + 0.3
    for height, width in ((low, 0.6), (middle, 1.4), (high, 0.6)):
        axis.plot(side, [height] * 2, color=style.MEDIAN_COLOR, linewidth=width)
    axis.plot([side[0]] * 2, [low, high], color=style.MEDIAN_COLOR, linewidth=0.6)
    axis.plot([side[1]] * 2, [low, high], color=style.MEDIAN_COLOR, linewidth=0.6)
    if len(values) > 1:
        ends = bootstrap_median(values, np.random.default_rng(0), RESAMPLES)
        axis.plot([place] * 2, ends, color=style.INK, linewidth=1.0, gid="interval")


def _scale(axis: Axes, drawn: Sequence[float]) -> None:
    """Show at least an octave on either side of 1, with plain numbers."""
    low, high = np.log2([min([0.5, *drawn]), max([2.0, *drawn])])
    axis.set_ylim(2 ** (low - 0.3), 2 ** (high + 0.3))
    octaves = np.arange(np.floor(low), np.ceil(high) + 1)
    axis.set_yticks(2.0 ** octaves[:: max(1, len(octaves) // 6)])
    axis.set_ylim(2 ** (low - 0.3), 2 ** (high + 0.3))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axis.yaxis.set_minor_locator(NullLocator())
