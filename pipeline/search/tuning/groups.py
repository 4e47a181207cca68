"""The properties of each group, from what units responded to its sets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.analysis.tuning.color import hue_properties
from pipeline.analysis.tuning.contrast import contrast_properties
from pipeline.analysis.tuning.intervals import with_intervals
from pipeline.analysis.tuning.measured import Measured
from pipeline.analysis.tuning.orientation import orientation_properties
from pipeline.analysis.tuning.phases import TuningSlice
from pipeline.analysis.tuning.rates import fraction_rectified, silent_units
from pipeline.analysis.tuning.receptive_field import field_properties
from pipeline.analysis.tuning.size import size_properties
from pipeline.analysis.tuning.spatial_frequency import frequency_bandwidth, peak_frequency
from pipeline.analysis.tuning.texture import Textures, texture_properties
from pipeline.errors import ConfigError
from pipeline.search.tuning.cones import cone_properties
from pipeline.search.tuning.grids import (
    NONE_LEFT,
    GratingGrid,
    how_many,
    map_places,
    wrong_stimuli,
)
from pipeline.search.tuning.sets import CONTRAST, GROUPS
from pipeline.search.tuning.shown import NEEDS_COLOR, Curve, Found, Shown
from pipeline.stimuli.degree_gratings import CONTRASTS


def unmeasured(
    group: str, units: int, reason: str | np.ndarray, *, studied: bool = False
) -> list[Measured]:
    """Return the properties of a group, undefined for a reason.

    >>> [one.flag.tolist() for one in unmeasured("hue", 1, "no color")]
    [['no color'], ['no color']]
    """
    flag = np.full(units, reason, dtype=object) if isinstance(reason, str) else reason
    nothing = np.full(units, np.nan)
    return [Measured(name, nothing, flag, np.full(units, studied)) for name in GROUPS[group]]


def measured_group(group: str, shown: Shown) -> Found:
    """Return the properties of a group and its curve; undefined where nothing could be shown."""
    try:
        return _MEASURES[group](shown)
    except ConfigError as error:
        return unmeasured(group, len(shown.units), str(error)), []


def same_rates(group: str, one: Shown, other: Shown) -> bool:
    """Return whether a group has the same measures, as rates are the same for a rectified layer.

    Groups that also look at negative responses are measured again.
    """
    if group in ("orientation", "cones") or vars(one.rate) != vars(other.rate):
        return False
    needed = ("blank", "orientation", CONTRAST) if group == CONTRAST else ("blank", group)
    return all(name in each.responses for name in needed for each in (one, other)) and all(
        np.array_equal(one.rates(name), other.rates(name), equal_nan=True) for name in needed
    )


def _receptive_field(shown: Shown) -> Found:
    numbers, x, y = map_places(shown.tables["receptive_field"], shown.keep)
    rates = shown.rates("receptive_field")[:, numbers]
    return field_properties(rates, shown.blank, x, y), []


def _orientation(shown: Shown) -> Found:
    sliced = shown.slice("orientation", "orientation", "mean")
    grid = GratingGrid(shown.tables["orientation"], shown.keep)
    rectified = fraction_rectified(grid.responses(shown.responses["orientation"]))
    found = shown.measure(sliced, orientation_properties)
    return [rectified, *found], [_curve("orientation", sliced), _phases(sliced)]


def _spatial_frequency(shown: Shown) -> Found:
    larger = shown.slice("spatial_frequency", "frequency", "larger")
    mean = shown.slice("spatial_frequency", "frequency", "mean")
    peak = shown.measure(larger, peak_frequency)
    width = shown.measure(mean, frequency_bandwidth)
    return [*peak, *width], [_curve("spatial_frequency", larger)]


def _size(shown: Shown) -> Found:
    sliced = shown.slice("size", "size", "larger")
    return shown.measure(sliced, size_properties), [_curve("size", sliced, 2.0)]


def _curve(name: str, sliced: TuningSlice, factor: float = 1.0) -> Curve:
    rates = np.where(sliced.defined[:, None], sliced.curve, np.nan)
    return Curve(name, factor * sliced.x, rates)


def _phases(sliced: TuningSlice) -> Curve:
    """Return rates by phase at the best orientation, from which F1 / F0 is."""
    rows, count = np.arange(len(sliced.rates)), sliced.rates.shape[2]
    best = sliced.rates[rows, sliced.curve.argmax(axis=1)]
    rates = np.where(sliced.defined[:, None], best, np.nan)
    return Curve("phase", np.arange(count) * (360 / count), rates)


def _contrast(shown: Shown) -> Found:
    if shown.optima is None:
        raise ConfigError(NONE_LEFT)
    sliced = shown.optima.slice(shown.rates(CONTRAST), shown.blank)
    found = shown.measure(sliced, lambda one: _of_contrasts(one))
    return found, [_curve("contrast", sliced)]


def _of_contrasts(sliced: TuningSlice) -> list[Measured]:
    """Return the Naka-Rushton fit of units that have a best grating."""
    found = contrast_properties(sliced.curve, CONTRASTS)
    return [
        Measured(
            one.name,
            np.where(sliced.defined, one.value, np.nan),
            np.where(sliced.defined, one.flag, sliced.flag),
            sliced.defined & one.studied,
        )
        for one in found
    ]


def _texture(shown: Shown) -> Found:
    table = shown.tables["texture"]
    if wrong_stimuli(table, keep=shown.keep).any():
        raise ConfigError("textures leave the screen")
    shape = [how_many(table, name) for name in ("family", "sample", "kind")]
    by_kind = shown.rates("texture").reshape(-1, *shape).transpose(0, 3, 1, 2)
    noise, texture = by_kind[:, 0], by_kind[:, 1]
    textures = Textures(texture, noise, shown.blank)
    if shown.resampled is None:
        return texture_properties(textures, shown.rate.threshold), []
    found = with_intervals(
        lambda rates, rows: texture_properties(textures.redrawn(rates, rows), shown.rate.threshold),
        np.stack([texture, noise], axis=1),
        shown.units,
        shown.resampled,
    )
    return found, []


def _hue(shown: Shown) -> Found:
    if "hue" not in shown.responses:
        raise ConfigError(NEEDS_COLOR)
    table = shown.tables["hue"]
    if wrong_stimuli(table, keep=shown.keep).any():
        raise ConfigError(NONE_LEFT)
    hues, rates, blank = table["hue"].to_numpy(dtype=float), shown.rates("hue"), shown.blank
    silent = silent_units(rates, blank)[:, None]
    curve = Curve("hue", hues, np.where(silent, np.nan, rates - blank[:, None]))
    if shown.noise is None:
        return hue_properties(rates, hues, blank), [curve]
    found = with_intervals(
        lambda drawn, rows: hue_properties(drawn, hues, blank[rows]),
        rates,
        shown.units,
        shown.noise,
    )
    return found, [curve]


_MEASURES: dict[str, Callable[[Shown], Found]] = {
    "receptive_field": _receptive_field,
    "orientation": _orientation,
    "spatial_frequency": _spatial_frequency,
    "size": _size,
    "contrast": _contrast,
    "texture": _texture,
    "hue": _hue,
    "cones": cone_properties,
}
