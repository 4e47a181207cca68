"""How the mean response of every feature changes through a dream."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import style

COLUMNS = ("model", "layer", "init", "octave", "step", "feature_layer", "feature", "mean_response")


@style.paper_style()
def feature_means(features: pd.DataFrame) -> Figure:
    """Return a line for every feature over the steps of a dream, a panel for every layer read.

    Features whose mean rises are drawn in one color, others in another; vertical lines part the
    octaves. Takes the table of features of one dream: ``model layer init octave step feature_layer
    feature mean_response``.
    """
    style.check_table(features, COLUMNS, single=("model", "layer", "init"))
    layers = list(features.groupby("feature_layer", sort=False))
    figure, axes = style.panel_grid([str(layer) for layer, _ in layers], "step")
    rising, falling = style.SERIES_COLORS[:2]
    for axis, (_, table) in zip(axes, layers, strict=True):
        means = table.pivot(index=["octave", "step"], columns="feature", values="mean_response")
        lines = means.to_numpy(np.float64)
        up = lines[-1] > lines[0]
        steps = np.arange(len(lines))
        width = 0.8 if lines.shape[1] <= 32 else 0.3
        axis.plot(steps, lines[:, ~up], color=falling, lw=width, alpha=0.6)
        axis.plot(steps, lines[:, up], color=rising, lw=width, alpha=0.6)
        octaves = means.index.get_level_values("octave").to_numpy()
        for boundary in np.flatnonzero(np.diff(octaves)) + 0.5:
            axis.axvline(boundary, color=style.INK, lw=0.5, ls=":")
        axis.margins(x=0.02)
        axis.yaxis.set_major_locator(style.few_ticks())
        axis.xaxis.set_major_locator(style.few_ticks(integer=True))
        axis.text(
            0.03, 0.97, f"{int(up.sum())} of {len(up)} rise",
            transform=axis.transAxes, ha="left", va="top", fontsize=style.SMALL_TEXT,
        )  # fmt: skip
    row = features.iloc[0]
    title = f"{row['model']} {row['layer']} from {row['init']}: every feature through the dream"
    figure.suptitle(style.wrapped(title, figure.get_figwidth() - 0.2))
    figure.supylabel(style.wrapped("mean response", 0.75 * figure.get_figheight()))
    handles = [
        Line2D([], [], color=rising, label="rises"),
        Line2D([], [], color=falling, label="does not rise (dotted: next octave)"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure
