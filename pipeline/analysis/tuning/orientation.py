"""Tuning to orientation, and simple or complex: Ringach et al. (2002), De Valois et al. (1982).

All functions take the slice of a unit's rates along orientation (``phases.tuning_slice``).
Orientations are directions of modulation in degrees, x right and y down: 0 modulates along x.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pipeline.analysis.tuning.curves import (
    combined,
    interpolated_cyclic,
    is_flat,
    peaks,
    smoothed,
    spline_weights,
)
from pipeline.analysis.tuning.measured import (
    FLAT,
    NOT_FINITE,
    SILENT,
    Measured,
    finite_units,
    flags,
    with_flag,
)
from pipeline.analysis.tuning.phases import TuningSlice, undefined
from pipeline.errors import ConfigError

SHARE = 0.707  # of the peak, at which bandwidths are measured
_FINE = 360  # steps of the interpolated curve in 180 degrees
_NOT_SELECTIVE = "the response does not fall to 0.707 of the peak on both sides within 180 degrees"


def circular_variance(
    curves: Float[np.ndarray, "units orientations"],
    orientations: Float[np.ndarray, " orientations"],
) -> Float[np.ndarray, " units"]:
    """Return 1 - |sum r exp(2i orientation)| / sum |r|; NaN where all responses are 0.

    >>> turns = np.arange(12) * 15.0
    >>> circular_variance(1 + 0.5 * np.cos(2 * np.deg2rad(turns - 40))[None], turns).round(6)
    array([0.75])
    """
    return 1 - _vector_length(curves, 2 * orientations)


def mean_orientation(
    curves: Float[np.ndarray, "units orientations"],
    orientations: Float[np.ndarray, " orientations"],
) -> Float[np.ndarray, " units"]:
    """Return half the angle of sum r exp(2i orientation), from -90 to 90 degrees.

    Of a symmetric curve it is the middle, within a degree also where the peak is so narrow that its
    place between two orientations cannot be interpolated.

    Source: Swindale (1998), Biol Cybern 78:45.

    >>> turns = np.arange(12) * 15.0
    >>> mean_orientation(np.exp(8 * np.cos(2 * np.deg2rad(turns - 37)))[None], turns).round(1)
    array([37.])
    """
    turn = np.deg2rad(2 * orientations)
    across, down = (curves * np.cos(turn)).sum(axis=1), (curves * np.sin(turn)).sum(axis=1)
    return np.rad2deg(np.arctan2(down, across)) / 2


def bandwidth(
    curves: Float[np.ndarray, "units orientations"],
    orientations: Float[np.ndarray, " orientations"],
    smoothing: str = "hanning",
    share: float = SHARE,
) -> tuple[Float[np.ndarray, " units"], Float[np.ndarray, " units"]]:
    """Return the full width of each curve and the orientation of its peak, as in brain-score.

    The curve is repeated three times and smoothed; a cubic spline is read in steps of one degree,
    and the nearest steps at or below a share of the peak are its ends. So widths are whole degrees,
    and smoothing widens narrow curves by several.

    Args:
        curves: of units.
        orientations: degrees, in equal steps that fill 180.
        smoothing: a kernel of ``curves.KERNELS``.
        share: of the height of the peak.

    Returns:
        Width in degrees, NaN if the curve does not fall so low or is wider than 180; and the peak,
        from 0 to 179.

    Raises:
        ConfigError: orientations do not fill 180 degrees in equal steps.

    >>> turns = np.arange(12) * 15.0
    >>> tuned = np.exp(-((turns - 60) / 20) ** 2 / 2)[None]
    >>> bandwidth(tuned, turns)
    (array([38.]), array([60.]))
    """
    fills(orientations, 180.0)
    fine = np.arange(-180.0, 360.0)
    smooth = combined(curves, _published_weights(orientations, smoothing, fine))
    peak = peaks(fine, smooth, share, slice(180, 360))
    width = np.where(
        (peak.left >= 0) & (peak.right >= 0), (peak.right - peak.left).astype(np.float64), np.nan
    )
    return np.where(width > 180, np.nan, width), fine[peak.at]


def preferred_orientation(
    curves: Float[np.ndarray, "units orientations"],
    orientations: Float[np.ndarray, " orientations"],
) -> Float[np.ndarray, " units"]:
    """Return the degree, from 0 to 179, at which each curve is highest, as in brain-score.

    The peak of the spline of ``bandwidth`` through the curve smoothed by ``smooth``.

    >>> turns = np.arange(12) * 15.0
    >>> preferred_orientation(np.exp(np.cos(2 * np.deg2rad(turns - 37)))[None], turns)
    array([37.])
    """
    fills(orientations, 180.0)
    fine = np.arange(0.0, 180.0)
    smooth = combined(curves, _published_weights(orientations, "smooth", fine))
    return fine[smooth.argmax(axis=1)]


def bandwidth_interpolated(
    curves: Float[np.ndarray, "units orientations"],
    orientations: Float[np.ndarray, " orientations"],
    share: float = SHARE,
) -> tuple[Float[np.ndarray, " units"], Float[np.ndarray, " units"]]:
    """Return the full width of each curve and its peak, by the Fourier series through its points.

    Nothing is smoothed, and crossings are interpolated.

    >>> turns = np.arange(12) * 15.0
    >>> tuned = np.exp(-((turns - 60) / 20) ** 2 / 2)[None]
    >>> width, peak = bandwidth_interpolated(tuned, turns)  # 2 x 20 x sqrt(-2 ln 0.707) = 33.31
    >>> width.round(1), peak
    (array([33.3]), array([60.]))
    """
    fills(orientations, 180.0)
    cycle = interpolated_cyclic(curves, _FINE)
    at = cycle.argmax(axis=1)
    step = 180 / _FINE
    fine = step * np.arange(-_FINE // 2, _FINE // 2 + 1)
    # One whole cycle around the peak, which is then in the middle.
    around = (at[:, None] + np.arange(-_FINE // 2, _FINE // 2 + 1)) % _FINE
    centered = np.take_along_axis(cycle, around, axis=1)
    peak = peaks(fine, centered, share, slice(_FINE // 2, _FINE // 2 + 1))
    return peak.after - peak.before, (orientations[0] + step * at) % 180


def orientation_properties(sliced: TuningSlice, smoothing: str = "hanning") -> list[Measured]:
    """Return all properties of a slice along orientation; those of flat curves are NaN.

    Args:
        sliced: along ``orientation``, by the mean over phases.
        smoothing: kernel of the bandwidth; preferred orientation always takes ``smooth``.

    Raises:
        ConfigError: orientations do not fill 180 degrees in equal steps, or are of an odd number.
    """
    curve, x = sliced.curve, sliced.x
    missing, flag = undefined(sliced)
    variance = circular_variance(curve, x)
    half = bandwidth(curve, x, smoothing)[0] / 2
    preferred = preferred_orientation(curve, x)
    full, peak = bandwidth_interpolated(curve, x)
    best, orthogonal = _best_and_orthogonal(curve)
    ratio = _ratio(orthogonal, best)
    untuned = with_flag(flag, ~missing & np.isnan(half), _NOT_SELECTIVE)
    untuned_full = with_flag(flag, ~missing & np.isnan(full), _NOT_SELECTIVE)
    found = [
        ("circular_variance", variance, flag),
        ("orientation_selectivity", 1 - variance, flag),
        ("orientation_index", _ratio(best - orthogonal, best + orthogonal), flag),
        ("orientation_bandwidth", half, untuned),
        ("orientation_bandwidth_interpolated", full / 2, untuned_full),
        ("preferred_orientation", _wrapped(preferred), flag),
        ("preferred_orientation_interpolated", _wrapped(peak), flag),
        ("preferred_orientation_vector", _wrapped(mean_orientation(curve, x)), flag),
        ("orthogonal_preferred_ratio", ratio, flag),
        ("variance_bandwidth_ratio", _ratio(variance, half), untuned),
        ("ratio_variance_difference", ratio - variance, flag),
        ("ratio_bandwidth_ratio", _ratio(ratio, half), untuned),
    ]
    tuned = [
        Measured(name, np.where(missing, np.nan, v), said, sliced.defined)
        for name, v, said in found
    ]
    return tuned + modulation_properties(sliced)


def modulation_properties(sliced: TuningSlice) -> list[Measured]:
    """Return F1/F0 at the best grating, simple or complex, and the highest F0 and F1.

    With 8 phases F1/F0 of a half-rectified cosine is between 1.53 and 1.66, depending on where its
    peak lies between phases; in the continuum it is pi / 2.

    >>> phase = 1 + np.cos(np.arange(8) * np.pi / 4)
    >>> rates = np.array([1.0, 3.0, 1.0, 0.0])[None, :, None] * phase
    >>> sliced = TuningSlice("orientation", np.arange(4) * 45.0, rates, np.zeros(1),
    ...     np.array([False]), np.zeros((1, 3), int), np.array([""], dtype=object),
    ...     np.array([True]))
    >>> [(one.name, float(one.value[0].round(3))) for one in modulation_properties(sliced)]
    [('modulation_ratio', 1.0), ('simple', 0.0), ('max_dc', 3.0), ('max_ac', 3.0)]
    """
    dc, ac = sliced.mean_and_modulation
    dc = dc - sliced.baseline[:, None]
    rows, best = np.arange(len(dc)), sliced.curve.argmax(axis=1)
    ratio = _ratio(ac[rows, best], dc[rows, best])
    rounded = np.round(ratio, 9)  # so that 1 + cos, at 1 but for rounding, is complex everywhere
    simple = np.where(np.isnan(ratio), np.nan, (rounded > 1).astype(np.float64))
    found = {"modulation_ratio": ratio, "simple": simple,
             "max_dc": dc[rows, best], "max_ac": ac[rows, best]}  # fmt: skip
    studied, flag = sliced.defined, sliced.flag
    return [
        Measured(name, np.where(studied, v, np.nan), flag, studied) for name, v in found.items()
    ]


def direction_selectivity(
    curves: Float[np.ndarray, "units directions"], directions: Float[np.ndarray, " directions"]
) -> Measured:
    """Return |sum r exp(i direction)| / sum |r|: 1 for one direction of drift, 0 for all alike.

    Args:
        curves: mean rates over time.
        directions: degrees, in equal steps that fill 360.

    Raises:
        ConfigError: directions do not fill 360 degrees in equal steps.

    >>> direction_selectivity(np.array([[4.0, 1.0, 2.0, 1.0]]), np.arange(4) * 90.0).value
    array([0.25])
    """
    fills(directions, 360.0)
    finite = finite_units(curves)
    known = np.where(finite[:, None], curves, 0.0)
    silent, flat = ~(np.abs(known).max(axis=1) > 0), is_flat(known)
    flag = flags(len(curves), (~finite, NOT_FINITE), (silent, SILENT), (flat, FLAT))
    value = np.where(flag == "", _vector_length(known, directions), np.nan)
    return Measured("direction_selectivity", value, flag, finite & ~silent)


def fills(angles: Float[np.ndarray, " angles"], period: float) -> None:
    """Raise ConfigError unless angles are ascending in equal steps that fill a period (degrees)."""
    step = period / len(angles)
    if not np.allclose(np.diff(angles), step, atol=1e-6):
        raise ConfigError(
            f"orientations: they must fill {period:g} degrees in equal ascending steps, here of"
            f" {step:g}"
        )


def _published_weights(
    orientations: Float[np.ndarray, " orientations"],
    smoothing: str,
    fine: Float[np.ndarray, " fine"],
) -> Float[np.ndarray, "orientations fine"]:
    """Return what each orientation adds to the spline through the curve, repeated and smoothed."""
    x = np.concatenate([orientations - 180, orientations, orientations + 180])
    repeated = np.pad(np.tile(np.eye(len(orientations)), (1, 3)), ((0, 0), (2, 2)))
    return combined(smoothed(repeated, smoothing), spline_weights(x, fine))


def _vector_length(
    curves: Float[np.ndarray, "units angles"], angles: Float[np.ndarray, " angles"]
) -> Float[np.ndarray, " units"]:
    turn = np.deg2rad(angles)
    length = np.hypot((curves * np.cos(turn)).sum(axis=1), (curves * np.sin(turn)).sum(axis=1))
    return _ratio(length, np.abs(curves).sum(axis=1))


def _best_and_orthogonal(
    curves: Float[np.ndarray, "units orientations"],
) -> tuple[Float[np.ndarray, " units"], Float[np.ndarray, " units"]]:
    count = curves.shape[1]
    if count % 2:
        raise ConfigError(
            f"orientations: their number must be even for an orthogonal one, not {count}"
        )
    rows, best = np.arange(len(curves)), curves.argmax(axis=1)
    return curves[rows, best], curves[rows, (best + count // 2) % count]


def _wrapped(orientation: Float[np.ndarray, " units"]) -> Float[np.ndarray, " units"]:
    """Return orientations from -22.5 to below 157.5, where De Valois et al. cut the circle.

    >>> _wrapped(np.array([157.5, 157.0, -22.5, -23.0])).tolist()
    [-22.5, 157.0, -22.5, 157.0]
    """
    turned = np.where(orientation >= 157.5, orientation - 180, orientation)
    return np.where(turned < -22.5, turned + 180, turned)


def _ratio(
    numerator: Float[np.ndarray, " units"], denominator: Float[np.ndarray, " units"]
) -> Float[np.ndarray, " units"]:
    nan = np.full(len(numerator), np.nan)
    return np.divide(numerator, denominator, out=nan, where=np.abs(denominator) > 0)
