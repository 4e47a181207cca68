"""Correlations between ascents from two inits: a histogram per layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.figures import style
from pipeline.figures.layer_correlations import (
    COLUMNS,
    LABEL,
    MARGIN,
    LayerCorrelations,
    by_layer,
    pair_title,
)

BINS = np.linspace(-1.1, 1.1, 50)


@style.paper_style()
def histograms(correlations: pd.DataFrame) -> Figure:
    """Return one panel per layer: units in 49 bins from -1.1 to 1.1, the null behind in gray.

    The dashed line is the median, with its value.
    """
    style.check_table(correlations, COLUMNS, single=("model", "init_a", "init_b"))
    layers = by_layer(correlations)
    figure, axes = style.panel_grid([layer.layer for layer in layers], LABEL)
    for axis, layer in zip(axes, layers, strict=True):
        _draw_histogram(axis, layer)
    figure.suptitle(style.wrapped(pair_title(correlations), figure.get_figwidth() - MARGIN))
    figure.supylabel("units")
    figure.legend(handles=_histogram_legend(), loc="outside lower center", ncols=3)
    return figure


def _draw_histogram(axis: Axes, layer: LayerCorrelations) -> None:
    import seaborn as sns

    for values, color, alpha, name in (
        (layer.null, style.NULL_COLOR, 0.5, "null"),
        (layer.defined, style.CORRELATION_COLOR, 0.6, "observed"),
    ):
        # One outline, since adjacent bars have seams in a PDF.
        look: dict[str, Any] = {"element": "step", "color": color, "alpha": alpha, "linewidth": 0}
        with style.own_labels(axis):
            sns.histplot(x=values, bins=BINS, **look, gid=name, ax=axis)
    tallest = max(1, *(np.histogram(r, BINS)[0].max() for r in (layer.null, layer.defined)))
    axis.set_ylim(0, 1.45 * tallest)  # room above the bars for the text
    axis.set_xlim(-1.1, 1.1)
    axis.set_xticks([-1, 0, 1])
    axis.set_xticks([-0.5, 0.5], minor=True)
    axis.yaxis.set_major_locator(style.few_ticks(integer=True))
    text: dict[str, Any] = {"transform": axis.transAxes, "fontsize": style.SMALL_TEXT, "va": "top"}
    axis.text(0.02, 0.86, "\n".join(layer.counts), **text)
    if len(layer.defined):
        _mark_median(axis, float(np.median(layer.defined)))


def _mark_median(axis: Axes, median: float) -> None:
    axis.axvline(median, color=style.MEDIAN_COLOR, linewidth=0.9, linestyle=(0, (4, 2)))
    left = median > 0.25  # place the text where there is more space
    axis.annotate(
        f"median {round(median, 2) + 0.0:.2f}",  # never "-0.00"
        (median, 0.985),
        xycoords=("data", "axes fraction"),
        xytext=(-2 if left else 2, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top",
        fontsize=style.SMALL_TEXT,
        color=style.MEDIAN_COLOR,
    )


def _histogram_legend() -> list[Patch | Line2D]:
    return [
        Patch(facecolor=style.CORRELATION_COLOR, alpha=0.6, label="correlation"),
        Line2D(
            [], [], color=style.MEDIAN_COLOR, linewidth=0.9, linestyle=(0, (4, 2)), label="median"
        ),
        Patch(facecolor=style.NULL_COLOR, alpha=0.5, label="null (units shuffled)"),
    ]
