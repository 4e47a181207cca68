"""Tuning to spatial frequency: De Valois, Albrecht & Thorell (1982), Schiller et al. (1976)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pipeline.analysis.tuning.curves import Peak, interpolated, peaks, smoothed
from pipeline.analysis.tuning.measured import Measured, with_flag
from pipeline.analysis.tuning.phases import TuningSlice, undefined

SHARE = 0.707  # of the peak, at which bandwidths are measured
_POINTS = 100  # of the published spline
_FINE = 500  # of ours, 0.01 octaves apart
_NOT_SELECTIVE = "the response does not fall to 0.707 of the peak on both sides"


def peak_frequency(sliced: TuningSlice, smoothing: str = "smooth") -> list[Measured]:
    """Return the spatial frequency of the highest response, published and interpolated.

    Published: over log2 of the frequency the curve is smoothed, with end values repeated, and a
    cubic spline is read at 100 points (brain-score). Interpolated: a spline through the curve as it
    is, at 500 points. A peak at the edge of the grid is flagged.

    Args:
        sliced: along ``frequency``; De Valois et al. take the larger of mean and first harmonic.
        smoothing: a kernel of ``curves.KERNELS``.
    """
    missing, flag = undefined(sliced)
    found: list[Measured] = []
    for name, kernel, points in (
        ("peak_frequency", smoothing, _POINTS),
        ("peak_frequency_interpolated", "none", _FINE),
    ):
        octaves, peak = _peaks(sliced, kernel, points)
        edge = ~missing & ((peak.at == 0) | (peak.at == points - 1))
        said = with_flag(flag, edge, "the peak is at the edge of the frequencies shown")
        found.append(
            Measured(name, np.where(missing, np.nan, 2 ** octaves[peak.at]), said, sliced.defined)
        )
    return found


def frequency_bandwidth(sliced: TuningSlice, smoothing: str = "smooth") -> list[Measured]:
    """Return the bandwidth at 0.707 of the peak, whether there is one, cuts, and pass label.

    Published (Schiller et al. 1976, as in brain-score): 100 low / high in percent, at the nearest
    of 100 points at or below 0.707 of the peak of the smoothed curve; NaN, and not selective, if
    there is none on one side. Interpolated, on the curve as it is: both cuts, octaves
    log2(high / low), and low-pass (0), band-pass (1), high-pass (2) or all-pass (3).

    Args:
        sliced: along ``frequency``; Schiller et al. take the mean.
        smoothing: a kernel of ``curves.KERNELS``.
    """
    missing, flag = undefined(sliced)
    octaves, peak = _peaks(sliced, smoothing, _POINTS)
    selective = (peak.left >= 0) & (peak.right >= 0)
    ratio = 100 * 2 ** (octaves[np.maximum(peak.left, 0)] - octaves[peak.right])
    _, fine = _peaks(sliced, "none", _FINE)
    no_low, no_high = np.isnan(fine.before), np.isnan(fine.after)
    label = np.select([no_low & no_high, no_low, no_high], [3.0, 0.0, 2.0], 1.0)
    low_flag = with_flag(flag, ~missing & no_low, "the response does not fall below the peak")
    high_flag = with_flag(flag, ~missing & no_high, "the response does not fall above the peak")
    untuned = with_flag(flag, ~missing & ~selective, _NOT_SELECTIVE)
    both = with_flag(flag, ~missing & (no_low | no_high), _NOT_SELECTIVE)
    found = [
        ("frequency_bandwidth", np.where(selective, ratio, np.nan), untuned),
        ("frequency_selective", selective.astype(np.float64), flag),
        ("frequency_bandwidth_octaves", fine.after - fine.before, both),
        ("frequency_low_cut", 2**fine.before, low_flag),
        ("frequency_high_cut", 2**fine.after, high_flag),
        ("frequency_pass", label, flag),
    ]
    return [
        Measured(name, np.where(missing, np.nan, v), said, sliced.defined)
        for name, v, said in found
    ]


def _peaks(
    sliced: TuningSlice, smoothing: str, points: int
) -> tuple[Float[np.ndarray, " points"], Peak]:
    """Return log2 of the frequency at fine points, and the peaks of the curves there."""
    octaves = np.log2(sliced.x)
    fine = np.linspace(octaves[0], octaves[-1], points)
    padded = np.pad(sliced.curve, ((0, 0), (2, 2)), mode="edge")
    return fine, peaks(fine, interpolated(octaves, smoothed(padded, smoothing), fine), SHARE)
