"""Tuning to hue and to the contrasts of the three cones."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pipeline.analysis.tuning.curves import is_flat
from pipeline.analysis.tuning.measured import (
    FLAT,
    NOT_FINITE,
    SILENT,
    Measured,
    finite_units,
    flags,
    with_flag,
)
from pipeline.analysis.tuning.orientation import fills
from pipeline.analysis.tuning.rates import silent_units
from pipeline.errors import ConfigError

_NONE = 1e-6  # length of the vector sum below which a hue is not preferred
_ZERO = 1e-6  # cone weight that is 0 but for rounding


def hue_properties(
    rates: Float[np.ndarray, "units hues"],
    hues: Float[np.ndarray, " hues"],
    baseline: Float[np.ndarray, " units"],
) -> list[Measured]:
    """Return preferred hue, the angle of sum r exp(i hue), and selectivity, |sum| / sum |r|.

    Args:
        rates: to hues of one circle.
        hues: degrees, in equal steps that fill 360.
        baseline: subtracted from the rates: the response to gray, or 0.

    Raises:
        ConfigError: hues do not fill 360 degrees in equal steps.

    >>> hues = np.arange(8) * 45.0
    >>> tuned = 1 + np.cos(np.deg2rad(hues - 100))
    >>> [one.value.round(3).tolist() for one in hue_properties(tuned[None], hues, np.zeros(1))]
    [[100.0], [0.5]]
    """
    fills(hues, 360.0)
    finite = finite_units(rates, baseline)
    known, base = np.where(finite[:, None], rates, 0.0), np.where(finite, baseline, 0.0)
    driven = known - base[:, None]
    silent = silent_units(known, base)
    flat = ~silent & is_flat(known)
    flag = flags(len(driven), (~finite, NOT_FINITE), (silent, SILENT), (flat, FLAT))
    missing = flag != ""
    turn = np.deg2rad(hues)
    x, y = (driven * np.cos(turn)).sum(axis=1), (driven * np.sin(turn)).sum(axis=1)
    total = np.abs(driven).sum(axis=1)
    length = np.divide(np.hypot(x, y), total, out=np.zeros(len(x)), where=total > 0)
    none = ~missing & (length < _NONE)
    preferred = np.where(missing | none, np.nan, np.rad2deg(np.arctan2(y, x)) % 360)
    said = with_flag(flag, none, "no hue is preferred: the responses balance")
    return [
        Measured("preferred_hue", preferred, said, finite & ~silent),
        Measured("hue_selectivity", np.where(missing, np.nan, length), flag, finite & ~silent),
    ]


def cone_weights(
    rates: Float[np.ndarray, "units stimuli"], contrasts: Float[np.ndarray, "stimuli cones"]
) -> list[Measured]:
    """Return the weights of L, M and S cone contrast, their fit, and whether they are opponent.

    Linear regression of the rates on three contrasts and a constant. Sizes of the weights add up
    to 1. A unit is opponent if two weights, of at least 1e-6, have different signs. How linear the
    unit is stands in ``cone_fit``; of rectified rates it is below 1.

    Args:
        rates: to colors; before the nonlinearity, if they are to be linear.
        contrasts: of L, M and S in each of these, from ``cone_colors.cone_contrasts``.

    Raises:
        ConfigError: the colors do not vary along all three cones independently.

    >>> colors = np.array([[0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1], [0, 0, 0]])
    >>> rates = 5 + colors @ np.array([3.0, -2.0, 0.0])
    >>> [float(one.value[0].round(6)) for one in cone_weights(rates[None], colors)]
    [0.6, -0.4, 0.0, 1.0, 1.0]
    """
    centered = contrasts - contrasts.mean(axis=0)
    if contrasts.shape[1] != 3 or np.linalg.matrix_rank(centered) < 3:
        raise ConfigError(
            "cone weights: colors must vary along L, M and S independently; add cone-isolating ones"
        )
    finite = finite_units(rates)
    known = np.where(finite[:, None], rates, 0.0).astype(np.float64)
    flag = flags(len(known), (~finite, NOT_FINITE), (is_flat(known), FLAT))
    missing = flag != ""
    target = known - known.mean(axis=1, keepdims=True)
    inverse = np.linalg.pinv(centered)
    weights = (target[:, None, :] * inverse).sum(axis=2)
    left = target - (weights[:, :, None] * centered.T).sum(axis=1)
    total = (target**2).sum(axis=1)
    nan = np.full(len(known), np.nan)
    fit = 1 - np.divide((left**2).sum(axis=1), total, out=nan.copy(), where=~missing)
    size = np.abs(weights).sum(axis=1)
    share = np.divide(
        weights, size[:, None], out=np.full(weights.shape, np.nan), where=~missing[:, None]
    )
    share = np.where(np.abs(share) < _ZERO, 0.0, share)
    opponent = (share.max(axis=1) > 0) & (share.min(axis=1) < 0)
    named = [(f"cone_weight_{cone}", share[:, k]) for k, cone in enumerate("lms")]
    named += [("cone_fit", fit), ("cone_opponent", opponent.astype(np.float64))]
    return [
        Measured(name, np.where(missing, np.nan, value), flag, ~missing) for name, value in named
    ]


def chromatic_preference(
    chromatic: Float[np.ndarray, "units colors"],
    achromatic: Float[np.ndarray, "units grays"],
    baseline: Float[np.ndarray, " units"],
) -> Measured:
    """Return best chromatic / (best chromatic + best achromatic) response: 1 for color alone.

    Args:
        chromatic: rates to isoluminant stimuli.
        achromatic: rates to gray ones of the same RMS cone contrast.
        baseline: subtracted from both; a best response below it counts as 0.

    >>> chromatic_preference(np.array([[4.0, 1.0]]), np.array([[2.0]]), np.ones(1)).value
    array([0.75])
    """
    finite = finite_units(chromatic, achromatic, baseline)
    best, gray = (
        np.where(finite, np.maximum(rates.max(axis=1) - baseline, 0.0), 0.0)
        for rates in (chromatic, achromatic)
    )
    silent = finite & (best + gray <= 0)
    flag = flags(len(best), (~finite, NOT_FINITE), (silent, SILENT))
    nan = np.full(len(best), np.nan)
    value = np.divide(best, best + gray, out=nan, where=finite & ~silent)
    return Measured("chromatic_preference", value, flag, flag == "")
