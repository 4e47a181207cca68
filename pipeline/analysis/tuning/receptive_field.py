"""Where a receptive field lies and how large it is, from small gratings at a grid of positions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pipeline.analysis.gaussian_fit import fit_gaussians
from pipeline.analysis.tuning.measured import (
    NOT_FINITE,
    SILENT,
    Measured,
    finite_units,
    flags,
    with_flag,
)
from pipeline.analysis.tuning.rates import silent_units
from pipeline.errors import ConfigError

KEPT = 0.05  # of the highest response of a map; what is lower does not count for the center
_FWHM = 2 * np.sqrt(2 * np.log(2))  # width at half height of a Gaussian, in sigmas


def field_properties(
    rates: Float[np.ndarray, "units rows columns *gratings"],
    blank: Float[np.ndarray, " units"],
    x: Float[np.ndarray, " columns"],
    y: Float[np.ndarray, " rows"],
) -> list[Measured]:
    """Return center, widths at half height and area of the receptive field of each unit.

    The map is the highest rate above the blank over all gratings (orientations, phases) at a
    position. The center is the center of mass of what exceeds 0.05 of its peak, as in brain-score.
    Widths are those of a Gaussian fit, the area is that above half of the peak.

    Args:
        rates: to gratings at every position.
        blank: rate of each unit to no stimulus.
        x: degrees to the right, in equal ascending steps.
        y: degrees down, in the same steps.

    Returns:
        ``field_x``, ``field_y``, ``field_width_long``, ``field_width_short`` and ``field_area``.

    Raises:
        ConfigError: positions are not in equal ascending steps, or these differ between x and y.

    >>> place = np.arange(-2.0, 2.25, 0.25)
    >>> bump = np.exp(-((place - 0.5) ** 2 + place[:, None] ** 2) / (2 * 0.4**2))
    >>> found = field_properties(bump[None, :, :, None], np.zeros(1), place, place)
    >>> [round(float(one.value[0]), 2) for one in found]  # 2.355 x 0.4 = 0.94
    [0.5, 0.0, 0.94, 0.94, 0.56]
    """
    step = _step(x, y)
    finite = finite_units(rates, blank)
    known = np.where(finite.reshape(-1, *(1,) * (rates.ndim - 1)), rates, 0.0).astype(np.float64)
    base = np.where(finite, blank, 0.0)
    maps = known.reshape(*known.shape[:3], -1).max(axis=3) - base[:, None, None]
    maps = np.maximum(maps, 0.0)
    highest = maps.max(axis=(1, 2))
    weak = ~(highest > 0)
    words = "no grating is answered more than the blank"
    silent = silent_units(known, base)
    flag = flags(len(maps), (~finite, NOT_FINITE), (silent, SILENT), (weak, words))
    missing = flag != ""
    mass = np.where(maps > KEPT * highest[:, None, None], maps, 0.0)
    total = np.where(missing, 1.0, mass.sum(axis=(1, 2)))
    fits = fit_gaussians(maps)
    unfitted = ~missing & (fits["reason"] != "").to_numpy()
    leaves = ~missing & ~unfitted & fits["leaves_map"].fillna(False).to_numpy(dtype=bool)
    said = np.where(unfitted, fits["reason"].to_numpy(), flag)
    said = with_flag(said, leaves, "the field reaches beyond the positions shown")
    area = (maps > highest[:, None, None] / 2).sum(axis=(1, 2)) * step**2
    found = [
        ("field_x", (mass.sum(axis=1) * x).sum(axis=1) / total, flag),
        ("field_y", (mass.sum(axis=2) * y).sum(axis=1) / total, flag),
        ("field_width_long", _FWHM * step * fits["sigma_long"].to_numpy(), said),
        ("field_width_short", _FWHM * step * fits["sigma_short"].to_numpy(), said),
        ("field_area", area, flag),
    ]
    return [Measured(name, np.where(missing, np.nan, v), said, ~missing) for name, v, said in found]


def _step(x: Float[np.ndarray, " columns"], y: Float[np.ndarray, " rows"]) -> float:
    """Return the step between positions, in degrees."""
    steps = np.concatenate([np.diff(x), np.diff(y)])
    if len(x) < 2 or len(y) < 2 or not (steps > 0).all() or np.ptp(steps) > 1e-6 * steps.max():
        raise ConfigError(
            "receptive field: positions must be in equal ascending steps, the same along x and y"
        )
    return float(steps.mean())
