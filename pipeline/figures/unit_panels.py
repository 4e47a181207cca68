"""The panels of a unit's tuning curves: what each draws, and the numbers above it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from pipeline.analysis.cone_colors import GRAY, isoluminant, to_srgb
from pipeline.analysis.tuning.contrast import naka_rushton
from pipeline.analysis.tuning.curves import interpolated_cyclic, peaks
from pipeline.analysis.tuning.orientation import SHARE
from pipeline.figures import style

_LINE, _MARK, _FIT = style.SERIES_COLORS[0], style.SERIES_COLORS[3], style.SERIES_COLORS[1]
_DASHED: Any = (0, (3, 1.5))


@dataclass(frozen=True, eq=False)
class TunedUnit:
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
        return f" ({note_letter(self.notes.index(flag))})"


class CurvePanel(NamedTuple):
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
    draw: Callable[[Any, pd.DataFrame, TunedUnit], None]
    words: Callable[[TunedUnit], Sequence[str]]


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


def _draw_orientation(axis: Axes, curve: pd.DataFrame, unit: TunedUnit) -> None:
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


def _draw_around(axis: Any, curve: pd.DataFrame, unit: TunedUnit) -> None:
    """Draw orientation around, twice, as it is on the screen."""
    x, response, low, high = _points(curve)
    turns = np.deg2rad(np.concatenate([x, x + 180, x[:1] + 360]))
    axis.set_theta_direction(-1)
    _draw_ring(axis, turns, *(np.append(np.tile(y, 2), y[0]) for y in (response, low, high)))
    preferred = unit.value("preferred_orientation_interpolated")
    if np.isfinite(preferred):
        for turn in np.deg2rad([preferred, preferred + 180]):
            axis.plot([turn] * 2, [0, axis.get_ylim()[1]], color=_MARK, lw=0.7, gid="preferred")


def _draw_hues(axis: Any, curve: pd.DataFrame, unit: TunedUnit) -> None:
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
    x = curve["x"].to_numpy(np.float64)
    axis.set_xticks(style.log_ticks(x.min(), x.max(), base, 4))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axis.xaxis.set_minor_locator(NullLocator())


def _draw_frequency(axis: Axes, curve: pd.DataFrame, unit: TunedUnit) -> None:
    _draw_logarithmic(axis, curve, 2.0)
    _draw_mark(axis, unit.value("peak_frequency_interpolated"), "peak")


def _draw_size(axis: Axes, curve: pd.DataFrame, unit: TunedUnit) -> None:
    _draw_logarithmic(axis, curve, 2.0)
    _draw_mark(axis, unit.value("summation_field_interpolated"), "summation field")
    _draw_mark(axis, unit.value("surround_diameter_interpolated"), "surround", dashed=True)


def _draw_contrast(axis: Axes, curve: pd.DataFrame, unit: TunedUnit) -> None:
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


def _draw_phase(axis: Axes, curve: pd.DataFrame, _unit: TunedUnit) -> None:
    x, response, low, high = _points(curve)
    closed = {"rate": response, "low": low, "high": high}
    around = {name: np.append(y, y[0]) for name, y in closed.items()}
    _draw_line(axis, pd.DataFrame({"x": np.append(x, x[0] + 360), **around}))
    axis.set_xticks([0, 180, 360])


def _draw_mark(axis: Axes, x: float, name: str, *, dashed: bool = False) -> None:
    if np.isfinite(x):
        axis.axvline(x, color=_MARK, lw=0.8, ls=_DASHED if dashed else "-", gid=name, zorder=0)


def _frequency_words(unit: TunedUnit) -> list[str]:
    name = "peak_frequency_interpolated"
    return [unit.said("peak", name), unit.pixels(name, "cycles/px")]


def _phase_words(unit: TunedUnit) -> list[str]:
    simple = unit.value("simple")
    kind = "" if not np.isfinite(simple) else "simple" if simple else "complex"
    return [unit.said("F1/F0", "modulation_ratio"), kind]


PANELS = (
    CurvePanel(
        "orientation", "orientation", "as on the screen", True, _draw_around,
        lambda unit: [
            unit.said("prefers", "preferred_orientation_interpolated", "°"),
            unit.said("CV", "circular_variance"),
        ],
    ),
    CurvePanel(
        "orientation", "", "degrees", False, _draw_orientation,
        lambda unit: [unit.said("half width", "orientation_bandwidth_interpolated", "°")],
    ),
    CurvePanel(
        "spatial_frequency", "spatial frequency", "cycles / degree", False, _draw_frequency,
        _frequency_words,
    ),
    CurvePanel(
        "size", "size", "diameter (degrees)", False, _draw_size,
        lambda unit: [
            unit.said("SSI", "suppression_index"),
            unit.said("field", "summation_field_interpolated", "°"),
            unit.pixels("summation_field_interpolated", "px"),
        ],
    ),
    CurvePanel(
        "contrast", "contrast", "contrast", False, _draw_contrast,
        lambda unit: [unit.said("c50", "half_contrast"), unit.said("n", "contrast_exponent")],
    ),
    CurvePanel(
        "phase", "phase", "degrees", False, _draw_phase, _phase_words,
    ),
    CurvePanel(
        "hue", "hue", "isoluminant", True, _draw_hues,
        lambda unit: [
            unit.said("prefers", "preferred_hue", "°"), unit.said("selectivity", "hue_selectivity"),
        ],
    ),
)  # fmt: skip


def note_letter(number: int) -> str:
    """Return the letter of a note, or its number after z.

    >>> note_letter(0), note_letter(26)
    ('a', '27')
    """
    return chr(ord("a") + number) if number < 26 else str(number + 1)


def _short(value: float) -> str:
    """Return a number with three digits, or without decimals from 100 on."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if value == 0 or abs(value) >= 0.995 else f"{value:.2f}"
