"""Receptive fields by layer: how well methods agree, and how large the fields are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, NullFormatter

from pipeline.analysis.statistics import bootstrap_median
from pipeline.figures import style
from pipeline.figures.method_names import method_name

# Above this the source of the measure calls a correlation of maps high.
HIGH = 0.7
MEASURES = {
    "correlation": "correlation of maps",
    "iou": "overlap above half height (IoU)",
    "distance": "earth mover's distance (pixels)",
}
DIAMETERS = {
    "half_area": "circle of the area above half height",
    "radius_50": "circle of half the mass",
    "radius_90": "circle of 90 % of the mass",
}
RESAMPLES = 1000
_SMALL = 8  # matrices in a row


class _Compared(NamedTuple):
    """Medians over units of one measure between all pairs of methods.

    Attributes:
        layers: from the first to the last.
        methods: the reference first.
        medians: NaN where nothing is defined, and of methods with themselves.
        low: lower end of the 95 % interval of the median of each method with the reference.
        high: its upper end.
    """

    layers: list[str]
    methods: list[str]
    medians: Float[np.ndarray, "layers methods methods"]
    low: Float[np.ndarray, "layers methods"]
    high: Float[np.ndarray, "layers methods"]


@style.paper_style()
def agreement_by_layer(
    agreement: pd.DataFrame,
    *,
    measure: str = "correlation",
    sign: int = 1,
    reference: str | None = None,
) -> Figure:
    """Return how well the maps of all methods agree, from layer to layer.

    Above, medians over units of each method with the reference, with 95 % bootstrap intervals over
    units; of correlations, the line at 0.7 is what counts as high, and the title says from which
    layer on no method reaches it. Below, medians of all pairs of methods, a matrix for each layer.

    Args:
        agreement: the table ``map_agreement``, without layers that are not to be shown: ``layer``,
            ``sign``, ``first``, ``second``, ``unit``, and the measure.
        measure: ``correlation``, ``iou`` or ``distance``.
        sign: 1 for what raises the response, -1 for what lowers it.
        reference: a method; by default ``gradient``, or else the first.

    Raises:
        ValueError: a column, the sign or the reference is missing from the table.
    """
    style.check_table(agreement, ("layer", "sign", "first", "second", measure), single=())
    shown = agreement.loc[agreement["sign"] == sign]
    if shown.empty:
        raise ValueError(f"the table has no rows of sign {sign}; it has {set(agreement['sign'])}")
    found = _compare(shown, measure, reference)
    rows = -(-len(found.layers) // _SMALL)
    side = _matrix_side(found)
    below = 0.55 + rows * (side + 0.1)
    figure = style.new_figure(style.DOUBLE_COLUMN, 3.0 + below)
    upper, lower = cast("Any", figure.subfigures(2, 1, height_ratios=[3.0, below]))
    _draw_lines(upper, found, measure)
    _draw_matrices(lower, found, measure)
    word = "raises" if sign > 0 else "lowers"
    title = f"Maps of what {word} the response, against {method_name(found.methods[0])}"
    if measure == "correlation":
        title = f"{title}: {_ending(found)}"
    figure.suptitle(style.wrapped(title, style.DOUBLE_COLUMN - 0.3))
    return figure


@style.paper_style()
def field_sizes_by_layer(
    summary: pd.DataFrame,
    *,
    size: str = "half_area",
    sign: int = 1,
    pixels_per_degree: float | None = None,
) -> Figure:
    """Return how large receptive fields are, from layer to layer and by each method.

    Markers are medians over units, bars reach from the lower to the upper quartile, and the gray
    line is the theoretical field: the geometric mean of its height and width.

    Args:
        summary: the table ``receptive_fields``: ``layer``, ``method``, ``sign``, ``field_height``,
            ``field_width`` and the size.
        size: ``half_area``, the diameter of a circle of the area above half height; or
            ``radius_50`` or ``radius_90``, that of the circle that holds so many percent of the
            mass.
        sign: 1 for what raises the response, -1 for what lowers it.
        pixels_per_degree: adds an axis in degrees of visual angle.

    Raises:
        ValueError: a column or the sign is missing from the table.
    """
    columns = ("layer", "method", "sign", "field_height", "field_width", size)
    style.check_table(summary, columns, single=())
    shown = summary.loc[summary["sign"] == sign]
    if shown.empty:
        raise ValueError(f"the table has no rows of sign {sign}; it has {set(summary['sign'])}")
    layers = list(dict.fromkeys(shown["layer"]))
    methods = list(dict.fromkeys(shown["method"]))
    width = style.SINGLE_COLUMN if len(layers) <= 4 else style.DOUBLE_COLUMN
    figure = style.new_figure(width, 3.0)
    axis = figure.add_subplot()
    style.settle_ticks(axis)
    fields = shown.drop_duplicates("layer")[["field_height", "field_width"]]
    axis.plot(
        np.sqrt(fields.to_numpy(np.float64).prod(axis=1)),
        color=style.NULL_COLOR,
        linewidth=2.5,
        label="theoretical field",
        zorder=1,
    )
    for number, method in enumerate(methods):
        own = shown.loc[shown["method"] == method]
        quartiles = np.stack([_quartiles(_diameters(own, layer, size)) for layer in layers])
        _draw_series(axis, number, len(methods), method_name(method), quartiles)
    _label_layers(axis, layers, width - 0.7)
    axis.set_yscale("log", base=2)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_ylabel(f"diameter (pixels)\n{DIAMETERS.get(size, size)}", fontsize=style.TEXT)
    if pixels_per_degree is not None:
        _add_degrees(axis, pixels_per_degree)
    figure.legend(
        title="medians and quartiles of units", loc="outside lower center",
        ncols=2 if width < style.DOUBLE_COLUMN else 4, fontsize=style.SMALL_TEXT,
    )  # fmt: skip
    return figure


def _compare(table: pd.DataFrame, measure: str, reference: str | None) -> _Compared:
    layers = list(dict.fromkeys(table["layer"]))
    methods: list[str] = list(dict.fromkeys([*table["first"], *table["second"]]))
    reference = reference or ("gradient" if "gradient" in methods else methods[0])
    if reference not in methods:
        raise ValueError(
            f"the table has no method '{reference}' to compare with; it has {', '.join(methods)}"
        )
    methods = [reference, *(method for method in methods if method != reference)]
    medians = np.full((len(layers), len(methods), len(methods)), np.nan)
    low, high = np.full((2, len(layers), len(methods)), np.nan)
    for pair, some in table.groupby(["layer", "first", "second"], sort=False):
        layer, first, second = cast("tuple[str, str, str]", pair)
        values = some[measure].dropna().to_numpy(np.float64)
        at, i, j = layers.index(layer), methods.index(first), methods.index(second)
        medians[at, i, j] = medians[at, j, i] = np.median(values) if len(values) else np.nan
        if 0 in (i, j):
            rng = np.random.default_rng(0)
            low[at, i + j], high[at, i + j] = bootstrap_median(values, rng, RESAMPLES)
    return _Compared(layers, methods, medians, low, high)


def _ending(found: _Compared) -> str:
    """Say from which layer on no method agrees with the reference any more.

    Another map from the same responses does not count.
    """
    plain = [method.removesuffix("_non_overlapping") for method in found.methods]
    others = [number for number, method in enumerate(plain) if method != plain[0]]
    best = np.nan_to_num(found.medians[:, 0, others], nan=-1.0).max(axis=1, initial=-1.0)
    agreeing = np.flatnonzero(best >= HIGH)
    if not len(agreeing):
        return f"no method reaches {HIGH} in any layer"
    if agreeing[-1] == len(best) - 1:
        last = [n for n in others if found.medians[-1, 0, n] >= HIGH]
        names = ", ".join(method_name(found.methods[n]) for n in last)
        return f"{HIGH} or more in the last layer: {names}"
    return f"no method reaches {HIGH} from {found.layers[agreeing[-1] + 1]} on"


def _draw_lines(figure: SubFigure, found: _Compared, measure: str) -> None:
    axis = figure.add_subplot()
    style.settle_ticks(axis)
    for number, method in enumerate(found.methods[1:]):
        ends = [
            found.low[:, number + 1],
            found.medians[:, 0, number + 1],
            found.high[:, number + 1],
        ]
        name = f"{number + 2}  {method_name(method)}"
        _draw_series(axis, number, len(found.methods) - 1, name, np.stack(ends, axis=1))
    if measure == "correlation":
        axis.axhline(HIGH, color=style.INK, linewidth=0.5, linestyle=(0, (4, 2)), zorder=0)
        axis.axhline(0, color=style.INK, linewidth=0.4, zorder=0)
        axis.set_ylim(min(-0.1, axis.get_ylim()[0]), 1.02)
    axis.set_ylabel(MEASURES.get(measure, measure))
    _label_layers(axis, found.layers, style.DOUBLE_COLUMN - 2.4)
    axis.legend(
        title=f"1  {method_name(found.methods[0])}, against\n(medians, 95 % intervals)",
        alignment="left", fontsize=style.SMALL_TEXT, title_fontsize=style.SMALL_TEXT,
        loc="center left", bbox_to_anchor=(1.0, 0.5),
    )  # fmt: skip


def _matrix_side(found: _Compared) -> float:
    """Return the side of a matrix in inches."""
    return min(1.8, 6.0 / min(_SMALL, len(found.layers)))


def _draw_matrices(figure: SubFigure, found: _Compared, measure: str) -> None:
    """Draw the medians of all pairs, methods by number."""
    columns = min(_SMALL, len(found.layers))
    rows = -(-len(found.layers) // columns)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    limits = (0.0, 1.0) if measure in ("correlation", "iou") else (0.0, np.nanmax(found.medians))
    ticks = np.arange(len(found.methods))
    image: Any = None
    for axis in axes[len(found.layers) :]:
        axis.remove()
    for number, (axis, layer) in enumerate(zip(axes, found.layers, strict=False)):
        axis.set_facecolor("white")
        image = axis.imshow(found.medians[number], "cividis", vmin=limits[0], vmax=limits[1])
        axis.set_title(layer, fontsize=style.fitting(layer, 6.6 / columns, style.TEXT), pad=2)
        axis.set_xticks(ticks, ticks + 1)
        axis.set_yticks(ticks, ticks + 1 if number % columns == 0 else [""] * len(ticks))
        axis.tick_params(length=0, pad=1.5, labelsize=4.5 if len(ticks) > 8 else 5.5)
        axis.spines[:].set_visible(False)
        if _matrix_side(found) / len(ticks) > 0.18:
            _write_numbers(axis, found.medians[number], limits[1])
    bar = figure.colorbar(image, ax=list(axes[: len(found.layers)]), fraction=0.03, pad=0.01)
    bar.ax.tick_params(labelsize=style.SMALL_TEXT, length=2)
    bar.set_label(style.wrapped(f"median {measure}", 1.0, style.TEXT), fontsize=style.TEXT)
    bar.outline.set_linewidth(0.4)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]


def _write_numbers(axis: Axes, medians: Float[np.ndarray, "methods methods"], most: float) -> None:
    for (row, column), median in np.ndenumerate(medians):
        if np.isfinite(median):
            said = f"{round(median, 2) + 0.0:.2f}" if abs(median) < 10 else f"{median:.0f}"
            axis.text(
                column, row, said, ha="center", va="center", fontsize=5,
                color="black" if median > 0.5 * most else "white",
            )  # fmt: skip


def _draw_series(
    axis: Axes, number: int, count: int, name: str, ends: Float[np.ndarray, "layers 3"]
) -> None:
    """Draw lower end, middle and upper end for every layer, beside those of other series."""
    places = np.arange(len(ends)) + 0.5 * ((number + 0.5) / count - 0.5)
    low, middle, high = ends.T
    axis.errorbar(
        places, middle, [np.nan_to_num(middle - low), np.nan_to_num(high - middle)],
        color=style.SERIES_COLORS[number % len(style.SERIES_COLORS)],
        marker=style.SERIES_MARKERS[number % len(style.SERIES_MARKERS)],
        markersize=3, linewidth=0.7, elinewidth=0.7, label=name, gid=name,
        linestyle="-" if number < len(style.SERIES_COLORS) else (0, (2, 1)),
    )  # fmt: skip


def _label_layers(axis: Axes, layers: Sequence[str], room: float) -> None:
    turned = max(style.text_width(layer, style.TEXT) for layer in layers) > 0.9 * room / len(layers)
    axis.set_xticks(range(len(layers)), layers, rotation=90 if turned else 0)
    axis.set_xlim(-0.6, len(layers) - 0.4)


def _diameters(own: pd.DataFrame, layer: str, size: str) -> Float[np.ndarray, " units"]:
    values = own.loc[own["layer"] == layer, size].dropna().to_numpy(np.float64)
    return 2 * np.sqrt(values / np.pi) if size == "half_area" else 2 * values


def _quartiles(values: Float[np.ndarray, " units"]) -> Float[np.ndarray, "3"]:
    return np.quantile(values, [0.25, 0.5, 0.75]) if len(values) else np.full(3, np.nan)


def _add_degrees(axis: Axes, pixels_per_degree: float) -> None:
    scale = (lambda pixels: pixels / pixels_per_degree, lambda degrees: degrees * pixels_per_degree)
    other = axis.secondary_yaxis("right", functions=scale)
    other.set_yscale("log", base=2)
    other.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    other.yaxis.set_minor_formatter(NullFormatter())
    other.set_ylabel("degrees of visual angle")
