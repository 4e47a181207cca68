"""How selective units are for shapes, and how little that changes with their position."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from pipeline.errors import ConfigError

# Units of a higher kurtosis respond to few shapes; Pospisil et al. (2018) leave them out of fits.
HIGHEST_KURTOSIS = 42.0
FEWEST = 3  # positions for which translation invariance is defined
# What rounding leaves of no response, as a share of the largest one: double and single precision.
_SILENT = 1e-12
_SILENT_SINGLE = 2e-6


def kurtosis(responses: Float[np.ndarray, "units stimuli"]) -> Float[np.ndarray, " units"]:
    """Return the kurtosis m4 / m2^2 of the responses of each unit over stimuli.

    Not the excess: a normal distribution has 3, and a unit that responds to a single one of n
    stimuli about n. NaN where responses are constant or not finite.

    >>> kurtosis(np.array([[1.0, -1.0, 1.0, -1.0], [0.0, 0.0, 0.0, 1.0]])).round(4)
    array([1.    , 2.3333])
    """
    scaled = _centered(responses)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (scaled**4).mean(axis=1) / (scaled**2).mean(axis=1) ** 2


def sparseness(responses: Float[np.ndarray, "units stimuli"]) -> Float[np.ndarray, " units"]:
    """Return the sparseness of the responses of each unit over stimuli.

    (1 - mean(r)^2 / mean(r^2)) / (1 - 1 / n) (Vinje & Gallant 2000, Science 287:1273): 0 if all
    responses are equal, 1 if a single one is. It is meant for responses of at least 0.
    NaN where all responses are 0 or one is not finite.

    >>> sparseness(np.array([[2.0, 2.0, 2.0], [0.0, 5.0, 0.0]]))
    array([0., 1.])
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = responses.astype(np.float64)
        scaled /= np.abs(scaled).max(axis=1, keepdims=True, initial=0.0)
        ratio = scaled.mean(axis=1) ** 2 / (scaled**2).mean(axis=1)
        return (1 - ratio) / (1 - 1 / np.float64(responses.shape[1]))


def translation_invariance(
    responses: Float[np.ndarray, "units positions stimuli"],
    inside: Bool[np.ndarray, "units positions"] | None = None,
) -> Float[np.ndarray, " units"]:
    """Return how alike the responses of each unit are at different positions of the stimuli.

    TI = sum of Cov(r_i, r_j) / sum of SD(r_i) SD(r_j), both over all pairs of positions i < j
    (Pospisil, Pasupathy & Bair 2018). It is 1 if the responses at all positions agree up to a
    positive factor, about 0 if they have nothing in common, and weights positions by how much
    responses vary there. Adding a constant, such as the response to a blank, changes nothing.

    Args:
        responses: to each stimulus at each position.
        inside: positions that count for a unit, from ``positions_inside``; by default all.

    Returns:
        TI; NaN with fewer than three positions, or where responses at fewer than two vary, or where
        they are not finite.

    >>> tuned = np.array([1.0, 2.0, 5.0])
    >>> translation_invariance(np.stack([tuned, 3 * tuned, 0.5 * tuned])[None]).round(6)
    array([1.])
    """
    if inside is None:
        inside = np.ones(responses.shape[:2], dtype=bool)
    scaled = _centered(np.where(inside[:, :, None], responses, 0.0))
    sd = np.sqrt((scaled**2).sum(axis=2))
    # Twice the sum over pairs is the square of the sum less the sum of squares.
    pairs = (scaled.sum(axis=1) ** 2).sum(axis=1) - (sd**2).sum(axis=1)
    products = sd.sum(axis=1) ** 2 - (sd**2).sum(axis=1)
    enough = (inside.sum(axis=1) >= FEWEST) & (products > _SILENT * (sd**2).sum(axis=1))
    ti = np.full(len(responses), np.nan)
    return np.divide(pairs, products, out=ti, where=enough)


def positions_inside(
    responses: Float[np.ndarray, "units positions stimuli"],
    positions: Float[np.ndarray, " positions"],
    width: float,
    blank: Float[np.ndarray, " units"] | None = None,
    silent: float | None = None,
) -> Bool[np.ndarray, "units positions"]:
    """Return at which positions the stimuli lie wholly inside the receptive field of each unit.

    A position counts if there is a response to some stimulus at every position within one stimulus
    width of it. The first and the last position count as without a response, since nothing is known
    of what lies beyond (Pospisil et al. 2018).

    Args:
        responses: to each stimulus at each position.
        positions: along one axis, in ascending order, pixels.
        width: of the stimuli, pixels.
        blank: response of each unit to no stimulus, by default 0.
        silent: a difference from the blank counts as a response if it is more than this share of
            the unit's largest response. By default 1e-12, or 2e-6 where responses are in single
            precision: their rounding may differ between the blank and the stimuli.

    Raises:
        ConfigError: positions are not in ascending order.

    >>> responses = np.array([[[0.0], [1.0], [2.0], [1.0], [1.0], [0.0]]])
    >>> positions_inside(responses, np.arange(6.0), width=1.0)
    array([[False, False,  True,  True, False, False]])
    """
    if not (np.diff(positions) > 0).all():
        raise ConfigError("positions: they must be in ascending order")
    blank = np.zeros(len(responses)) if blank is None else blank
    if silent is None:
        silent = _SILENT if responses.dtype == np.float64 else _SILENT_SINGLE
    difference = np.abs(responses - blank[:, None, None]).max(axis=2, initial=0.0)
    scale = np.abs(responses).max(axis=(1, 2), initial=0.0)
    responded = difference > silent * np.maximum(scale, np.abs(blank))[:, None]
    responded[:, [0, -1]] = False
    near = np.abs(positions[:, None] - positions) <= width
    return ~(~responded[:, None, :] & near).any(axis=2)


def _centered(responses: Float[np.ndarray, "units *rest"]) -> Float[np.ndarray, "units *rest"]:
    """Center over stimuli and scale each unit to about 1; NaN where a unit is not finite.

    What rounding leaves of constant responses is 0.
    """
    unit = tuple(range(1, responses.ndim))
    scale = np.abs(responses).max(axis=unit, keepdims=True, initial=0.0).astype(np.float64)
    with np.errstate(invalid="ignore"):
        scaled = responses / np.where(scale > 0, scale, 1.0)
        centered = scaled - scaled.mean(axis=-1, keepdims=True)
    return np.where(np.abs(centered) > _SILENT, centered, centered * 0)
