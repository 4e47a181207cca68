"""The mean response of every feature during a dream."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import style

COLUMNS = ("model", "layer", "init", "octave", "step", "feature_layer", "feature", "mean_response")


@style.paper_style()
def feature_means(features: pd.DataFrame) -> Figure:
    """Return a line per feature over the steps of a dream, and a panel per recorded layer.

    Features whose mean rises are drawn in one color, others in another; vertical lines separate the
    octaves. Takes the table of features of one dream: ``model layer init octave step feature_layer
    feature mean_response``.
    """
    style.check_table(features, COLUMNS, single=("model", "layer", "init"))
    layers = list(features.groupby("feature_layer", sort=False))
    figure, axes = style.panel_grid([str(layer) for layer, _ in layers], "step")
    rising, falling = style.SERIES_COLORS[:2]
    for axis, (_, table) in zip(axes, layers, strict=True):
        means = table.pivot(index=["octave", "step"], columns="feature", values="mean_response")
        up = means.iloc[-1] > means.iloc[0]
        width = 0.8 if len(up) <= 32 else 0.3
        _draw_lines(axis, means.loc[:, ~up], color=falling, linewidth=width)
        _draw_lines(axis, means.loc[:, up], color=rising, linewidth=width)
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


def _draw_lines(axis: Axes, means: pd.DataFrame, *, color: str, linewidth: float) -> None:
    """Draw the mean responses of features, one per column, over all steps of all octaves."""
    import seaborn as sns

    values = means.to_numpy(np.float64)
    if not np.isfinite(values).any():
        return
    steps, features = np.indices(values.shape)
    lines = {
        "step": steps.ravel(),
        "mean_response": values.ravel(),
        # A number for every feature and gap-free run.
        "line": (features * len(values) + style.parted(values)).ravel(),
    }
    with style.own_labels(axis):
        sns.lineplot(
            lines,
            x="step",
            y="mean_response",
            units="line",
            estimator=None,
            color=color,
            linewidth=linewidth,
            alpha=0.6,
            ax=axis,
        )
