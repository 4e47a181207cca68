"""Opponency: fractions of opponent units by layer, and responses of units to hues."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, product
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.analysis.opponency_fractions import opponency_fractions, published
from pipeline.analysis.opponency_table import BASELINES, KINDS, OpponencyRules
from pipeline.figures import style

Tables = pd.DataFrame | Mapping[str, pd.DataFrame]

LABEL = "opponent (% of units)"
STAGE_NAMES = {
    "pre": "before the nonlinearity",
    "post": "after the nonlinearity",
    "pre+post": "hues before, gratings after the nonlinearity",
}
BASELINE_COLORS = {"black": style.INK, "gray": "#de8f05", "white": "#56b4e9"}
HUES = 360
_MANY = 6  # layers that fit into one column


@dataclass(frozen=True, eq=False)
class HueCurve:
    """The responses of a unit to hues.

    Attributes:
        name: what stands above them.
        responses: to hues from 0 degrees on, evenly spaced around the circle.
        baselines: responses to black, gray and white, by their names.
    """

    name: str
    responses: Float[np.ndarray, " hues"]
    baselines: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class _Series:
    """Fractions that are drawn as one line in each panel."""

    name: str
    rows: pd.DataFrame
    look: Mapping[str, Any]
    twin: _Series | None = None  # the same with the demand; drawn alone where they are equal


@style.paper_style()
def opponency_by_layer(opponency: Tables) -> Figure:
    """Return the percentage of opponent units of each layer, with 95 % intervals over units.

    There is a panel for each kind: spectral, spatial and double. Of a single table, lines are its
    baselines, dashed without the demand that they be above 0, where it makes a difference; of
    several, lines are the tables, by the first baseline and demand of the first. Responses are
    those of the stage that is published for the kind if the table has it. Layers in which no unit
    has a class say "undefined".

    Args:
        opponency: what ``pipeline.opponency`` returns or the table ``opponency`` of a run; or
            several by the names of their conditions, such as a trained network and its controls.

    Raises:
        ValueError: a table has no rows, lacks a column, or is of several networks.
    """
    tables = {"": opponency} if isinstance(opponency, pd.DataFrame) else opponency
    if not tables:
        raise ValueError("no table is given; a figure needs at least one")
    for table in tables.values():
        columns = ("layer", "kind", "baseline", "require_positive_baseline", "at", "class")
        style.check_table(table, columns, single=("model",) if "model" in table else ())
    layers = list(dict.fromkeys(layer for table in tables.values() for layer in table["layer"]))
    first = next(iter(tables.values()))
    stages = _stages(first)
    series = _baselines(first) if len(tables) == 1 else _conditions(tables)
    return _by_layer(layers, stages, series, lambda width: _title(tables, width))


@style.paper_style()
def opponency_of_controls(fractions: pd.DataFrame) -> Figure:
    """Return the percentage of opponent units of each layer in several conditions.

    Lines are the conditions, by the published rule: a black baseline, which must be above 0. Bars
    are 95 % intervals: over networks where a condition has several, otherwise over units.

    Args:
        fractions: the table ``opponency_controls``.

    Raises:
        ValueError: the table has no rows or lacks a column.
    """
    columns = ("condition", "networks", "layer", "kind", "class", "fraction", "low", "high")
    style.check_table(fractions, columns, single=())
    rows = published(fractions)
    opponent = rows[rows["class"] == "opponent"]
    layers = list(dict.fromkeys(fractions["layer"]))
    series: list[_Series] = []
    looks = zip(cycle(style.SERIES_COLORS), cycle(style.SERIES_MARKERS), strict=False)
    for name, (color, marker) in zip(dict.fromkeys(opponent["condition"]), looks, strict=False):
        own = pd.DataFrame(opponent[opponent["condition"] == name])
        count = int(own["networks"].to_numpy().max())
        networks = f" ({count} networks)" if count > 1 else ""
        series.append(_Series(f"{name}{networks}", own, {"color": color, "marker": marker}))
    said = "opponent units, black baseline above 0 (95 % intervals over networks, or units of one)"
    return _by_layer(layers, _stages(fractions), series, lambda width: style.wrapped(said, width))


def _by_layer(
    layers: Sequence[str],
    stages: Mapping[str, str],
    series: Sequence[_Series],
    title: Callable[[float], str],
) -> Figure:
    """Return a panel for each kind, with a line for each series."""
    figure, axes = _panels(layers, list(stages))
    for axis, (kind, at) in zip(axes, stages.items(), strict=True):
        axis.set_title(f"{kind}, {STAGE_NAMES[at]}", pad=3)
        axis.set_ylim(-3, 103)
        for number, each in enumerate(series):
            aside = 0.5 * ((number + 0.5) / len(series) - 0.5) if len(series) > 1 else 0.0
            rows = _rows(each, kind, at, layers)
            if each.twin is None or not rows.equals(_rows(each.twin, kind, at, layers)):
                _draw_line(axis, rows, each, aside)
            if number == 0:
                _say_undefined(axis, layers, set(rows.dropna().index))
    axes[len(axes) // 2].set_ylabel(LABEL)
    figure.suptitle(title(figure.get_figwidth() - 0.4))
    handles, names = axes[0].get_legend_handles_labels()
    if any(names):
        across = 2 if len(layers) <= _MANY else 3
        figure.legend(handles, names, loc="outside lower center", ncols=across)
    return figure


@style.paper_style()
def hue_curves(curves: Sequence[HueCurve], title: str) -> Figure:
    """Return a panel for each unit: its response by hue, and its baselines.

    Hues stand below as they were shown, HSL(hue, 1, 0.5). A unit is spectrally opponent if its
    curve crosses the baseline.

    Args:
        curves: at least one.
        title: of the figure.
    """
    figure, axes = style.panel_grid([curve.name for curve in curves], "hue (degrees)")
    figure.suptitle(style.wrapped(title, figure.get_figwidth() - 0.4))
    for axis, curve in zip(axes, curves, strict=True):
        _draw_curve(axis, curve)
    columns = len({round(axis.get_position().x0, 2) for axis in axes})
    figure.supylabel("response", x=0.01) if columns == 1 else figure.supylabel("response")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4 if columns > 1 else 2)
    return figure


def _draw_curve(axis: Axes, curve: HueCurve) -> None:
    hues = np.arange(len(curve.responses) + 1) * (360.0 / len(curve.responses))
    around = np.append(curve.responses, curve.responses[0])
    axis.plot(hues, around, color=style.SERIES_COLORS[0], linewidth=1.2, label="hues")
    for name, value in curve.baselines.items():
        axis.axhline(
            value, color=BASELINE_COLORS[name], linewidth=0.8, label=f"{name} field",
            linestyle={"black": "-", "gray": (0, (5, 2)), "white": (0, (1, 1.2))}[name],
        )  # fmt: skip
    low, high = axis.get_ylim()
    strip = low - 0.12 * (high - low), low - 0.02 * (high - low)
    shown = np.array([colorsys.hls_to_rgb(hue / HUES, 0.5, 1.0) for hue in range(HUES)])
    axis.imshow(shown[None], extent=(0, 360, *strip), aspect="auto", interpolation="nearest")
    axis.set(xlim=(0, 360), ylim=(strip[0], high), xticks=[0, 120, 240, 360])
    axis.yaxis.set_major_locator(style.few_ticks())


def _stages(table: pd.DataFrame) -> dict[str, str]:
    """Return the stage at which each kind is drawn: the published, or else the first there is."""
    published = {kind: at for kind, at, _, _ in OpponencyRules().combinations()}
    found: dict[str, str] = {}
    for kind in KINDS:
        there = list(dict.fromkeys(table.loc[table["kind"] == kind, "at"]))
        if there:
            found[kind] = published[kind] if published[kind] in there else there[0]
    return found


def _baselines(table: pd.DataFrame) -> list[_Series]:
    fractions = _opponent(table)
    series: list[_Series] = []
    for demand, baseline in product((True, False), BASELINES):
        own = fractions["require_positive_baseline"].astype(bool) == demand
        rows = fractions.loc[own & (fractions["baseline"] == baseline)]
        if len(rows):
            look = {
                "color": BASELINE_COLORS[baseline],
                "linestyle": "-" if demand else (0, (2, 1.5)),
                "marker": style.SERIES_MARKERS[BASELINES.index(baseline)],
                "markerfacecolor": BASELINE_COLORS[baseline] if demand else "white",
            }
            name = f"{baseline} baseline above 0" if demand else f"any {baseline} baseline"
            twins = [other for other in series if other.name.startswith(f"{baseline} ")]
            series.append(_Series(name, rows, look, twins[0] if twins else None))
    return series


def _conditions(tables: Mapping[str, pd.DataFrame]) -> list[_Series]:
    rule = ["baseline", "require_positive_baseline"]
    baseline, demand = next(iter(tables.values()))[rule].iloc[0]
    series: list[_Series] = []
    looks = zip(cycle(style.SERIES_COLORS), cycle(style.SERIES_MARKERS), strict=False)
    for (name, table), (color, marker) in zip(tables.items(), looks, strict=False):
        fractions = _opponent(table)
        same = (fractions["baseline"] == baseline) & (fractions[rule[1]] == demand)
        series.append(_Series(str(name), fractions.loc[same], {"color": color, "marker": marker}))
    return series


def _opponent(table: pd.DataFrame) -> pd.DataFrame:
    fractions = opponency_fractions(table)
    return fractions.loc[fractions["class"] == "opponent"]


def _rows(series: _Series, kind: str, at: str, layers: Sequence[str]) -> pd.DataFrame:
    """Return the fractions of a panel, a row for each layer; NaN where there are none."""
    of_panel = (series.rows["kind"] == kind) & (series.rows["at"] == at)
    columns = ["fraction", "low", "high"]
    return series.rows.loc[of_panel].set_index("layer")[columns].reindex(layers)


def _draw_line(axis: Axes, rows: pd.DataFrame, series: _Series, aside: float) -> None:
    share, low, high = (100 * rows[name].to_numpy(float) for name in ("fraction", "low", "high"))
    axis.errorbar(
        np.arange(len(rows)) + aside, share, np.stack([share - low, high - share]).clip(min=0),
        label=series.name, markersize=3, linewidth=0.8, elinewidth=0.6, markeredgewidth=0.6,
        **series.look,
    )  # fmt: skip


def _say_undefined(axis: Axes, layers: Sequence[str], known: set[str]) -> None:
    """Say so where no unit of a layer has a class, as no nonlinearity follows it."""
    for place, layer in enumerate(layers):
        if layer not in known:
            axis.text(
                place, 50, "undefined", rotation=90, ha="center", va="center",
                fontsize=style.SMALL_TEXT, color=style.NULL_COLOR,
            )  # fmt: skip


def _panels(layers: Sequence[str], kinds: Sequence[str]) -> tuple[Figure, list[Axes]]:
    width = style.SINGLE_COLUMN if len(layers) <= _MANY else style.DOUBLE_COLUMN
    figure = style.new_figure(width, 1.3 + 1.35 * len(kinds))
    found = figure.subplots(len(kinds), sharex=True, squeeze=False)
    axes: list[Axes] = list(found[:, 0])
    for axis in axes:
        style.settle_ticks(axis)
    axes[-1].set_xticks(range(len(layers)), layers)
    axes[-1].set_xlim(-0.6, len(layers) - 0.4)
    room = (width - 0.7) / len(layers)
    if max(style.text_width(layer, style.TEXT) for layer in layers) > 0.9 * room:
        axes[-1].tick_params(axis="x", labelrotation=90)
    return figure, axes


def _title(tables: Mapping[str, pd.DataFrame], width: float) -> str:
    names = {name for table in tables.values() if "model" in table for name in table["model"]}
    text = "opponent units (95 % intervals)"
    if len(tables) > 1:
        baseline, demand = next(iter(tables.values()))[
            ["baseline", "require_positive_baseline"]
        ].iloc[0]
        text += f"; {baseline} baseline{' above 0' if demand else ''}"
    return style.wrapped(f"{names.pop()}: {text}" if len(names) == 1 else text, width)
