"""Tuning curves of single units: orientation, spatial frequency, size, contrast, hue and phase."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.figures import style
from pipeline.figures.unit_panels import PANELS, CurvePanel, TunedUnit, note_letter

COLUMNS = ("layer", "unit", "curve", "x", "rate")
MOST = 7  # units that a page holds
_LINE, _MARK, _FIT = style.SERIES_COLORS[0], style.SERIES_COLORS[3], style.SERIES_COLORS[1]
_DASHED: Any = (0, (3, 1.5))
_SMALL = 5.0  # points
# Inches: of a row and the words above it; at the left, for the names of units.
_TALL, _WORDS, _LEFT = 0.74, 0.46, 0.8
_ROUND = 0.92  # width that round panels have for their words


@style.paper_style()
def unit_tuning(curves: pd.DataFrame, properties: pd.DataFrame, title: str = "") -> Figure:
    """Return a row of tuning curves for each unit, with its properties.

    Points are what was measured, shades their intervals. Orientation is the direction of
    modulation, drawn around as it is on the screen (x right, y down), and along an axis with the
    peak in the middle, where the line is the Fourier series through the points and the bar its
    width at 0.707 of the peak. Over size, lines mark the summation field and (dashed) the surround;
    over contrast the line is the Naka-Rushton fit. Around the hues is the isoluminant circle, from
    L - M (right) towards S. All panels of a unit with an axis of responses share it.

    Args:
        curves: ``layer``, ``unit``, ``curve`` (``orientation``, ``spatial_frequency``, ``size``,
            ``contrast``, ``phase`` or ``hue``), ``x`` (degrees, cycles per degree, degrees of
            diameter, contrast, degrees, degrees), ``rate``, and ``low`` and ``high`` if there are
            intervals; of at most seven units, at one stage and by one rate map.
        properties: ``layer``, ``unit``, ``property``, ``value``, and ``low``, ``high``, ``flag``
            and ``value_px`` if there are any; one value per unit and property.
        title: of the figure.

    Raises:
        ValueError: a column is missing, there are no units or too many, a unit has several values
            of a property, or no curve has a known name.
    """
    style.check_table(curves, COLUMNS, single=())
    units, notes = _units(curves, properties)
    panels = [panel for panel in PANELS if panel.curve in set(curves["curve"])]
    if not panels:
        known = ", ".join(dict.fromkeys(panel.curve for panel in PANELS))
        raise ValueError(f"the table has none of the curves {known}")
    words = [[panel.words(unit) for panel in panels] for unit in units]
    lines = _note_lines(notes)
    below, top = 0.42 + 0.09 * len(lines), 0.4 if title else 0.18
    height = top + len(units) * (_TALL + _WORDS) + below
    figure = style.new_figure(style.DOUBLE_COLUMN, height, None)
    for row, unit in enumerate(units):
        bottom = below + (len(units) - 1 - row) * (_TALL + _WORDS)
        axes = _row(figure, panels, bottom)
        for axis, panel, said in zip(axes, panels, words[row], strict=True):
            _fill(axis, panel, unit, said)
            if row == 0:
                _say(axis, panel.title, 26.0, style.TEXT)
            if row == len(units) - 1:
                _say(axis, panel.x_label, -17.0, style.SMALL_TEXT, bottom=True)
        _share(axes, panels, unit)
    for number, line in enumerate(lines):
        y = (0.05 + 0.09 * (len(lines) - 1 - number)) / height
        figure.text(0.01, y, line, fontsize=_SMALL)
    if title:
        letters = style.fitting(title, style.DOUBLE_COLUMN - 0.3)
        figure.suptitle(title, y=1 - 0.05 / height, va="top", fontsize=letters)
    return figure


def _units(curves: pd.DataFrame, properties: pd.DataFrame) -> tuple[list[TunedUnit], list[str]]:
    style.check_table(properties, ("layer", "unit", "property", "value"), single=())
    if properties.duplicated(["layer", "unit", "property"]).any():
        raise ValueError(
            "the table has several values of a property of one unit; select one rate map, before or"
            " after the nonlinearity"
        )
    found: list[TunedUnit] = []
    notes: list[str] = []
    for named, own in curves.groupby(["layer", "unit"], sort=False):
        layer, unit = cast("tuple[str, int]", named)
        some = properties.loc[(properties["layer"] == layer) & (properties["unit"] == unit)]
        rows = {str(row["property"]): row for row in some.to_dict("records")}
        by_name = {str(name): each for name, each in own.groupby("curve", sort=False)}
        found.append(TunedUnit(f"{layer}\nunit {unit}", by_name, cast("Any", rows), notes))
    if len(found) > MOST:
        raise ValueError(f"{len(found)} units do not fit on a page; select up to {MOST}")
    return found, notes


def _row(figure: Figure, panels: Sequence[CurvePanel], bottom: float) -> list[Any]:
    """Return the axes of a row, round ones square."""
    width, height = figure.get_size_inches()
    gap, before = 0.16, 0.12  # the axis of rates is before the first flat panel
    flat = sum(not panel.polar for panel in panels)
    gaps = before + (len(panels) - 1) * gap
    free = width - _LEFT - 0.03 - (len(panels) - flat) * _ROUND - gaps
    axes: list[Any] = []
    x = _LEFT
    for panel in panels:
        wide = _TALL if panel.polar else min(free / flat, 1.6)
        if not panel.polar:
            x, before = x + before, 0.0
        inset = (_ROUND - _TALL) / 2 if panel.polar else 0.0
        place = ((x + inset) / width, bottom / height, wide / width, _TALL / height)
        axes.append(figure.add_axes(place, projection="polar" if panel.polar else None))
        style.settle_ticks(axes[-1])
        x += wide + 2 * inset + gap
    return axes


def _fill(axis: Any, panel: CurvePanel, unit: TunedUnit, said: Sequence[str]) -> None:
    axis.tick_params(labelsize=_SMALL, pad=1.5)
    if panel.curve not in unit.curves or not np.isfinite(unit.curves[panel.curve]["rate"]).any():
        axis.set_axis_off()
        said = [*said, "no curve"]
    else:
        panel.draw(axis, unit.curves[panel.curve], unit)
    said = [line for line in said if line]
    for number, line in enumerate(said):
        _say(axis, line, 4 + 6.5 * (len(said) - 1 - number), _SMALL)


def _say(axis: Any, text: str, up: float, size: float, *, bottom: bool = False) -> None:
    axis.annotate(
        text, (0.5, 0 if bottom else 1), (0, up), "axes fraction", "offset points", fontsize=size,
        ha="center", annotation_clip=False,
    )  # fmt: skip


def _share(axes: Sequence[Any], panels: Sequence[CurvePanel], unit: TunedUnit) -> None:
    """Give the panels with an axis of responses the same one, numbered at the first."""
    both = zip(axes, panels, strict=True)
    flat = [axis for axis, panel in both if not panel.polar and axis.axison]
    if flat:
        low = min(0.0, *(axis.get_ylim()[0] for axis in flat))
        high = max(axis.get_ylim()[1] for axis in flat)
        for axis in flat:
            axis.set_ylim(low if low < 0 else 0, high + 0.04 * (high - low))
            axis.yaxis.set_major_locator(style.few_ticks())
            axis.tick_params(labelleft=axis is flat[0])
        flat[0].set_ylabel("rate", fontsize=style.SMALL_TEXT, labelpad=1)
    first = axes[0]
    place = first.get_position()
    first.figure.text(
        0.01, (place.y0 + place.y1) / 2, unit.name, fontsize=style.TEXT, va="center", ha="left"
    )


def _note_lines(notes: Sequence[str]) -> list[str]:
    text = [f"({note_letter(number)}) {note}" for number, note in enumerate(notes)]
    lines: list[str] = []
    for note in text:
        joined = f"{lines[-1]}   {note}" if lines else note
        if lines and style.text_width(joined, _SMALL) < style.DOUBLE_COLUMN - 0.2:
            lines[-1] = joined
        else:
            lines.append(note)
    return lines
