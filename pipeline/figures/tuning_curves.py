"""Tuning curves of single units: orientation, spatial frequency, size, contrast, hue and phase."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from pipeline.analysis.cone_colors import GRAY, isoluminant, to_srgb
from pipeline.analysis.tuning.contrast import naka_rushton
from pipeline.analysis.tuning.curves import interpolated_cyclic, peaks
from pipeline.analysis.tuning.orientation import SHARE
from pipeline.figures import style

COLUMNS = ("layer", "unit", "curve", "x", "rate")
MOST = 7  # units that a page holds
_LINE, _MARK, _FIT = style.SERIES_COLORS[0], style.SERIES_COLORS[3], style.SERIES_COLORS[1]
_DASHED: Any = (0, (3, 1.5))
_SMALL = 5.0  # points
# Inches: of a row and the words above it; at the left, for the names of units.
_TALL, _WORDS, _LEFT = 0.74, 0.46, 0.8
_ROUND = 0.92  # width that round panels have for their words


@dataclass(frozen=True, eq=False)
class _Unit:
    """The curves and properties of one unit.

    Attributes:
        name: what stands beside it.
        curves: by their names.
        properties: rows of the long table, by the names of properties.
        notes: of the whole figure; a unit's flags are added where they are mentioned.
    """

    name: str
    curves: Mapping[str, pd.DataFrame]
    properties: Mapping[str, Mapping[str, Any]]
    notes: list[str] = field(default_factory=list[str])

    def value(self, name: str) -> float:
        """Return a property, NaN if it is missing."""
        return float(self.properties.get(name, {}).get("value", np.nan))

    def said(self, label: str, name: str, unit: str = "") -> str:
        """Return a property with its interval, its size in pixels and the letter of its flag."""
        row, value = self.properties.get(name, {}), self.value(name)
        text = f"{label} {_short(value)}{unit}" if np.isfinite(value) else f"{label}: none"
        ends = [float(row.get(end, np.nan)) for end in ("low", "high")]
        if np.isfinite([value, *ends]).all():
            text += f" [{_short(ends[0])}, {_short(ends[1])}]"
        return text + self.mark(name)

    def pixels(self, name: str, unit: str) -> str:
        """Return a property in pixels, or an empty string."""
        value = float(self.properties.get(name, {}).get("value_px", np.nan))
        return f"= {_short(value)} {unit}" if np.isfinite(value) else ""

    def mark(self, name: str) -> str:
        """Return the letter of the note that says the flag of a property."""
        flag = str(self.properties.get(name, {}).get("flag", ""))
        if not flag:
            return ""
        if flag not in self.notes:
            self.notes.append(flag)
        return f" ({_letter(self.notes.index(flag))})"


class _Panel(NamedTuple):
    """A column of the figure.

    Attributes:
        curve: which it shows.
        title: above the first row.
        x_label: below the last.
        polar: whether it goes around a circle.
        draw: draws the curve of a unit.
        words: lines of numbers above it.
    """

    curve: str
    title: str
    x_label: str
    polar: bool
    draw: Callable[[Any, pd.DataFrame, _Unit], None]
    words: Callable[[_Unit], Sequence[str]]


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
    panels = [panel for panel in _PANELS if panel.curve in set(curves["curve"])]
    if not panels:
        known = ", ".join(dict.fromkeys(panel.curve for panel in _PANELS))
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


def _units(curves: pd.DataFrame, properties: pd.DataFrame) -> tuple[list[_Unit], list[str]]:
    style.check_table(properties, ("layer", "unit", "property", "value"), single=())
    if properties.duplicated(["layer", "unit", "property"]).any():
        raise ValueError(
            "the table has several values of a property of one unit; select one rate map, before or"
            " after the nonlinearity"
        )
    found: list[_Unit] = []
    notes: list[str] = []
    for named, own in curves.groupby(["layer", "unit"], sort=False):
        layer, unit = cast("tuple[str, int]", named)
        some = properties.loc[(properties["layer"] == layer) & (properties["unit"] == unit)]
        rows = {str(row["property"]): row for row in some.to_dict("records")}
        by_name = {str(name): each for name, each in own.groupby("curve", sort=False)}
        found.append(_Unit(f"{layer}\nunit {unit}", by_name, cast("Any", rows), notes))
    if len(found) > MOST:
        raise ValueError(f"{len(found)} units do not fit on a page; select up to {MOST}")
    return found, notes


def _row(figure: Figure, panels: Sequence[_Panel], bottom: float) -> list[Any]:
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


def _fill(axis: Any, panel: _Panel, unit: _Unit, said: Sequence[str]) -> None:
    axis.tick_params(labelsize=_SMALL, pad=1.5)
    if panel.curve not in unit.curves or not np.isfinite(unit.curves[panel.curve]["rate"]).any():
        axis.set_axis_off()
        _say(axis, "no curve", 4.0, _SMALL)
        return
    panel.draw(axis, unit.curves[panel.curve], unit)
    said = [line for line in said if line]
    for number, line in enumerate(said):
        _say(axis, line, 4 + 6.5 * (len(said) - 1 - number), _SMALL)


def _say(axis: Any, text: str, up: float, size: float, *, bottom: bool = False) -> None:
    axis.annotate(
        text, (0.5, 0 if bottom else 1), (0, up), "axes fraction", "offset points", fontsize=size,
        ha="center", annotation_clip=False,
    )  # fmt: skip


def _share(axes: Sequence[Any], panels: Sequence[_Panel], unit: _Unit) -> None:
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


def _points(curve: pd.DataFrame) -> Float[np.ndarray, "4 points"]:
    """Return x, response and the ends of its interval, which are NaN if there is none."""
    ordered = curve.sort_values("x").reindex(columns=["x", "rate", "low", "high"])
    return ordered.to_numpy(np.float64).T


def _draw_line(axis: Axes, curve: pd.DataFrame, line: bool = True) -> None:
    x, response, low, high = _points(curve)
    axis.fill_between(x, low, high, color=_LINE, alpha=0.25, linewidth=0, gid="interval")
    axis.plot(
        x, response, color=_LINE, marker="o", markersize=1.6, linewidth=0.8 if line else 0,
        gid="response",
    )  # fmt: skip


def _draw_orientation(axis: Axes, curve: pd.DataFrame, unit: _Unit) -> None:
    x, response, low, high = _points(curve)
    fine = interpolated_cyclic(response[None], 360)[0]
    peak = x[0] + 0.5 * int(fine.argmax())
    turns = np.concatenate([x - 180, x, x + 180])
    inside = np.abs(turns - peak) <= 90
    thrice = {"rate": response, "low": low, "high": high}
    shown = {name: np.tile(each, 3)[inside] for name, each in thrice.items()}
    smooth = peak + np.arange(-180, 181) * 0.5
    series = np.take(fine, int(fine.argmax()) + np.arange(-180, 181), mode="wrap")
    axis.plot(smooth, series, color=_LINE, lw=0.8, gid="series")
    _draw_line(axis, pd.DataFrame({"x": turns[inside], **shown}), line=False)
    if np.isfinite(unit.value("orientation_bandwidth_interpolated")):
        found = peaks(smooth, series[None], SHARE, slice(180, 181))
        axis.plot(
            [found.before[0], found.after[0]], [SHARE * fine.max()] * 2, color=_MARK, lw=1,
            marker="|", markersize=4, gid="bandwidth",
        )  # fmt: skip
    ticks = np.arange(np.ceil((peak - 90) / 45) * 45, peak + 91, 45)
    axis.set_xticks(ticks, [f"{tick % 180:.0f}" for tick in ticks])
    axis.set_xlim(peak - 90, peak + 90)


def _draw_around(axis: Any, curve: pd.DataFrame, unit: _Unit) -> None:
    """Draw orientation around, twice, as it is on the screen."""
    x, response, low, high = _points(curve)
    turns = np.deg2rad(np.concatenate([x, x + 180, x[:1] + 360]))
    axis.set_theta_direction(-1)
    _draw_ring(axis, turns, *(np.append(np.tile(y, 2), y[0]) for y in (response, low, high)))
    preferred = unit.value("preferred_orientation_interpolated")
    if np.isfinite(preferred):
        for turn in np.deg2rad([preferred, preferred + 180]):
            axis.plot([turn] * 2, [0, axis.get_ylim()[1]], color=_MARK, lw=0.7, gid="preferred")


def _draw_hues(axis: Any, curve: pd.DataFrame, unit: _Unit) -> None:
    x, response, low, high = _points(curve)
    turns = np.deg2rad(np.append(x, x[0] + 360))
    _draw_ring(axis, turns, *(np.append(y, y[0]) for y in (response, low, high)))
    top = axis.get_ylim()[1]
    colors = to_srgb(GRAY + isoluminant(x)).clip(0, 1)
    axis.bar(
        np.deg2rad(x), 0.14 * top, 2 * np.pi / len(x), top, color=colors, linewidth=0, gid="hues",
        clip_on=False,
    )  # fmt: skip
    axis.set_ylim(axis.get_ylim()[0], 1.14 * top)
    preferred = unit.value("preferred_hue")
    if np.isfinite(preferred):
        axis.plot([np.deg2rad(preferred)] * 2, [0, top], color=_MARK, lw=0.7, gid="preferred")


def _draw_ring(
    axis: Any,
    turns: Float[np.ndarray, " points"],
    response: Float[np.ndarray, " points"],
    low: Float[np.ndarray, " points"],
    high: Float[np.ndarray, " points"],
) -> None:
    """Draw a closed curve around a circle, whose center is 0 or the lowest response."""
    center = min(0.0, float(np.nanmin(response)))
    axis.fill_between(
        turns, low.clip(center), high.clip(center), color=_LINE, alpha=0.25, linewidth=0,
        gid="interval",
    )  # fmt: skip
    axis.plot(turns, response, color=_LINE, lw=0.9, gid="response")
    known = np.concatenate([response, high[np.isfinite(high)]])
    top = max(float(np.nanmax(known)), 1e-12) * 1.05
    axis.set_ylim(center, top)
    axis.set_xticks(np.deg2rad([0, 90, 180, 270]), [""] * 4)
    axis.set_yticks([top / 2, top], ["", ""])
    axis.grid(linewidth=0.3, color="#bbbbbb")
    axis.spines["polar"].set_linewidth(0.4)


def _draw_logarithmic(axis: Axes, curve: pd.DataFrame, base: float) -> None:
    _draw_line(axis, curve)
    axis.set_xscale("log", base=base)
    axis.set_xticks(style.log_ticks(curve["x"].min(), curve["x"].max(), base, 4))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axis.xaxis.set_minor_locator(NullLocator())


def _draw_frequency(axis: Axes, curve: pd.DataFrame, unit: _Unit) -> None:
    _draw_logarithmic(axis, curve, 2.0)
    _draw_mark(axis, unit.value("peak_frequency_interpolated"), "peak")


def _draw_size(axis: Axes, curve: pd.DataFrame, unit: _Unit) -> None:
    _draw_logarithmic(axis, curve, 2.0)
    _draw_mark(axis, unit.value("summation_field_interpolated"), "summation field")
    _draw_mark(axis, unit.value("surround_diameter_interpolated"), "surround", dashed=True)


def _draw_contrast(axis: Axes, curve: pd.DataFrame, unit: _Unit) -> None:
    half, exponent = unit.value("half_contrast"), unit.value("contrast_exponent")
    gain, offset = unit.value("contrast_gain"), unit.value("contrast_offset")
    above = curve.loc[curve["x"] > 0]
    _draw_logarithmic(axis, above, 10.0)
    if np.isfinite([half, exponent, gain, offset]).all():
        axis.lines[0].set_linewidth(0)
        fine = np.geomspace(above["x"].min(), above["x"].max(), 100)
        model = naka_rushton(fine, np.array([half]), np.array([exponent]))[0]
        axis.plot(fine, offset + gain * model, color=_FIT, lw=0.9, gid="fit", zorder=1)
        _draw_mark(axis, half, "c50")


def _draw_phase(axis: Axes, curve: pd.DataFrame, _unit: _Unit) -> None:
    x, response, low, high = _points(curve)
    closed = {"rate": response, "low": low, "high": high}
    around = {name: np.append(y, y[0]) for name, y in closed.items()}
    _draw_line(axis, pd.DataFrame({"x": np.append(x, x[0] + 360), **around}))
    axis.set_xticks([0, 180, 360])


def _draw_mark(axis: Axes, x: float, name: str, *, dashed: bool = False) -> None:
    if np.isfinite(x):
        axis.axvline(x, color=_MARK, lw=0.8, ls=_DASHED if dashed else "-", gid=name, zorder=0)


def _frequency_words(unit: _Unit) -> list[str]:
    name = "peak_frequency_interpolated"
    return [unit.said("peak", name), unit.pixels(name, "cycles/px")]


def _phase_words(unit: _Unit) -> list[str]:
    simple = unit.value("simple")
    kind = "" if not np.isfinite(simple) else "simple" if simple else "complex"
    return [unit.said("F1/F0", "modulation_ratio"), kind]


_PANELS = (
    _Panel(
        "orientation", "orientation", "as on the screen", True, _draw_around,
        lambda unit: [
            unit.said("prefers", "preferred_orientation_interpolated", "°"),
            unit.said("CV", "circular_variance"),
        ],
    ),
    _Panel(
        "orientation", "", "degrees", False, _draw_orientation,
        lambda unit: [unit.said("half width", "orientation_bandwidth_interpolated", "°")],
    ),
    _Panel(
        "spatial_frequency", "spatial frequency", "cycles / degree", False, _draw_frequency,
        _frequency_words,
    ),
    _Panel(
        "size", "size", "diameter (degrees)", False, _draw_size,
        lambda unit: [
            unit.said("SSI", "suppression_index"),
            unit.said("field", "summation_field_interpolated", "°"),
            unit.pixels("summation_field_interpolated", "px"),
        ],
    ),
    _Panel(
        "contrast", "contrast", "contrast", False, _draw_contrast,
        lambda unit: [unit.said("c50", "half_contrast"), unit.said("n", "contrast_exponent")],
    ),
    _Panel(
        "phase", "phase", "degrees", False, _draw_phase, _phase_words,
    ),
    _Panel(
        "hue", "hue", "isoluminant", True, _draw_hues,
        lambda unit: [
            unit.said("prefers", "preferred_hue", "°"), unit.said("HSI", "hue_selectivity"),
        ],
    ),
)  # fmt: skip


def _note_lines(notes: Sequence[str]) -> list[str]:
    text = [f"({_letter(number)}) {note}" for number, note in enumerate(notes)]
    lines: list[str] = []
    for note in text:
        joined = f"{lines[-1]}   {note}" if lines else note
        if lines and style.text_width(joined, _SMALL) < style.DOUBLE_COLUMN - 0.2:
            lines[-1] = joined
        else:
            lines.append(note)
    return lines


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else str(number + 1)


def _short(value: float) -> str:
    """Return a number with three digits, or without decimals from 100 on."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if value == 0 or abs(value) >= 0.995 else f"{value:.2f}"
