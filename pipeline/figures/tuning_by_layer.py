"""Tuning properties from layer to layer, beside those of macaque cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from pipeline.analysis.statistics import bootstrap_median, wilson_interval
from pipeline.analysis.tuning.distributions import Distribution, macaque_distributions
from pipeline.analysis.tuning.properties import CIRCLES, PROPERTIES
from pipeline.figures import style
from pipeline.figures.property_names import YES_NO, property_name, unit_name

SHOWN = (
    "circular_variance", "orientation_bandwidth", "simple", "peak_frequency",
    "frequency_bandwidth", "suppression_index", "summation_field", "surround_diameter",
    "half_contrast", "contrast_exponent", "hue_selectivity", "texture_modulation",
)  # fmt: skip
RESAMPLES = 1000
_FEW = 8  # layers of panels of which four fit beside each other


@style.paper_style()
def properties_by_layer(
    table: pd.DataFrame,
    distributions: Mapping[str, Distribution] | None = None,
    properties: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Return medians of properties from layer to layer, with 95 % bootstrap intervals over units.

    Of properties that a unit has or has not, such as being simple, they are shares with Wilson's
    intervals. Dashed lines are medians, or shares, of cells. Layers in which a property is defined
    in no unit say "none". Sizes have pixels at the right, if the table holds them.

    Args:
        table: ``layer``, ``unit``, ``property`` and ``value``, one value per layer, unit and
            property; ``value_px`` if there are pixels.
        distributions: of cells by property; the macaque's by default.
        properties: which ones, in order; by default those of ``SHOWN``. None of them may go around
            a circle.
        title: of the figure.

    Raises:
        ValueError: a column is missing, a unit has several values of a property, the table has none
            of the properties, or one goes around a circle.
    """
    chosen = _chosen(table, properties)
    known = macaque_distributions() if distributions is None else distributions
    layers = [str(layer) for layer in dict.fromkeys(table["layer"])]
    columns = min(len(chosen), 4 if len(layers) <= _FEW else 3)
    rows = -(-len(chosen) // columns)
    width = style.SINGLE_COLUMN if columns < 3 else style.DOUBLE_COLUMN
    figure = style.new_figure(width, 0.75 + 1.35 * rows)
    for number, name in enumerate(chosen):
        axis = figure.add_subplot(rows, columns, number + 1)
        style.settle_ticks(axis)
        own = table.loc[table["property"] == name]
        _draw(axis, own, name, layers, known.get(name))
        _label(axis, layers, width / columns, lowest=number + columns >= len(chosen))
        said = property_name(name)
        axis.set_title(said, fontsize=style.fitting(said, width / columns - 0.3, 7.0), pad=3)
    if title:
        figure.suptitle(style.wrapped(title, width - 0.3))
    figure.legend(handles=_legend(), loc="outside lower center", ncols=2, fontsize=style.SMALL_TEXT)
    return figure


def _chosen(table: pd.DataFrame, properties: Sequence[str] | None) -> list[str]:
    style.check_table(table, ("layer", "unit", "property", "value"), single=())
    if table.duplicated(["layer", "unit", "property"]).any():
        raise ValueError(
            "the table has several values of a property of one unit; select one rate map, before or"
            " after the nonlinearity"
        )
    there = list(dict.fromkeys(table["property"]))
    wanted = SHOWN if properties is None else properties
    chosen = [name for name in wanted if name in there]
    if not chosen:
        raise ValueError(
            f"the table has no property {', '.join(wanted)}; it has {', '.join(there)}"
        )
    if around := [name for name in chosen if name in CIRCLES]:
        raise ValueError(f"{around[0]} goes around a circle and has no median; leave it out")
    return chosen


def _draw(
    axis: Axes, own: pd.DataFrame, name: str, layers: Sequence[str], cells: Distribution | None
) -> None:
    ends = np.array([_summary(own.loc[own["layer"] == layer, "value"], name) for layer in layers])
    low, middle, high = ends.T
    axis.errorbar(
        np.arange(len(layers)), middle, [np.nan_to_num(middle - low), np.nan_to_num(high - middle)],
        color=style.SERIES_COLORS[0], marker="o", markersize=2.5, linewidth=0.8, elinewidth=0.8,
        gid=name,
    )  # fmt: skip
    for place in np.flatnonzero(np.isnan(middle)).tolist():
        axis.text(
            place, 0.5, "none", fontsize=5, rotation=90, ha="center", va="center",
            transform=axis.get_xaxis_transform(),
        )  # fmt: skip
    if cells is not None:
        height = cells.counts[-1] / cells.counts.sum() if name in YES_NO else cells.median
        percent = 100 * height if name in YES_NO else height
        axis.axhline(percent, color=style.INK, lw=0.7, ls=(0, (3, 1.5)), gid="cells", zorder=0)
    if name in YES_NO:
        axis.set_ylim(-3, 103)
        axis.set_ylabel("% of units", fontsize=style.SMALL_TEXT)
        return
    if PROPERTIES[name].log:
        _scale(axis)
    axis.set_ylabel(unit_name(name), fontsize=style.SMALL_TEXT)
    if PROPERTIES[name].unit_of_measure == "deg":
        _add_pixels(axis, own)


def _summary(values: pd.Series, name: str) -> tuple[float, float, float]:
    """Return lower end, median or share in percent, and upper end; NaN if undefined in all."""
    defined = values.dropna().to_numpy(np.float64)
    if not len(defined):
        return np.nan, np.nan, np.nan
    if name in YES_NO:
        share, (low, high) = defined.mean(), wilson_interval(int(defined.sum()), len(defined))
        return 100 * low, 100 * float(share), 100 * high
    low, high = bootstrap_median(defined, np.random.default_rng(0), RESAMPLES)
    return low, float(np.median(defined)), high


def _scale(axis: Axes) -> None:
    """Make the vertical axis logarithmic, with round numbers."""
    axis.set_yscale("log", base=2)
    low, high = np.log2(axis.get_ylim())
    if high - low < 2.0:
        axis.set_ylim(2 ** (low - (2.0 - high + low) / 2), 2 ** (high + (2.0 - high + low) / 2))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axis.yaxis.set_minor_locator(NullLocator())


def _add_pixels(axis: Axes, own: pd.DataFrame) -> None:
    if "value_px" not in own or not np.isfinite(own["value_px"]).any():
        return
    values = own.loc[own["value"] > 0]
    scale = float((values["value_px"] / values["value"]).median())
    both = (lambda degrees: degrees * scale, lambda pixels: pixels / scale)
    other = axis.secondary_yaxis("right", functions=both)
    other.set_yscale("log", base=2)
    other.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    other.yaxis.set_minor_formatter(NullFormatter())
    other.yaxis.set_minor_locator(NullLocator())
    other.set_ylabel("pixels", fontsize=style.SMALL_TEXT)
    other.tick_params(labelsize=style.SMALL_TEXT)


def _label(axis: Axes, layers: Sequence[str], room: float, *, lowest: bool) -> None:
    many = len(layers) > _FEW
    wide = max(style.text_width(layer, style.SMALL_TEXT) for layer in layers)
    turned = wide > 0.9 * (room - 0.6) / len(layers)
    axis.set_xticks(
        range(len(layers)), layers if lowest else [""] * len(layers),
        rotation=90 if turned else 0, fontsize=4.5 if many else style.SMALL_TEXT,
    )  # fmt: skip
    axis.tick_params(axis="y", labelsize=style.SMALL_TEXT)
    axis.set_xlim(-0.6, len(layers) - 0.4)


def _legend() -> list[Line2D]:
    return [
        Line2D(
            [], [], color=style.SERIES_COLORS[0], marker="o", markersize=2.5, lw=0.8,
            label="units: median or share, 95 % interval",
        ),
        Line2D(
            [], [], color=style.INK, lw=0.7, ls=(0, (3, 1.5)), label="macaque cells, if known"
        ),
    ]  # fmt: skip
