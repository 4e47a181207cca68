"""The section of a unit's page about its tuning, as a physiologist would describe a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.analysis.cone_colors import GRAY, isoluminant, to_srgb
from pipeline.analysis.tuning.contrast import naka_rushton
from pipeline.pages.sections import Curve, Number, Numbers, Part, Plot, Ring, Section, Words

TITLE = "Tuning"
CARD = {
    "Orientation": {
        "preferred_orientation_interpolated": "preferred orientation",
        "orientation_bandwidth_interpolated": "half bandwidth",
        "circular_variance": "circular variance",
        "orientation_index": "orientation index",
        "modulation_ratio": "F1/F0",
        "simple": "simple or complex",
    },
    "Spatial frequency": {
        "peak_frequency_interpolated": "peak",
        "frequency_bandwidth_octaves": "bandwidth",
        "frequency_pass": "pass",
    },
    "Size": {
        "suppression_index_interpolated": "suppression index",
        "summation_field_interpolated": "summation field",
        "surround_diameter_interpolated": "surround diameter",
        "field_width_long": "field, longer width",
        "field_width_short": "field, shorter width",
    },
    "Contrast": {
        "half_contrast": "c50",
        "contrast_exponent": "exponent n",
        "contrast_fit": "variance explained by the fit",
    },
    "Texture": {
        "texture_modulation": "texture modulation",
        "texture_sparseness": "sparseness",
    },
    "Color": {
        "preferred_hue": "preferred hue",
        "hue_selectivity": "hue selectivity",
        "cone_weight_l": "weight of L cones",
        "cone_weight_m": "weight of M cones",
        "cone_weight_s": "weight of S cones",
        "cone_opponent": "cone opponent",
        "chromatic_preference": "chromatic preference",
    },
}
_WORDS = {
    "simple": ("complex", "simple"),
    "cone_opponent": ("no", "yes"),
    "frequency_pass": ("low-pass", "band-pass", "high-pass", "all-pass"),
}
_PIXELS = {"deg": "px", "deg²": "px²", "c/deg": "cycles/px"}
RIM = 24  # colors around hues


def tuning_section(
    properties: pd.DataFrame, curves: pd.DataFrame, about: str, rate: str = "rate"
) -> Section:
    """Return the section of one unit.

    Args:
        properties: of the unit, one row per ``property``: ``value``, ``unit_of_measure``, and
            ``value_px``, ``low``, ``high`` and ``flag`` if there are any.
        curves: of the unit: ``curve``, ``x`` and ``rate``; curves without a rate above 0 are
            left out.
        about: how this was measured: what was shown, before or after the nonlinearity, which rates.
        rate: what is drawn upward, and its unit.
    """
    rows = {str(row["property"]): row for row in properties.to_dict("records")}
    drawn = {
        str(name): own.sort_values("x")[["x", "rate"]].to_numpy(np.float64).T
        for name, own in curves.groupby("curve", sort=False)
        if bool(np.any(own["rate"].to_numpy(np.float64) > 0))
    }
    parts: list[Part] = []
    for title, names in CARD.items():
        numbers = [_number(said, name, rows[name]) for name, said in names.items() if name in rows]
        if numbers:
            parts.append(_group(title, numbers))
    for title in CARD:
        parts += _plots(title, drawn, rows, rate)
    return Section(TITLE, parts, about)


def _group(title: str, numbers: Sequence[Number]) -> Part:
    """Return numbers, or the reason if none is defined for the same reason."""
    notes = {number.note for number in numbers}
    undefined = all(number.value is None for number in numbers)
    if undefined and len(notes) == 1 and (note := notes.pop()):
        return Words(f"{note[0].upper()}{note[1:]}.", title)
    return Numbers(numbers, title)


def _number(said: str, name: str, row: Mapping[Any, Any]) -> Number:
    value, unit = float(row["value"]), str(row["unit_of_measure"])
    shown = "°" if unit == "deg" else unit
    if name in _WORDS and np.isfinite(value):
        return Number(said, _WORDS[name][round(value)], note=str(row.get("flag", "")))
    notes: list[str] = []
    if np.isfinite(value):
        pixels = float(row.get("value_px", np.nan))
        if unit in _PIXELS and np.isfinite(pixels):
            notes.append(f"{pixels:.3g} {_PIXELS[unit]}")
        low, high = (float(row.get(end, np.nan)) for end in ("low", "high"))
        if np.isfinite([low, high]).all():
            notes.append(f"95 % interval {low:.3g} to {high:.3g}")
    notes += [str(row.get("flag", ""))] if row.get("flag", "") else []
    return Number(said, value if np.isfinite(value) else None, shown, "; ".join(notes))


def _plots(
    title: str,
    drawn: Mapping[str, Float[np.ndarray, "2 points"]],
    rows: Mapping[str, Mapping[Any, Any]],
    rate: str,
) -> Sequence[Part]:
    """Return the plots of a group: those whose curves there are."""
    if title == "Orientation":
        plots: list[Part] = []
        if "orientation" in drawn:
            plots.append(_around(drawn["orientation"], rate))
        if "phase" in drawn:
            curve = Curve("rate", *_closed(drawn["phase"]), points=True)
            ticks = (0.0, 90.0, 180.0, 270.0, 360.0)
            plots.append(Plot("Phase", "phase (degrees)", rate, [curve], x_ticks=ticks))
        return plots
    if title == "Color":
        return [_hues(drawn["hue"], rate)] if "hue" in drawn else []
    flat = {
        "Spatial frequency": ("spatial_frequency", "cycles per degree"),
        "Size": ("size", "diameter (degrees)"),
        "Contrast": ("contrast", "contrast"),
    }
    curve, x_name = flat.get(title, ("", ""))
    if curve not in drawn:
        return []
    x, y = drawn[curve]
    curves = [Curve("rate", x[x > 0], y[x > 0], points=True)]
    if title == "Contrast":
        curves += _fit(x[x > 0], rows)
    return [Plot(title, x_name, rate, curves, y_range=(0.0, 0.0), log=True)]


def _around(curve: Float[np.ndarray, "2 points"], rate: str) -> Ring:
    """Return orientation twice around, as on the screen."""
    x, y = curve
    twice = Curve("rate", np.concatenate([x, x + 180]), np.tile(y, 2), points=True)
    return Ring("Orientation", "direction of modulation on the screen", rate, [twice], True)


def _hues(curve: Float[np.ndarray, "2 points"], rate: str) -> Ring:
    x, y = curve
    turns = np.arange(RIM) * (360 / RIM)
    colors = np.round(255 * to_srgb(GRAY + isoluminant(turns)).clip(0, 1)).astype(int)
    rim = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colors.tolist()]
    name = "isoluminant hue (from L - M, right, to S, up)"
    return Ring("Hue", name, rate, [Curve("rate", x, y, points=True)], rim=rim)


def _closed(
    curve: Float[np.ndarray, "2 points"],
) -> tuple[Float[np.ndarray, " closed"], Float[np.ndarray, " closed"]]:
    x, y = curve
    return np.append(x, x[0] + 360), np.append(y, y[0])


def _fit(x: Float[np.ndarray, " points"], rows: Mapping[str, Mapping[Any, Any]]) -> list[Curve]:
    """Return the Naka-Rushton fit, if the unit has one."""
    names = ("half_contrast", "contrast_exponent", "contrast_gain", "contrast_offset")
    half, exponent, gain, offset = (float(rows.get(n, {}).get("value", np.nan)) for n in names)
    if not np.isfinite([half, exponent, gain, offset]).all():
        return []
    fine = np.geomspace(x[0], x[-1], 60)
    model = naka_rushton(fine, np.array([half]), np.array([exponent]))[0]
    return [Curve("Naka-Rushton fit", fine, offset + gain * model)]
