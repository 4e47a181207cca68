"""Correlations between ascents from two inits: a box per layer."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
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

JITTER = 0.3  # as a share of a layer's width, to either side


@style.paper_style()
def box_plot(correlations: pd.DataFrame) -> Figure:
    """Return one box per layer (median, quartiles, whiskers to 1.5 quartile ranges) and its units.

    Points are units, and the wide gray boxes behind are the null. The figure is one column wide if
    the layer names fit side by side, otherwise two.
    """
    style.check_table(correlations, COLUMNS, single=("model", "init_a", "init_b"))
    layers = by_layer(correlations)
    width = style.SINGLE_COLUMN if _flat(layers, style.SINGLE_COLUMN) else style.DOUBLE_COLUMN
    figure = style.new_figure(width, 2.8)
    axis = figure.add_subplot()
    style.settle_ticks(axis)
    axis.axhline(0, color=style.INK, linewidth=0.4, zorder=0)
    with style.own_labels(axis):
        _draw_null(axis, layers)
        _draw_units(axis, layers)
    _note_undefined(axis, layers)
    axis.set_xlim(-0.6, len(layers) - 0.4)
    low = axis.get_ylim()[0]
    axis.set_ylim(max(min(low, -0.15), -1.05), 1.05)
    axis.set_ylabel(LABEL)
    _label_layers(figure, axis, layers)
    axis.set_title(style.wrapped(pair_title(correlations), width - MARGIN))
    figure.legend(handles=_box_legend(), loc="outside lower center", ncols=3)
    return figure


def _draw_null(axis: Axes, layers: Sequence[LayerCorrelations]) -> None:
    fill = to_rgba(style.NULL_COLOR, 0.35)
    null = _long(layers, [layer.null for layer in layers])
    _draw_boxes(axis, null, width=0.8, fill=fill, ink=style.NULL_COLOR, zorder=1)


def _draw_units(axis: Axes, layers: Sequence[LayerCorrelations]) -> None:
    """Draw the boxes of the correlations, with every unit as a point in front."""
    import seaborn as sns

    units = _long(layers, [layer.defined for layer in layers])
    fill = to_rgba(style.CORRELATION_COLOR, 0.55)
    medians = _draw_boxes(axis, units, width=0.4, fill=fill, ink=style.INK, zorder=3)
    drawn = [layer for layer in layers if len(layer.defined)]
    for median, layer in zip(medians, drawn, strict=True):
        median.set(color=style.MEDIAN_COLOR, linewidth=1.3, zorder=5, gid=f"median {layer.layer}")
    with _seeded():
        sns.stripplot(
            units,
            x="layer",
            y="r",
            order=units["layer"].cat.categories,
            jitter=JITTER,
            size=1.6,
            color=style.MEDIAN_COLOR,
            alpha=0.4,
            zorder=4,
            rasterized=True,  # thousands of vector points would make the PDF heavy
            ax=axis,
        )


def _long(
    layers: Sequence[LayerCorrelations], values: Sequence[Float[np.ndarray, " _"]]
) -> pd.DataFrame:
    """Return a row for every value, with its layer; layers without values stay categories."""
    names = [layer.layer for layer in layers]
    of = pd.Categorical.from_codes(
        np.repeat(np.arange(len(names)), [len(some) for some in values]), names
    )
    return pd.DataFrame({"layer": of, "r": np.concatenate(values)})


def _draw_boxes(
    axis: Axes,
    values: pd.DataFrame,
    *,
    width: float,
    fill: tuple[float, float, float, float],
    ink: str,
    zorder: int,
) -> list[Line2D]:
    """Draw a box for every layer that has values, and return their median lines, left to right."""
    import seaborn as sns

    if values.empty:
        return []
    sns.boxplot(
        values,
        x="layer",
        y="r",
        order=values["layer"].cat.categories,
        width=width,
        color=fill,
        saturation=1,
        linecolor=ink,
        linewidth=0.6,
        showfliers=False,
        zorder=zorder,
        vert=None,  # an argument of seaborn 0.13 is deprecated in Matplotlib 3.11
        ax=axis,
    )
    return cast("Any", axis.containers[-1]).medians


@contextmanager
def _seeded() -> Generator[None]:
    """Seed NumPy's global generator, which seaborn uses for jitter, and restore it afterwards."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _note_undefined(axis: Axes, layers: Sequence[LayerCorrelations]) -> None:
    for position, layer in enumerate(layers):
        if not len(layer.defined):
            # On white, since the null may extend this far.
            words = axis.text(position, 1.0, "none defined", rotation=90, ha="center", va="top")
            words.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1})


def _flat(layers: Sequence[LayerCorrelations], width: float) -> bool:
    """Whether names and counts fit side by side under the boxes of a figure of this width."""
    lines = [line for layer in layers for line in (layer.layer, *layer.counts)]
    place = (width - MARGIN) / len(layers)
    return all(style.text_width(line, style.TEXT) + 0.06 <= place for line in lines)


def _label_layers(figure: Figure, axis: Axes, layers: Sequence[LayerCorrelations]) -> None:
    width = figure.get_figwidth()
    positions = range(len(layers))
    if _flat(layers, width):
        axis.set_xticks(positions, ["\n".join([x.layer, *x.counts]) for x in layers])
        return
    labels = [f"{layer.layer} ({', '.join(layer.counts)})" for layer in layers]
    # Slanted lines of text need 1.4 times their height; if that is too much, use vertical ones.
    slanted = (width - MARGIN) / len(layers) > 1.4 * 1.2 * style.TEXT / 72
    rotation, side = (45, "right") if slanted else (90, "center")
    size = style.TEXT if slanted else style.SMALL_TEXT
    axis.set_xticks(
        positions, labels, rotation=rotation, ha=side, rotation_mode="default", fontsize=size
    )
    if slanted:
        for label in axis.get_xticklabels():
            label.set_rotation_mode("anchor")
    # The figure grows by the longest label, so that the boxes keep their height.
    fall = max(style.text_width(label, size) for label in labels) * (0.71 if slanted else 1.0)
    figure.set_figheight(figure.get_figheight() + max(0.0, fall - 0.3))


def _box_legend() -> list[Patch | Line2D]:
    return [
        Patch(
            facecolor=to_rgba(style.CORRELATION_COLOR, 0.55),
            edgecolor=style.INK,
            linewidth=0.6,
            label="correlation",
        ),
        Line2D(
            [],
            [],
            color=style.MEDIAN_COLOR,
            alpha=0.6,
            marker=".",
            mew=0,
            linestyle="",
            label="unit",
        ),
        Patch(
            facecolor=to_rgba(style.NULL_COLOR, 0.35),
            edgecolor=style.NULL_COLOR,
            linewidth=0.6,
            label="null (units shuffled)",
        ),
    ]
