"""Two-dimensional Gaussians fitted to maps of receptive fields."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

# What fit_gaussians returns for each unit, in this order.
GAUSSIAN_COLUMNS = (
    "amplitude",
    "gauss_x",
    "gauss_y",
    "sigma_long",
    "sigma_short",
    "orientation",
    "offset",
    "fxvar",
    "leaves_map",
    "reason",
)
_Row = dict[str, float | bool | str]
# As the published fit: 1,600 evaluations, of which each numerical derivative took seven.
_MOST_STEPS = 200
_TOLERANCE = 1e-8  # of changes of the sum of squares and of the parameters, and of the gradient
_CONVERGED = (1, 2, 3, 4)  # what MINPACK says of a fit that is done
_FLAT = 1e-12  # of the largest value: what rounding leaves of a map that is constant


def gaussian(
    size: tuple[int, int], parameters: Float[np.ndarray, "7"]
) -> Float[np.ndarray, "height width"]:
    """Draw a Gaussian on a map.

    offset + amplitude * exp(-(u / sigma_1)^2 / 2 - (v / sigma_2)^2 / 2), where u runs along the
    direction ``theta`` from the center and v across it (tonyfu97/RF-Mapping, gaussian_fit.py).

    Args:
        size: height and width of the map, pixels.
        parameters: amplitude, x and y of the center from the center of the upper left pixel (x to
            the right, y down), sigma_1, sigma_2 (pixels), theta (degrees, counterclockwise on
            screen from the direction to the right) and offset.

    >>> gaussian((1, 3), np.array([2.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0])).round(4)
    array([[2.2131, 3.    , 2.2131]])
    """
    grid = np.indices(size, dtype=np.float64)
    bump = _bump(parameters, grid[1].ravel(), grid[0].ravel())[0]
    return (parameters[6] + parameters[0] * bump).reshape(size)


def fit_gaussians(
    maps: Float[np.ndarray, "units height width"], least_fxvar: float = 0.25
) -> pd.DataFrame:
    """Fit a two-dimensional Gaussian with an offset to the map of each unit.

    Least squares by Levenberg-Marquardt, started at the range of the map, its highest pixel, sigmas
    of a quarter and a fifth of its height, 90 degrees and its mean (tonyfu97/RF-Mapping,
    gaussian_fit.py). The result may be a local optimum, and sigmas may be larger than the map.

    Args:
        maps: one per unit.
        least_fxvar: a Gaussian that explains a smaller fraction of the variance does not describe
            the map, and its parameters are left out. Noise reaches 0.2 on maps of 11 pixels.

    Returns:
        One row per unit: ``amplitude``, ``gauss_x`` and ``gauss_y`` (pixels from the center of the
        map, x to the right, y down), ``sigma_long`` and ``sigma_short`` (pixels), ``orientation``
        of the longer axis (degrees, 0..180, counterclockwise on screen from the direction to the
        right; without meaning where the sigmas are equal), ``offset``, ``fxvar`` (the fraction of
        the variance of the map that is explained, 1 - var(residual) / var(map)), ``leaves_map``
        (the ellipse at two sigmas reaches beyond the map, so its size is partly extrapolated) and
        ``reason``: why there are no numbers, or an empty string.

    >>> bump = gaussian((21, 31), np.array([3.0, 12.0, 9.0, 4.0, 2.0, 30.0, 1.0]))
    >>> table = fit_gaussians(np.stack([bump, 0 * bump]))
    >>> table[["gauss_x", "gauss_y", "sigma_long", "orientation", "fxvar"]].round(3).loc[0].tolist()
    [-3.0, -1.0, 4.0, 30.0, 1.0]
    >>> table["reason"].tolist()
    ['', 'the map is flat']
    """
    rows = [_row(unit.astype(np.float64), least_fxvar) for unit in maps]
    return pd.DataFrame(rows, columns=list(GAUSSIAN_COLUMNS))


def _row(unit: Float[np.ndarray, "height width"], least_fxvar: float) -> _Row:
    if reason := undescribable(unit):
        return _without_numbers(reason)
    scale = float(np.ptp(unit))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = _fit(unit / scale)
    if found is None:
        return _without_numbers("the Gaussian fit did not converge")
    residual = unit / scale - gaussian(unit.shape, found)
    fxvar = 1 - float(residual.var() / (unit / scale).var())
    reason = _no_field(unit.shape, found, fxvar, least_fxvar)
    if reason:
        return _without_numbers(reason) | {"fxvar": fxvar}
    return _described(unit.shape, found, scale) | {"fxvar": fxvar}


def undescribable(unit: Float[np.ndarray, "height width"]) -> str:
    """Return why no field can be found on a map, or an empty string."""
    if not np.isfinite(unit).all():
        return "the map is not finite"
    if np.ptp(unit) <= _FLAT * np.abs(unit).max():
        return "the map is flat"
    return ""


def _fit(unit: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "7"] | None:
    from scipy.optimize import leastsq  # takes long, and plans do without

    if unit.size < 7:
        return None
    height = unit.shape[0]
    row, column = np.unravel_index(unit.argmax(), unit.shape)
    start = [np.ptp(unit), column, row, height / 4, height / 5, 90.0, unit.mean()]
    surface = _Surface(unit)
    result: Any = leastsq(
        surface.residuals,
        np.array(start, dtype=np.float64),
        Dfun=surface.derivatives,
        full_output=True,
        col_deriv=True,
        ftol=_TOLERANCE,
        xtol=_TOLERANCE,
        gtol=_TOLERANCE,
        maxfev=_MOST_STEPS,
    )
    found, status = result[0], result[-1]
    return found if status in _CONVERGED and np.isfinite(found).all() else None


class _Surface:
    """A map to which a Gaussian is fitted: residuals and their derivatives by the parameters.

    Derivatives are asked for where residuals were, mostly, and have the same exponential.
    """

    def __init__(self, unit: Float[np.ndarray, "height width"]) -> None:
        grid = np.indices(unit.shape, dtype=np.float64)
        self.x, self.y, self.target = grid[1].ravel(), grid[0].ravel(), unit.ravel()
        self.known: tuple[bytes, Float[np.ndarray, "3 n"]] = (b"", np.zeros((3, 0)))

    def residuals(self, p: Float[np.ndarray, "7"]) -> Float[np.ndarray, " n"]:
        """Return the Gaussian less the map."""
        return p[6] + p[0] * self._bump(p)[0] - self.target

    def derivatives(self, p: Float[np.ndarray, "7"]) -> Float[np.ndarray, "7 n"]:
        """Return the slopes of the residuals by each parameter."""
        bump, u, v = self._bump(p)
        along_theta = u * v * (p[3] ** -2 - p[4] ** -2)
        cosine, sine = np.cos(np.deg2rad(p[5])), np.sin(np.deg2rad(p[5]))
        slope = p[0] * bump
        rows = (
            bump,
            slope * (u * cosine / p[3] ** 2 + v * sine / p[4] ** 2),
            slope * (-u * sine / p[3] ** 2 + v * cosine / p[4] ** 2),
            slope * u**2 / p[3] ** 3,
            slope * v**2 / p[4] ** 3,
            slope * along_theta * np.pi / 180,
            np.ones_like(bump),
        )
        return np.stack(rows)

    def _bump(self, p: Float[np.ndarray, "7"]) -> Float[np.ndarray, "3 n"]:
        """Return the bump of height 1, and the distances u along and v across its axis."""
        key = p.tobytes()
        if key != self.known[0]:
            self.known = key, _bump(p, self.x, self.y)
        return self.known[1]


def _bump(
    p: Float[np.ndarray, "7"], x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "3 n"]:
    """Return the bump of height 1, and the distances u along and v across its axis."""
    theta = np.deg2rad(p[5])
    right, down = x - p[1], y - p[2]
    u = np.cos(theta) * right - np.sin(theta) * down  # y points down, theta counterclockwise
    v = np.sin(theta) * right + np.cos(theta) * down
    return np.stack([np.exp(-((u / p[3]) ** 2 + (v / p[4]) ** 2) / 2), u, v])


def _no_field(
    size: tuple[int, ...], found: Float[np.ndarray, "7"], fxvar: float, least_fxvar: float
) -> str:
    """Return why a fitted Gaussian does not describe a receptive field, or an empty string."""
    height, width = size
    if not fxvar >= least_fxvar:
        return f"the Gaussian explains less than {least_fxvar:.0%} of the variance"
    if found[0] < 0:
        return "the Gaussian is a dip, not a peak"
    if not (-0.5 <= found[1] <= width - 0.5 and -0.5 <= found[2] <= height - 0.5):
        return "the center of the Gaussian lies outside the map"
    return ""


def _described(size: tuple[int, ...], found: Float[np.ndarray, "7"], scale: float) -> _Row:
    height, width = size
    amplitude, column, row, sigma_1, sigma_2, theta, offset = found.tolist()
    x, y = column - (width - 1) / 2, row - (height - 1) / 2
    (long, axis), (short, _) = sorted(
        [(abs(sigma_1), theta), (abs(sigma_2), theta + 90)], reverse=True
    )
    cosine, sine = np.cos(np.deg2rad(axis)), np.sin(np.deg2rad(axis))
    beyond = max(
        abs(x) + 2 * np.hypot(long * cosine, short * sine) - width / 2,
        abs(y) + 2 * np.hypot(long * sine, short * cosine) - height / 2,
    )
    return {
        "amplitude": amplitude * scale,
        "gauss_x": x,
        "gauss_y": y,
        "sigma_long": long,
        "sigma_short": short,
        "orientation": axis % 180,
        "offset": offset * scale,
        "leaves_map": bool(beyond > 0),
        "reason": "",
    }


def _without_numbers(reason: str) -> _Row:
    return {name: float("nan") for name in GAUSSIAN_COLUMNS} | {
        "leaves_map": False,
        "reason": reason,
    }
