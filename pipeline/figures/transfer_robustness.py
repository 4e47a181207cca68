"""What crops, JPEG, noise and shifts leave of the responses to images made for units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures import style

AXES = {
    "crop": "share of the sides left",
    "jpeg": "JPEG quality",
    "noise": "SD of noise (black 0, white 1)",
    "shift": "shift (pixels)",
}
CLIP = "clip"
MOST = 7  # layers with colors of their own


@style.paper_style()
def robustness_curves(table: pd.DataFrame, title: str = "") -> Figure:
    """Return the response as a share of that to the clean image, by the strength of each change.

    Points are medians over images, bars their quartiles, and colors layers: with more than seven,
    seven from first to last. ``clip`` stands at the right of JPEG qualities: an image of 8 bits,
    without compression.

    Args:
        table: table ``transfer_robustness`` of one model, kind, init and network.
        title: of the figure.

    Raises:
        ValueError: the table lacks a column, or has several of these.
    """
    needed = ("layer", "perturbation", "level", "share")
    style.check_table(table, needed, ("model", "kind", "init", "network"))
    known = table.dropna(subset=["share"])
    shown = [kind for kind in AXES if kind in set(table["perturbation"])]
    if not shown:
        raise ValueError("the table has no perturbation but the clean image; there is no curve")
    layers = _some([str(name) for name in dict.fromkeys(table["layer"])])
    columns = min(len(shown), 4)
    width = style.SINGLE_COLUMN if columns < 3 else style.DOUBLE_COLUMN
    figure = style.new_figure(width, 2.2)
    axes: list[Axes] = []
    for number, kind in enumerate(shown):
        share = axes[0] if axes else None
        axis = figure.add_subplot(1, columns, number + 1, sharey=share)
        style.settle_ticks(axis)
        _draw(axis, known, kind, layers)
        axis.set_xlabel(AXES[kind], fontsize=style.fitting(AXES[kind], width / columns - 0.3, 7.0))
        axis.tick_params(labelleft=not axes)
        axes.append(axis)
    axes[0].set_ylabel("response / clean")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=min(len(names), 7),
        fontsize=style.SMALL_TEXT,
    )  # fmt: skip
    if title:
        figure.suptitle(title, fontsize=style.fitting(title, width - 0.1))
    return figure


def _some(layers: Sequence[str]) -> list[str]:
    count = min(len(layers), MOST)
    return [layers[round(n * (len(layers) - 1) / max(count - 1, 1))] for n in range(count)]


def _draw(axis: Axes, table: pd.DataFrame, kind: str, layers: Sequence[str]) -> None:
    own = table.loc[table["perturbation"].isin([kind, CLIP] if kind == "jpeg" else [kind])]
    levels = sorted(own.loc[own["perturbation"] == kind, "level"].unique().tolist())
    names = [f"{level:g}" for level in levels]
    if kind == "jpeg" and (own["perturbation"] == CLIP).any():
        names.append("none")
    for number, layer in enumerate(layers):
        of_layer = own.loc[own["layer"] == layer]
        groups = [of_layer.loc[_at(of_layer, kind, level), "share"] for level in levels]
        if len(names) > len(levels):
            groups.append(of_layer.loc[of_layer["perturbation"] == CLIP, "share"])
        ends = np.array([_quartiles(group.to_numpy(np.float64)) for group in groups])
        low, middle, high = ends.T
        x = np.arange(len(names)) + 0.08 * (number - (len(layers) - 1) / 2)
        color = style.SERIES_COLORS[number % len(style.SERIES_COLORS)]
        axis.errorbar(
            x, middle, [middle - low, high - middle], label=layer, color=color,
            marker=style.SERIES_MARKERS[number], markersize=2.5, linewidth=0.8, elinewidth=0.6,
        )  # fmt: skip
    axis.axhline(1.0, color=style.NULL_COLOR, linewidth=0.6, zorder=0)
    axis.axhline(0.0, color=style.NULL_COLOR, linewidth=0.6, linestyle=":", zorder=0)
    axis.set_xticks(range(len(names)), names)


def _at(table: Any, kind: str, level: float) -> Any:
    return (table["perturbation"] == kind) & (table["level"] == level)


def _quartiles(values: np.ndarray) -> tuple[float, float, float]:
    if not len(values):
        return (np.nan, np.nan, np.nan)
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float(low), float(middle), float(high)
