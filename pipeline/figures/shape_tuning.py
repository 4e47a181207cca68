"""Tuning to shapes: fits of models of V4 neurons, translation invariance, and example units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Polygon

from pipeline.analysis.shape_summary import TUNED, shape_summary
from pipeline.figures import style

Tables = pd.DataFrame | Mapping[str, pd.DataFrame]

FIT_LABEL = "best model: Pearson corr. coeff."
SHARE_LABEL = "r > 0.5 (% of units)"
NULL = "null (shapes shuffled)"
FEW, MANY = 6, 12  # layers that fit into one column, and those beyond which words are turned
INVARIANCE_LABEL = "translation invariance"
EXTREMES = 5  # shapes on each side of an example
_SPAN = 2.2  # from the center of a shape to the rim of its panel, in units of its coordinates


@dataclass(frozen=True)
class ExampleUnit:
    """A unit with the outlines of its best and worst shapes.

    Attributes:
        name: what stands beside it.
        best: outlines, x right and y up, the best first.
        worst: outlines, the worst first.
        responses: to the best, then to the worst.
    """

    name: str
    best: Float[np.ndarray, "shapes vertices 2"]
    worst: Float[np.ndarray, "shapes vertices 2"]
    responses: Sequence[float]


@style.paper_style()
def fit_by_layer(tuning: Tables) -> Figure:
    """Return for each layer the correlations with the best models, and the share above 0.5.

    Above: shares of fitted units with r above 0.5, with 95 % intervals. Below: boxes are median and
    quartiles, whiskers reach 1.5 quartile ranges further; the null of the first table is gray.

    Args:
        tuning: a table ``shape_tuning`` of one network, or several by the names of their
            conditions, such as a trained network and its controls.
    """
    tables = _conditions(tuning, ("layer", "apc_r", "null_r"))
    layers, colors = _layers(tables), _colors(tables)
    figure, (shares, boxes) = _by_layer(layers, (SHARE_LABEL, FIT_LABEL), (1, 2))
    summary, ends = shape_summary(tables), ("tuned", "tuned_low", "tuned_high")
    summary[[*ends]] *= 100
    _draw_points(shares, summary, layers, colors, ends)
    _say_none(shares, summary, layers, "fitted", 50.0)
    shares.set_ylim(-3, 103)
    null = _draw_boxes(boxes, tables, layers, colors)
    boxes.axhline(TUNED, color=style.INK, linewidth=0.4, linestyle=(0, (4, 2)), zorder=0)
    boxes.set_ylim(0, 1.02)
    shares.set_title(_titled(tables, "tuning to boundary curvature", figure))
    handles = [Patch(facecolor=color, label=name) for name, color in {**colors, **null}.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))
    return figure


@style.paper_style()
def invariance_by_layer(tuning: Tables) -> Figure:
    """Return for each layer the translation invariance of its units, from first to last.

    Points are units, where a single table is given; the line joins medians, with 95 % bootstrap
    intervals over units. Layers in which no unit has a translation invariance, as where the field
    is too small, say "none".

    Args:
        tuning: a table ``shape_tuning`` of one network, or several by the names of their
            conditions.
    """
    column = "translation_invariance"
    tables = _conditions(tuning, ("layer", "apc_r", "null_r", column))
    layers, colors = _layers(tables), _colors(tables)
    figure, (axis,) = _by_layer(layers, (INVARIANCE_LABEL,), (1,))
    axis.axhline(0, color=style.INK, linewidth=0.4, zorder=0)
    if len(tables) == 1:
        (table,) = tables.values()
        defined = table.dropna(subset=[column])
        places = np.array([layers.index(layer) for layer in defined["layer"]])
        jitter = np.random.default_rng(0).uniform(-0.25, 0.25, len(defined))
        axis.scatter(
            places + jitter, defined[column], 2, style.CORRELATION_COLOR, alpha=0.5, linewidths=0,
            gid="units",
        )  # fmt: skip
        colors = dict.fromkeys(tables, style.MEDIAN_COLOR)
    summary = shape_summary(tables)
    ends = ("median_invariance", "invariance_low", "invariance_high")
    _draw_points(axis, summary, layers, colors, ends, joined=True)
    _say_none(axis, summary, layers, "moved", 0.5)
    axis.set_ylim(min(-0.15, axis.get_ylim()[0]), 1.02)
    axis.set_title(_titled(tables, "medians and 95 % intervals", figure))
    if len(tables) > 1:
        figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


@style.paper_style()
def example_units(examples: Sequence[ExampleUnit], title: str) -> Figure:
    """Return a row for each unit: its best shapes on the left, its worst on the right.

    Numbers are responses. Shapes are drawn white on gray, whatever colors were shown, at one scale.

    Args:
        examples: at least one.
        title: of the figure.
    """
    columns = 2 * EXTREMES
    figure = style.new_figure(style.DOUBLE_COLUMN, 0.5 + 0.78 * len(examples), None)
    top = 1 - 0.42 / figure.get_figheight()
    grid = figure.add_gridspec(
        len(examples), columns + 1, left=0.14, right=0.995, bottom=0.01, top=top,
        width_ratios=[*[1] * EXTREMES, 0.3, *[1] * EXTREMES], wspace=0.05, hspace=0.28,
    )  # fmt: skip
    for row, example in enumerate(examples):
        outlines = [*example.best, *example.worst]
        for number, (outline, r) in enumerate(zip(outlines, example.responses, strict=True)):
            axis = figure.add_subplot(grid[row, number + (number >= EXTREMES)])
            _draw_shape(axis, outline)
            axis.set_title(f"{r:.3g}", fontsize=style.SMALL_TEXT, pad=1.5)
            if number == 0:
                axis.set_ylabel(example.name, rotation=0, ha="right", va="center", fontsize=6)
            if row == 0 and number in (0, EXTREMES):
                name = "best shapes" if number == 0 else "worst shapes"
                axis.annotate(
                    name, (0, 1), (0, 10), "axes fraction", "offset points", fontsize=style.TEXT
                )
    figure.suptitle(title, y=1 - 0.05 / figure.get_figheight(), va="top")
    return figure


def _draw_shape(axis: Axes, outline: Float[np.ndarray, "vertices 2"]) -> None:
    axis.set(xlim=(-_SPAN, _SPAN), ylim=(-_SPAN, _SPAN), xticks=[], yticks=[], aspect="equal")
    axis.set_facecolor("#808080")
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.add_patch(Polygon(outline, closed=True, facecolor="white", edgecolor="none"))


def _conditions(tuning: Tables, columns: Sequence[str]) -> Mapping[str, pd.DataFrame]:
    """Return tables by condition, each checked to be of one network.

    Raises:
        ValueError: one lacks a column or has no rows, or is of several networks.
    """
    tables = {"units": tuning} if isinstance(tuning, pd.DataFrame) else tuning
    if not tables:
        raise ValueError("no table is given; a figure needs at least one")
    for table in tables.values():
        style.check_table(table, columns, single=("model",) if "model" in table else ())
    return tables


def _layers(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return the layers of all tables, in the order in which they first come."""
    return list(dict.fromkeys(layer for table in tables.values() for layer in table["layer"]))


def _colors(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    if len(tables) == 1:
        return dict.fromkeys(tables, style.CORRELATION_COLOR)
    return dict(zip(tables, cycle(style.SERIES_COLORS), strict=False))


def _titled(tables: Mapping[str, pd.DataFrame], text: str, figure: Figure) -> str:
    """Return a title with the name of the network, if the tables hold one and agree on it."""
    names = {name for table in tables.values() if "model" in table for name in table["model"]}
    title = f"{names.pop()}: {text}" if len(names) == 1 else text
    return style.wrapped(title, figure.get_figwidth() - 0.9)


def _draw_boxes(
    axis: Axes, tables: Mapping[str, pd.DataFrame], layers: list[str], colors: Mapping[str, str]
) -> dict[str, str]:
    """Draw r of all conditions and the null of the first; return the color of a null if any."""
    import seaborn as sns

    first = next(iter(tables.values()))
    kinds = {name: table[["layer", "apc_r"]] for name, table in tables.items()}
    null = {NULL: style.NULL_COLOR} if np.isfinite(first["null_r"]).any() else {}
    if null:
        kinds[NULL] = pd.DataFrame({"layer": first["layer"], "apc_r": first["null_r"]})
    long = pd.concat([table.assign(kind=name) for name, table in kinds.items()], ignore_index=True)
    with style.own_labels(axis):
        if np.isfinite(long["apc_r"]).any():
            sns.boxplot(
                long, x="layer", y="apc_r", hue="kind", order=layers, hue_order=list(kinds),
                palette={**colors, **null}, ax=axis, linewidth=0.6, fliersize=1, legend=False,
                vert=None,  # what seaborn 0.13 passes here is deprecated in matplotlib 3.11
            )  # fmt: skip
    return null


def _draw_points(
    axis: Axes,
    summary: pd.DataFrame,
    layers: list[str],
    colors: Mapping[str, str],
    columns: tuple[str, str, str],
    joined: bool = False,
) -> None:
    """Draw a value with its interval for each layer, conditions side by side."""
    for number, (name, color) in enumerate(colors.items()):
        rows = summary[summary["condition"] == name].set_index("layer").reindex(layers)
        value, low, high = (rows[column].to_numpy(dtype=float) for column in columns)
        aside = 0.6 * ((number + 0.5) / len(colors) - 0.5) if len(colors) > 1 else 0.0
        # The median of a single unit has no interval.
        reach = np.nan_to_num(np.stack([value - low, high - value])).clip(min=0)
        axis.errorbar(
            np.arange(len(layers)) + aside, value, reach, color=color, label=name, markersize=3,
            marker=style.SERIES_MARKERS[number % len(style.SERIES_MARKERS)],
            linestyle="-" if joined else "none", linewidth=1, elinewidth=1, markeredgewidth=0,
        )  # fmt: skip


def _say_none(
    axis: Axes, summary: pd.DataFrame, layers: list[str], counted: str, height: float
) -> None:
    """Say "none" where a layer has no unit with a number in any condition."""
    for place, layer in enumerate(layers):
        if not summary.loc[summary["layer"] == layer, counted].any():
            axis.text(
                place, height, "none", ha="center", va="center", fontsize=style.SMALL_TEXT,
                rotation=90 if len(layers) > MANY else 0,
            )  # fmt: skip


def _by_layer(
    layers: list[str], labels: Sequence[str], heights: Sequence[int]
) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels one above the other, the layers side by side in each."""
    width = style.SINGLE_COLUMN if len(layers) <= FEW else style.DOUBLE_COLUMN
    figure = style.new_figure(width, 2.8 + 1.1 * (len(labels) - 1))
    found = figure.subplots(len(labels), sharex=True, squeeze=False, height_ratios=heights)
    axes: list[Axes] = list(found[:, 0])
    for axis, label in zip(axes, labels, strict=True):
        style.settle_ticks(axis)
        axis.set_ylabel(label)
    axes[-1].set_xticks(range(len(layers)), layers)
    axes[-1].set_xlim(-0.6, len(layers) - 0.4)
    room = (width - 0.7) / len(layers)
    if max(style.text_width(layer, style.TEXT) for layer in layers) > 0.9 * room:
        axes[-1].tick_params(axis="x", labelrotation=90)
    return figure, axes
