"""Summation and suppression over the size of a grating: Cavanaugh, Bair & Movshon (2002)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from pipeline.analysis.tuning.curves import interpolated
from pipeline.analysis.tuning.measured import Measured, with_flag
from pipeline.analysis.tuning.phases import TuningSlice, undefined

SUPPRESSED = 0.1  # suppression index from which a unit counts as strongly suppressed
SUMMED = 0.95  # of the highest response: the summation field is filled
SETTLED = 0.05  # above the response to the largest grating, of its size: the surround is filled
_FINE = 551  # points of the spline


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
    for suffix, places, curves in (
        ("", octaves, sliced.curve),
        ("_interpolated", fine, interpolated(octaves, sliced.curve, fine)),
    ):
        suppression, field, surround = _measures(places, curves, between=suffix != "")
        unsuppressed = ~missing & np.isnan(field)
        edge = ~missing & (field == octaves[0])
        words = f"no summation field: the suppression index is {SUPPRESSED:g} or less"
        said = with_flag(flag, unsuppressed, words)
        said = with_flag(said, edge, "the summation field is the smallest size shown")
        unsettled = ~missing & (surround == octaves[-1])
        around = with_flag(said, unsettled, "the surround may exceed the largest size shown")
        values = [
            ("suppression_index", suppression, flag),
            ("summation_field", 2 * 2**field, said),
            ("surround_diameter", 2 * 2**surround, around),
            ("surround_field_ratio", 2 ** (surround - field), around),
        ]
        found += [
            Measured(name + suffix, np.where(missing, np.nan, value), words, sliced.defined)
            for name, value, words in values
        ]
    strong = np.where(missing, np.nan, (found[0].value >= SUPPRESSED).astype(np.float64))
    return [*found, Measured("strongly_suppressed", strong, flag, sliced.defined)]


def _measures(
    octaves: Float[np.ndarray, " radii"], curves: Float[np.ndarray, "units radii"], between: bool
) -> tuple[Float[np.ndarray, " units"], Float[np.ndarray, " units"], Float[np.ndarray, " units"]]:
    """Return suppression index, and log2 of the radii of summation field and surround.

    With ``between`` the radii lie where the curve crosses a height rather than at the next point.
    """
    highest, last, at = curves.max(axis=1), curves[:, -1], curves.argmax(axis=1)
    nan = np.full(len(curves), np.nan)
    suppression = np.divide(highest - last, highest, out=nan, where=highest > 0)
    enough, settled = SUMMED * highest, last + SETTLED * np.abs(last)
    beyond = np.arange(len(octaves)) > at[:, None]
    summed = (curves >= enough[:, None]).argmax(axis=1)
    quiet = ((curves <= settled[:, None]) & beyond).argmax(axis=1)
    field, surround = octaves[summed], octaves[quiet]
    if between:
        field = _crossing(octaves, curves, summed, enough)
        surround = _crossing(octaves, curves, quiet, settled)
    defined = suppression > SUPPRESSED
    return suppression, np.where(defined, field, np.nan), np.where(defined, surround, np.nan)


def _crossing(
    octaves: Float[np.ndarray, " radii"],
    curves: Float[np.ndarray, "units radii"],
    index: Int[np.ndarray, " units"],
    height: Float[np.ndarray, " units"],
) -> Float[np.ndarray, " units"]:
    """Return where each curve has a height between a point and the one before it."""
    rows, before = np.arange(len(curves)), np.maximum(index - 1, 0)
    step = curves[rows, index] - curves[rows, before]
    start = np.zeros(len(curves))
    part = np.divide(height - curves[rows, before], step, out=start, where=step != 0)
    return octaves[before] + part * (octaves[index] - octaves[before])
