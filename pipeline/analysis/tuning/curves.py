"""Tuning curves of many units at once: smoothing, splines, and where a curve crosses a height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.interpolate import CubicSpline
from scipy.signal import resample

from pipeline.errors import ConfigError, nearest

# Weights of five neighboring points, before they are divided by their sum (brain-score).
KERNELS = {
    "hanning": (0.0, 0.4, 1.0, 0.4, 0.0),
    "smooth": (0.0, 0.2, 1.0, 0.2, 0.0),
    "flat": (1.0, 1.0, 1.0, 1.0, 1.0),
    "none": (0.0, 0.0, 1.0, 0.0, 0.0),
}
_FLAT = 2e-6  # differences of equal responses by rounding in single precision, of the largest


def smoothed(
    curves: Float[np.ndarray, "units points"], kernel: str
) -> Float[np.ndarray, "units inner"]:
    """Return weighted means of five neighboring points, two points shorter at each end.

    Args:
        curves: with two more points at each end than are wanted.
        kernel: ``hanning``, ``smooth``, ``flat`` or ``none``.

    Raises:
        ConfigError: there is no such kernel.

    >>> smoothed(np.array([[0.0, 0.0, 9.0, 0.0, 0.0]]), "hanning")
    array([[5.]])
    """
    if kernel not in KERNELS:
        raise ConfigError(
            f"smoothing: {kernel!r} is not a kernel; allowed are {', '.join(KERNELS)}"
            f"{nearest(kernel, KERNELS)}"
        )
    weights = np.array(KERNELS[kernel]) / np.sum(KERNELS[kernel])
    inner = curves.shape[1] - 4
    return sum(
        (weights[k] * curves[:, k : k + inner] for k in range(5)),
        start=np.zeros((len(curves), inner)),
    )


def interpolated(
    x: Float[np.ndarray, " points"],
    curves: Float[np.ndarray, "units points"],
    fine: Float[np.ndarray, " fine"],
) -> Float[np.ndarray, "units fine"]:
    """Return the cubic spline through the points of each curve, at other places.

    The ends are not-a-knot, as in FITPACK's splines without smoothing. With fewer than four points
    it is the polynomial through them, and a single point is a constant.

    >>> x = np.arange(5.0)
    >>> interpolated(x, x[None] ** 3, np.array([1.5])).round(6)
    array([[3.375]])
    """
    return combined(curves, spline_weights(x, fine))


def spline_weights(
    x: Float[np.ndarray, " points"], fine: Float[np.ndarray, " fine"]
) -> Float[np.ndarray, "points fine"]:
    """Return what each point adds to a cubic spline: splines are linear in their points.

    >>> spline_weights(np.arange(2.0), np.array([0.25]))
    array([[0.75],
           [0.25]])
    """
    if len(x) == 1:
        return np.ones((1, len(fine)))
    return np.ascontiguousarray(CubicSpline(x, np.eye(len(x)))(fine).T)


def combined(
    curves: Float[np.ndarray, "units points"], weights: Float[np.ndarray, "points fine"]
) -> Float[np.ndarray, "units fine"]:
    """Return sums of the points of each curve with weights.

    Term by term rather than by a matrix product, whose rounding depends on how many units there
    are.

    >>> combined(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0], [1.0, 3.0]]))
    array([[3., 6.]])
    """
    fine = curves[:, :1] * weights[0]
    for k in range(1, len(weights)):
        fine += curves[:, k : k + 1] * weights[k]
    return fine


def interpolated_cyclic(
    curves: Float[np.ndarray, "units points"], fine: int
) -> Float[np.ndarray, "units fine"]:
    """Return each curve of equal steps around a circle at ``fine`` steps, by its Fourier series.

    The first point stays the first. Of smooth tuning this is closer to the truth than a spline: the
    half-bandwidth of Gabor units of nx = 0.5 from 12 orientations is off by 0.03 degrees at most,
    that of a periodic cubic spline by 0.25.

    >>> interpolated_cyclic(np.array([[2.0, 1.0, 0.0, 1.0]]), 8).round(3)
    array([[2.   , 1.707, 1.   , 0.293, 0.   , 0.293, 1.   , 1.707]])
    """
    weights = np.asarray(resample(np.eye(curves.shape[1]), fine, axis=1))
    return combined(curves, weights)


@dataclass(frozen=True, eq=False)
class Peak:
    """The peak of each curve and where the curve is low beside it.

    Attributes:
        at: index of the highest point.
        height: of that point.
        left: index of the nearest point before the peak that is low, or -1.
        right: index of the nearest point after the peak that is low, or -1.
        before: x of the crossing before the peak, NaN if there is none.
        after: x of the crossing after the peak, NaN if there is none.
    """

    at: Int[np.ndarray, " units"]
    height: Float[np.ndarray, " units"]
    left: Int[np.ndarray, " units"]
    right: Int[np.ndarray, " units"]
    before: Float[np.ndarray, " units"]
    after: Float[np.ndarray, " units"]


def peaks(
    x: Float[np.ndarray, " points"],
    curves: Float[np.ndarray, "units points"],
    share: float,
    within: slice = slice(None),
) -> Peak:
    """Return the peak of each curve, and the nearest points on both sides at a share of its height.

    Args:
        x: ascending places of the points.
        curves: on a fine grid.
        share: of the height of the peak; points at or below it are low.
        within: part of the grid in which the peak is sought.

    Returns:
        The peaks. ``left`` and ``right`` are the nearest low points; ``before`` and ``after`` lie
        between them and their higher neighbors, by linear interpolation.

    >>> peak = peaks(np.arange(4.0), np.array([[0.0, 2.0, 1.5, 1.0]]), 0.5)
    >>> peak.at, peak.left, peak.right, peak.before, peak.after
    (array([1]), array([0]), array([3]), array([0.5]), array([3.]))
    """
    start = within.start or 0
    rows, index = np.arange(len(curves)), np.arange(len(x))
    at = curves[:, within].argmax(axis=1) + start
    height = curves[rows, at]
    level = share * height
    low = curves <= level[:, None]
    below = (low & (index < at[:, None]))[:, ::-1]
    above = low & (index > at[:, None])
    left = np.where(below.any(axis=1), len(x) - 1 - below.argmax(axis=1), -1)
    right = np.where(above.any(axis=1), above.argmax(axis=1), -1)
    before = _crossings(x, curves, level, left, 1)
    after = _crossings(x, curves, level, right, -1)
    return Peak(at.astype(np.int64), height, left, right, before, after)


def is_flat(curves: Float[np.ndarray, "units points"]) -> Bool[np.ndarray, " units"]:
    """Return which curves are constant up to the rounding of single precision.

    >>> is_flat(np.array([[1.0, 1.0 + 1e-7], [0.0, 0.0], [1.0, 1.1]]))
    array([ True,  True, False])
    """
    spread = curves.max(axis=1) - curves.min(axis=1)
    return ~(spread > _FLAT * np.abs(curves).max(axis=1))


def _crossings(
    x: Float[np.ndarray, " points"],
    curves: Float[np.ndarray, "units points"],
    level: Float[np.ndarray, " units"],
    low: Int[np.ndarray, " units"],
    step: int,
) -> Float[np.ndarray, " units"]:
    """Return where each curve has the level between a low point and the next one; NaN without."""
    rows = np.arange(len(curves))
    here, there = np.maximum(low, 0), np.clip(low + step, 0, len(x) - 1)
    rise = curves[rows, there] - curves[rows, here]
    part = np.divide(level - curves[rows, here], rise, out=np.zeros(len(curves)), where=rise > 0)
    return np.where(low >= 0, x[here] + part * (x[there] - x[here]), np.nan)
