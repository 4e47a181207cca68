"""Summation and suppression over the size of a grating: Cavanaugh, Bair & Movshon (2002)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pipeline.analysis.tuning.curves import interpolated
from pipeline.analysis.tuning.measured import Measured, with_flag
from pipeline.analysis.tuning.phases import TuningSlice, undefined

SUPPRESSED = 0.1  # suppression index from which a unit counts as strongly suppressed
SUMMED = 0.95  # of the highest response: the summation field is filled
SETTLED = 0.05  # above the response to the largest grating, of its size: the surround is filled
_FINE = 2001  # points of the spline


def size_properties(sliced: TuningSlice) -> list[Measured]:
    """Return suppression index, summation field, surround diameter and their ratio.

    Published, at the radii shown (brain-score): the summation field is rounded up to the next one,
    by 18 to 30 % where radii are half an octave apart. Interpolated: on a cubic spline over the
    logarithm of the radius. Diameters are in degrees; they are NaN of units with a suppression
    index of 0.1 or less.

    Args:
        sliced: along ``size``; Cavanaugh et al. take the larger of mean and first harmonic.
    """
    missing, flag = undefined(sliced)
    octaves = np.log2(sliced.x)
    fine = np.linspace(octaves[0], octaves[-1], _FINE)
    found: list[Measured] = []
    for suffix, radii, curves in (
        ("", sliced.x, sliced.curve),
        ("_interpolated", 2**fine, interpolated(octaves, sliced.curve, fine)),
    ):
        suppression, field, surround = _measures(radii, curves)
        unsuppressed = ~missing & np.isnan(field)
        edge = ~missing & (field == 2 * radii[0])
        words = f"no summation field: the suppression index is {SUPPRESSED:g} or less"
        said = with_flag(flag, unsuppressed, words)
        said = with_flag(said, edge, "the summation field is the smallest size shown")
        unsettled = ~missing & (surround == 2 * radii[-1])
        around = with_flag(said, unsettled, "the surround may exceed the largest size shown")
        values = [
            ("suppression_index", suppression, flag),
            ("summation_field", field, said),
            ("surround_diameter", surround, around),
            ("surround_field_ratio", surround / field, around),
        ]
        found += [
            Measured(name + suffix, np.where(missing, np.nan, value), words, sliced.defined)
            for name, value, words in values
        ]
    strong = np.where(missing, np.nan, (found[0].value >= SUPPRESSED).astype(np.float64))
    return [*found, Measured("strongly_suppressed", strong, flag, sliced.defined)]


def _measures(
    radii: Float[np.ndarray, " radii"], curves: Float[np.ndarray, "units radii"]
) -> tuple[Float[np.ndarray, " units"], Float[np.ndarray, " units"], Float[np.ndarray, " units"]]:
    """Return suppression index, summation field and surround diameter."""
    highest, last, at = curves.max(axis=1), curves[:, -1], curves.argmax(axis=1)
    nan = np.full(len(curves), np.nan)
    suppression = np.divide(highest - last, highest, out=nan, where=highest > 0)
    suppressed = suppression > SUPPRESSED
    summed = (curves >= SUMMED * highest[:, None]).argmax(axis=1)
    settled = (curves <= (last + SETTLED * np.abs(last))[:, None]) & (
        np.arange(len(radii)) > at[:, None]
    )
    return (
        suppression,
        np.where(suppressed, 2 * radii[summed], np.nan),
        np.where(suppressed, 2 * radii[settled.argmax(axis=1)], np.nan),
    )
