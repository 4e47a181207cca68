"""The best Gabors of units in numbers: parameters, and what they evoke beside other images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float

DEAD = "its responses to all Gabors of the grid are the same"
TOO_SMALL = "its field is smaller than 3 pixels"
NOT_FINITE = "its responses to Gabors are not finite"
NO_CONTRAST = "its top patch has the mean color alone, so that there is no contrast to compare at"
OTHERS = {"patch": "top patch", "ascent": "ascent image"}
COLUMNS = (
    "unit", "x", "y", "orientation", "frequency", "phase", "sigma_along", "sigma_across", "nx",
    "ny", "rms", "blank", "response", "grid_response", "gain", "patch_response", "ascent_response",
    "gabor_over_patch", "gabor_over_ascent", "at_bound", "improved", "reason",
)  # fmt: skip
OF_GABOR = [
    "response", "grid_response", "gain", "gabor_over_patch", "gabor_over_ascent",
]  # fmt: skip


@dataclass(frozen=True)
class GaborResponses:
    """The best Gabors of some units, and responses; NaN where there are none.

    Attributes:
        units: unit numbers.
        gabors: x, y (pixels), orientation (radians), frequency (cycles per pixel), phase (radians),
            standard deviations along and across (pixels).
        rms: root mean square of all images but the blank.
        blank: response to the mean color.
        response: to the best Gabor.
        grid_response: to the best Gabor of the grid.
        patch_response: to the top patch, if images were searched.
        ascent_response: to the ascent image.
        at_bound: names of the parameters that are at a bound.
        reasons: why a unit has no Gabor, or an empty string.
        missing: why a unit has no response to its ``patch`` or ``ascent``, or an empty string; by
            default, because that has no contrast.
    """

    units: Sequence[int]
    gabors: Float[np.ndarray, "units 7"]
    rms: Float[np.ndarray, " units"]
    blank: Float[np.ndarray, " units"]
    response: Float[np.ndarray, " units"]
    grid_response: Float[np.ndarray, " units"]
    patch_response: Float[np.ndarray, " units"] | None
    ascent_response: Float[np.ndarray, " units"]
    at_bound: Sequence[str]
    reasons: Sequence[str]
    missing: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])


def gabor_table(found: GaborResponses) -> pd.DataFrame:
    """Return one row per unit: ``COLUMNS``.

    The orientation is from 0 to below 180 degrees and the phase from 0 to below 360; a Gabor whose
    orientation turns by 180 degrees is the same with the opposite phase. Indices are ratios of what
    images evoke: ``(response - blank) / (other response - blank)``, NaN with a reason where the
    other image evokes nothing.
    """
    orientation, phase = folded(found.gabors[:, 2], found.gabors[:, 4])
    x, y, _, frequency, _, along, across = found.gabors.T
    values: dict[str, object] = {
        "unit": list(found.units),
        "x": x,
        "y": y,
        "orientation": orientation,
        "frequency": frequency,
        "phase": phase,
        "sigma_along": along,
        "sigma_across": across,
        "nx": along * frequency,
        "ny": across * frequency,
        "rms": found.rms,
        "blank": found.blank,
        "response": found.response,
        "grid_response": found.grid_response,
        "gain": evoked_ratio(found.response, found.grid_response, found.blank),
        "at_bound": list(found.at_bound),
        "improved": found.response > found.grid_response,
    }
    reasons = [[reason] if reason else [] for reason in found.reasons]
    for name in OTHERS:
        values |= _compared(found, name, reasons)
    table = pd.DataFrame(values, columns=list(COLUMNS))
    missing = np.array([bool(reason) for reason in found.reasons])
    table.loc[missing, [*COLUMNS[1:10], *OF_GABOR]] = np.nan
    table.loc[missing, "at_bound"] = ""
    return table.assign(reason=["; ".join(reason) for reason in reasons])


def _compared(
    found: GaborResponses, name: str, reasons: Sequence[list[str]]
) -> dict[str, Float[np.ndarray, " units"]]:
    """Return the columns of another image, and add to the reasons why an index is missing."""
    given: Float[np.ndarray, " units"] | None = getattr(found, f"{name}_response")
    other = np.full(len(found.units), np.nan) if given is None else given
    if given is not None:
        for row in np.flatnonzero(~(other > found.blank)).tolist():
            flat = np.isnan(other[row])
            what = "has no contrast" if flat else "evokes no more than the mean color"
            known = found.missing[name][row] if name in found.missing else ""
            if not found.reasons[row]:
                reasons[row].append(known or f"its {OTHERS[name]} {what}")
    ratio = evoked_ratio(found.response, other, found.blank)
    return {f"{name}_response": other, f"gabor_over_{name}": ratio}


def evoked_ratio(
    response: Float[np.ndarray, " units"],
    other: Float[np.ndarray, " units"],
    blank: Float[np.ndarray, " units"],
) -> Float[np.ndarray, " units"]:
    """Return (response - blank) / (other - blank), NaN where the other is not above the blank.

    >>> evoked_ratio(np.array([3.0, 3.0]), np.array([5.0, 1.0]), np.array([1.0, 1.0])).tolist()
    [0.5, nan]
    """
    evoked = other - blank
    return (response - blank) / np.where(evoked > 0, evoked, np.nan)


def folded(
    orientation: Float[np.ndarray, " units"], phase: Float[np.ndarray, " units"]
) -> tuple[Float[np.ndarray, " units"], Float[np.ndarray, " units"]]:
    """Return orientations in 0..180 degrees and phases in 0..360, of the same Gabors, from radians.

    >>> turned, shifted = folded(np.deg2rad([200.0]), np.deg2rad([30.0]))
    >>> turned.round(3).tolist(), shifted.round(3).tolist()
    ([20.0], [330.0])
    """
    turns = np.mod(np.rad2deg(orientation), 360.0)
    back = turns >= 180
    shifted = np.where(back, -phase, phase)
    return np.where(back, turns - 180, turns), np.mod(np.rad2deg(shifted), 360.0)
