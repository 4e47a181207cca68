"""The properties of each group, from what units responded to its sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.analysis.tuning.color import chromatic_preference, cone_weights, hue_properties
from pipeline.analysis.tuning.contrast import contrast_properties
from pipeline.analysis.tuning.intervals import Bootstrap, with_intervals
from pipeline.analysis.tuning.measured import Measured
from pipeline.analysis.tuning.orientation import orientation_properties
from pipeline.analysis.tuning.phases import TuningSlice, mean_and_modulation, tuning_slice
from pipeline.analysis.tuning.rates import RateMap, fraction_rectified
from pipeline.analysis.tuning.receptive_field import field_properties
from pipeline.analysis.tuning.size import size_properties
from pipeline.analysis.tuning.spatial_frequency import frequency_bandwidth, peak_frequency
from pipeline.analysis.tuning.texture import Textures, texture_properties
from pipeline.errors import ConfigError
from pipeline.search.tuning.grids import NONE_LEFT, GratingGrid, how_many, map_places, wrong_stimuli
from pipeline.search.tuning.optima import Optima
from pipeline.search.tuning.sets import CONTRAST, EQUAL, GROUPS
from pipeline.stimuli.degree_gratings import CONTRASTS

NEEDS_COLOR = "sets in color need a network of 3 channels"


@dataclass(frozen=True, eq=False)
class Curve:
    """A tuning curve of each unit, NaN where it has none.

    Attributes:
        name: ``orientation``, ``spatial_frequency``, ``size``, ``contrast`` or ``hue``.
        x: what was shown: degrees, cycles per degree, diameters in degrees, contrasts, degrees of
            hue.
        rates: of each unit at every x: the mean over phases, or the first harmonic where it is
            higher and the study takes it; less the blank but for orientation.
    """

    name: str
    x: Float[np.ndarray, " points"]
    rates: Float[np.ndarray, "units points"]


Found = tuple[list[Measured], list[Curve]]


@dataclass(frozen=True, eq=False)
class Shown:
    """What some units of a layer respond, before or after the nonlinearity.

    Attributes:
        units: their numbers.
        tables: of the sets.
        responses: of the units to each set; of the contrast set [units, contrasts x phases] of each
            unit's own grating.
        rate: the rate map.
        optima: the best grating of each unit, by which contrasts were shown.
        keep: whether stimuli that are aliased or clipped are kept, and flagged.
        draws: how rates are drawn for intervals, and of what; no intervals without.
        resampled: how samples of textures are.
    """

    units: Sequence[int]
    tables: Mapping[str, pd.DataFrame]
    responses: Mapping[str, Float[np.ndarray, "units stimuli"]]
    rate: RateMap
    optima: Optima | None = None
    keep: bool = False
    noise: Bootstrap | None = None
    resampled: Bootstrap | None = None

    def rates(self, name: str) -> Float[np.ndarray, "units stimuli"]:
        """Return the rates of a set."""
        return self.rate(self.responses[name])

    @property
    def blank(self) -> Float[np.ndarray, " units"]:
        """The rates to the blank."""
        return self.rates("blank")[:, 0]

    def slice(self, name: str, axis: str, component: str) -> TuningSlice:
        """Return the slice of a set of gratings along one axis, through each unit's optimum."""
        grid = GratingGrid(self.tables[name], self.keep)
        if grid.is_empty:
            raise ConfigError(NONE_LEFT)
        shown = grid.gratings(self.rate(grid.responses(self.responses[name])), self.blank)
        return tuning_slice(shown, axis, self.rate.threshold, component)

    def measure(
        self, sliced: TuningSlice, properties: Callable[[TuningSlice], list[Measured]]
    ) -> list[Measured]:
        """Return properties of a slice, with intervals if they are wanted."""
        if self.noise is None:
            return properties(sliced)
        return with_intervals(
            lambda rates, rows: properties(sliced.redrawn(rates, rows)),
            sliced.rates,
            self.units,
            self.noise,
        )


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
    return [rectified, *found], [_curve("orientation", sliced)]


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
    curve = Curve("hue", hues, rates - blank[:, None])
    if shown.noise is None:
        return hue_properties(rates, hues, blank), [curve]
    found = with_intervals(
        lambda drawn, rows: hue_properties(drawn, hues, blank[rows]),
        rates,
        shown.units,
        shown.noise,
    )
    return found, [curve]


def _cones(shown: Shown) -> Found:
    if "cones" not in shown.responses:
        raise ConfigError(NEEDS_COLOR)
    weights = cone_weights(*_signed(shown))
    colored, gray = (_strengths(shown, name) for name in ("isoluminant", "cones"))
    # Both cardinal axes, and gray, at the same RMS cone contrast.
    of_hue = [colored[0.0][1.0], colored[90.0][min(colored[90.0])]]
    preferred = chromatic_preference(
        np.concatenate(of_hue, axis=1), gray["luminance"][EQUAL], np.zeros(len(shown.units))
    )
    return [*weights, preferred], []


def _left_gratings(shown: Shown, name: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the stimuli of a set of color gratings whose frequency pixels can show."""
    table = shown.tables[name]
    frequencies = table["frequency_per_degree"].to_numpy()
    wrong = wrong_stimuli(table, keep=shown.keep)
    left = np.flatnonzero(~np.isin(frequencies, frequencies[wrong]))
    if not len(left):
        raise ConfigError(NONE_LEFT)
    return table.iloc[left], shown.responses[name][:, left]


def _strengths(
    shown: Shown, name: str
) -> dict[float | str, dict[float, Float[np.ndarray, "units gratings"]]]:
    """Return the response to every grating by color and contrast: mean or first harmonic."""
    table, responses = _left_gratings(shown, name)
    phases = how_many(table, "phase")
    rates = shown.rate(responses).reshape(len(responses), -1, phases)
    mean, modulation = mean_and_modulation(rates)
    strength = np.maximum(mean - shown.blank[:, None], modulation)
    first = table.iloc[::phases]
    color = "hue" if "hue" in first else "cone"
    found: dict[float | str, dict[float, np.ndarray]] = {}
    for key, rows in first.reset_index(drop=True).groupby([color, "contrast"]):
        which, contrast = key  # pyright: ignore[reportGeneralTypeIssues]
        found.setdefault(which, {})[float(contrast)] = strength[:, rows.index.to_numpy()]
    return found


def _signed(
    shown: Shown,
) -> tuple[Float[np.ndarray, "units stimuli"], Float[np.ndarray, "stimuli 3"]]:
    """Return responses to cone contrasts of both signs at each unit's best grating and phase.

    Half a cycle later the contrast of a grating has the other sign. Of the phases at which the
    middle of the field is brighter than gray, the one is taken at which this matters most, over all
    directions of color. Responses are not rectified, as the weights are of a linear regression.
    """
    table, responses = _left_gratings(shown, "cones")
    phases, colors, contrasts = (how_many(table, name) for name in ("phase", "cone", "contrast"))
    shape = (len(responses), -1, colors * contrasts, 2, phases // 2)
    by_sign = responses.astype(np.float64).reshape(shape)
    # Gratings and phases that are more than half a cycle apart side by side.
    differ = np.abs(by_sign[:, :, :, 0] - by_sign[:, :, :, 1]).max(axis=2)
    finite = np.where(np.isfinite(differ), differ, 0.0).reshape(len(responses), -1)
    grating, phase = np.unravel_index(finite.argmax(axis=1), differ.shape[1:])
    chosen = by_sign[np.arange(len(responses)), grating, :, :, phase]
    names = ["l_contrast", "m_contrast", "s_contrast"]
    crest = table[names].to_numpy()[: colors * contrasts * phases : phases]
    signed = np.stack([crest, -crest], axis=1)
    return chosen.reshape(len(responses), -1), signed.reshape(-1, 3)


_MEASURES: dict[str, Callable[[Shown], Found]] = {
    "receptive_field": _receptive_field,
    "orientation": _orientation,
    "spatial_frequency": _spatial_frequency,
    "size": _size,
    "contrast": _contrast,
    "texture": _texture,
    "hue": _hue,
    "cones": _cones,
}
