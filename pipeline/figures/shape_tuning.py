"""Tuning to shapes: fits of models of V4 neurons, translation invariance, and example units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Polygon

from pipeline.figures import style

FIT_LABEL = "best model: Pearson corr. coeff."
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
def fit_by_layer(tuning: pd.DataFrame) -> Figure:
    """Return for each layer the correlations with the best models, the null beside it in gray.

    Boxes are median and quartiles, whiskers reach 1.5 quartile ranges further; numbers are the
    shares of fitted units above 0.5.

    Args:
        tuning: the table ``shape_tuning`` of one model.
    """
    import seaborn as sns

    style.check_table(tuning, ("model", "layer", "apc_r", "null_r"), single=("model",))
    layers = list(dict.fromkeys(tuning["layer"]))
    figure, axis = _by_layer(layers, FIT_LABEL)
    kinds = {"apc_r": "units", "null_r": "null (shapes shuffled)"}
    palette = {"units": style.CORRELATION_COLOR, kinds["null_r"]: style.NULL_COLOR}
    long = tuning.melt("layer", list(kinds), "kind", "r").replace({"kind": kinds})
    with style.own_labels(axis):
        if np.isfinite(long["r"]).any():
            sns.boxplot(
                long, x="layer", y="r", hue="kind", order=layers, palette=palette, ax=axis,
                linewidth=0.6, fliersize=1, legend=False,
                vert=None,  # what seaborn 0.13 passes here is deprecated in matplotlib 3.11
            )  # fmt: skip
    for place, layer in enumerate(layers):
        r = tuning.loc[tuning["layer"] == layer, "apc_r"].dropna()
        said = f"{100 * (r > 0.5).mean():.0f} %" if len(r) else "none"
        axis.text(place, 1.0, said, ha="center", va="top", fontsize=style.SMALL_TEXT)
    axis.axhline(0.5, color=style.INK, linewidth=0.4, linestyle=(0, (4, 2)), zorder=0)
    axis.set_ylim(0, 1.02)
    axis.set_title(f"{tuning['model'].iloc[0]}: curvature tuning (%: r > 0.5)")
    drawn = set(long.loc[np.isfinite(long["r"]), "kind"])
    handles = [Patch(facecolor=c, label=kind) for kind, c in palette.items() if kind in drawn]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


@style.paper_style()
def invariance_by_layer(tuning: pd.DataFrame) -> Figure:
    """Return for each layer the translation invariance of its units, from first to last.

    Points are units; the line joins medians, with 95 % bootstrap intervals over units. Layers in
    which no unit has a translation invariance, as where the field is too small, say "none".

    Args:
        tuning: the table ``shape_tuning`` of one model.
    """
    import seaborn as sns

    columns = ("model", "layer", "translation_invariance")
    style.check_table(tuning, columns, single=("model",))
    layers = list(dict.fromkeys(tuning["layer"]))
    figure, axis = _by_layer(layers, INVARIANCE_LABEL)
    axis.axhline(0, color=style.INK, linewidth=0.4, zorder=0)
    defined = tuning.dropna(subset=["translation_invariance"])
    with style.own_labels(axis):
        if len(defined):
            shared: dict[str, Any] = {
                "x": "layer",
                "y": "translation_invariance",
                "order": layers,
                "ax": axis,
            }
            places = np.array([layers.index(layer) for layer in defined["layer"]])
            jitter = np.random.default_rng(0).uniform(-0.25, 0.25, len(defined))
            axis.scatter(
                places + jitter, defined[columns[2]], 2, style.CORRELATION_COLOR,
                alpha=0.5, linewidths=0, gid="units",
            )  # fmt: skip
            sns.pointplot(
                defined, estimator="median", errorbar=("ci", 95), seed=0, color=style.MEDIAN_COLOR,
                linewidth=1, markersize=3, **shared,
            )  # fmt: skip
    for place, layer in enumerate(layers):
        if layer not in set(defined["layer"]):
            axis.text(
                place, 0.5, "none", ha="center", va="center", fontsize=style.SMALL_TEXT,
            )  # fmt: skip
    axis.set_xlim(-0.6, len(layers) - 0.4)
    axis.set_ylim(min(-0.15, axis.get_ylim()[0]), 1.02)
    title = f"{tuning['model'].iloc[0]}: medians and 95 % intervals over units"
    axis.set_title(style.wrapped(title, figure.get_figwidth() - 1.1))
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


def _by_layer(layers: Sequence[str], label: str) -> tuple[Figure, Axes]:
    """Return a figure and its axes, with the layers side by side."""
    width = style.SINGLE_COLUMN if len(layers) <= 6 else style.DOUBLE_COLUMN
    figure = style.new_figure(width, 2.8)
    axis = figure.add_subplot()
    style.settle_ticks(axis)
    axis.set_ylabel(label)
    room = (width - 0.7) / len(layers)
    if max(style.text_width(layer, style.TEXT) for layer in layers) > 0.9 * room:
        axis.tick_params(axis="x", labelrotation=90)
    return figure, axis
