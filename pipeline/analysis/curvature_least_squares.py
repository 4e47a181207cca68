"""The tuning model of V4 neurons for curvature as it was first fitted: by least squares.

    gain x exp(-((angle - mu_angle) / sd_angle)^2 / 2 - ((curvature - mu) / sd)^2 / 2)

at the boundary element where this is largest; the difference of angles is the shorter way around
(Pasupathy & Connor 2001, J Neurophysiol 86:2505).
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import least_squares

from pipeline.analysis.boundary_curvature import Elements
from pipeline.errors import ConfigError

# Means and reciprocal standard deviations of angle and curvature, and the gain.
_LOW = np.array([-0.7, -1.0, 0.0, 0.0, -np.inf])
_HIGH = np.array([7.0, 1.0, np.inf, np.inf, np.inf])
_STARTS = [
    np.array([angle, curvature, 10.0, 10.0, 1.0])
    for curvature, angle in product((1.0, 0.5, 0.0, -0.5, -1.0), np.arange(4) * np.pi / 2)
]


def fit_curvature(
    responses: Float[np.ndarray, "units stimuli"], elements: Elements
) -> pd.DataFrame:
    """Fit the model to the responses of each unit and return its five parameters.

    Bounded least squares from 20 starts (five curvatures at four angles, standard deviations of
    0.1); the fit that correlates best with the responses is kept. It takes about a quarter of a
    second a unit; ``curvature_tuning.fit_models`` is far faster and has no local optima.

    Args:
        responses: of each unit to each stimulus; the model has no offset, so responses are to be
            those above the spontaneous ones.
        elements: boundary elements of the stimuli, in the same order.

    Returns:
        One row per unit: ``unit`` (its row), ``r`` (Pearson's, of prediction and response),
        ``mu_angle`` and ``sd_angle`` (degrees), ``mu_curvature``, ``sd_curvature``, ``gain`` and
        ``reason``: why there are no numbers, or an empty string. A standard deviation is infinite
        where a unit does not care.

    Raises:
        ConfigError: responses and elements are of different numbers of stimuli.

    >>> angles = np.deg2rad([[0.0], [40.0], [80.0], [120.0]])
    >>> shapes = Elements(angles, np.full((4, 1), 0.5))
    >>> tuned = np.exp(-((angles.T - np.deg2rad(40.0)) ** 2) / 2)
    >>> float(fit_curvature(tuned, shapes)["r"].round(4).iloc[0])
    1.0
    """
    if responses.shape[1] != len(elements.angle):
        raise ConfigError(
            f"responses: {responses.shape[1]} stimuli were shown, but boundary elements are given "
            f"for {len(elements.angle)}; both must be in the same order"
        )
    rows = [_row(unit.astype(np.float64), elements) for unit in responses]
    return pd.DataFrame(rows).rename_axis("unit").reset_index()


def _row(unit: Float[np.ndarray, " stimuli"], elements: Elements) -> dict[str, float | str]:
    names = ("r", "mu_angle", "sd_angle", "mu_curvature", "sd_curvature", "gain")
    missing = {name: float("nan") for name in names}
    if not np.isfinite(unit).all():
        return missing | {"reason": "responses are not finite"}
    if np.ptp(unit) <= 1e-12 * np.abs(unit).max():
        return missing | {"reason": "responses are constant"}
    scale = np.abs(unit).max()
    fits = [_fit(unit / scale, elements, start) for start in _STARTS]
    r, best = max(fits, key=lambda fit: fit[0])
    if not np.isfinite(r):
        return missing | {"reason": "no start led to a model that varies over the stimuli"}
    with np.errstate(divide="ignore"):
        sd_angle, sd_curvature = 1 / best[2:4]
    values = (r, np.rad2deg(best[0]) % 360, np.rad2deg(sd_angle), best[1], sd_curvature)
    numbers = dict(zip(names, [float(value) for value in (*values, best[4] * scale)], strict=True))
    return numbers | {"reason": ""}


def _fit(
    unit: Float[np.ndarray, " stimuli"], elements: Elements, start: Float[np.ndarray, "5"]
) -> tuple[float, Float[np.ndarray, "5"]]:
    """Return the correlation that a start leads to (-inf: the model is constant) and the fit."""
    found = least_squares(
        lambda p: _predict(p, elements)[0] - unit,
        start,
        jac=lambda p: _predict(p, elements)[1],  # pyright: ignore[reportArgumentType]
        bounds=(_LOW, _HIGH),
        xtol=1e-4,
        ftol=1e-4,
        max_nfev=2000,
    ).x
    predicted = _predict(found, elements)[0]
    if np.ptp(predicted) <= 1e-12 * np.abs(predicted).max():
        return -np.inf, found
    return float(np.corrcoef(predicted, unit)[0, 1]), found


def _predict(
    p: Float[np.ndarray, "5"], elements: Elements
) -> tuple[Float[np.ndarray, " stimuli"], Float[np.ndarray, "stimuli 5"]]:
    """Return the predictions and their derivatives by the five parameters."""
    turn = np.angle(np.exp(1j * (elements.angle - p[0])))
    step = elements.curvature - p[1]
    exponent = np.nan_to_num((turn * p[2]) ** 2 + (step * p[3]) ** 2, nan=np.inf) / 2
    best = exponent.argmin(axis=1)[:, None]
    turn, step, low = (np.take_along_axis(v, best, 1)[:, 0] for v in (turn, step, exponent))
    bump = np.exp(-low)
    slope = p[4] * bump
    by = (slope * turn * p[2] ** 2, slope * step * p[3] ** 2, -slope * turn**2 * p[2])
    return slope, np.stack([*by, -slope * step**2 * p[3], bump], axis=1)
