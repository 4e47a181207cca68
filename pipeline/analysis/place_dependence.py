"""Whether the responses of units depend on where stimuli are, which a receptive field implies."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import f as f_distribution
from scipy.stats import rankdata

ALPHA = 1e-3  # above this probability, responses do not show a receptive field
ROUNDING = 1e-12  # of the sum of squares: what rounding makes of 0
_AT_ONCE = 2**21  # values that are compared at once


def place_p_values(
    responses: Float[np.ndarray, "units stimuli"],
    looks: Int[np.ndarray, " stimuli"],
    places: Int[np.ndarray, " stimuli"],
) -> Float[np.ndarray, " units"]:
    """Return how probable differences between places this large are if place does not matter.

    Two analyses of variance between places on ranks (Conover & Iman 1981, Am Stat 35:124), which
    hold for responses of any distribution. They are made within each look of the stimuli, such as
    white bars and black bars, since a unit may respond with opposite signs to opposite looks: of
    the responses, and of their distances from the median of the look, for units whose responses
    differ in spread alone. The probability is twice the smaller, at most 1.

    Args:
        responses: of each unit to each stimulus.
        looks: number of the look of each stimulus, from 0.
        places: number of the place of each stimulus, from 0.

    Returns:
        The probability; NaN where each place has one stimulus of a look, so that nothing tells
        chance from place.

    >>> rng = np.random.default_rng(0)
    >>> places, looks = np.arange(400) % 10, np.zeros(400, dtype=int)
    >>> noise = rng.normal(size=(1, 400))
    >>> p = place_p_values(np.concatenate([noise, noise + (places == 3)]), looks, places)
    >>> (p > 0.001).tolist()
    [True, False]
    """
    pairs = np.stack([looks, places], axis=1)
    cells = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()
    step = max(1, _AT_ONCE // len(cells))
    found = np.empty(len(responses))
    for first in range(0, len(responses), step):
        some = slice(first, first + step)
        exact = responses[some].astype(np.float64)
        ranks, distances = np.empty_like(exact), np.empty_like(exact)
        for look in range(looks.max() + 1):
            shown = looks == look
            own = exact[:, shown]
            distances[:, shown] = _ranks(np.abs(own - np.median(own, axis=1, keepdims=True)))
            ranks[:, shown] = _ranks(own)
        both = _p_values(ranks, looks, cells), _p_values(distances, looks, cells)
        found[some] = np.minimum(1.0, 2 * np.fmin(*both))
    return found


def _p_values(
    values: Float[np.ndarray, "units stimuli"],
    looks: Int[np.ndarray, " stimuli"],
    cells: Int[np.ndarray, " stimuli"],
) -> Float[np.ndarray, " units"]:
    """Return p of the F test of cells within looks."""
    between = cells.max() - looks.max()
    inside = values.shape[1] - cells.max() - 1
    if between < 1 or inside < 1:
        return np.full(len(values), np.nan)
    by_look, by_cell = _means(values, looks)[:, looks], _means(values, cells)[:, cells]
    explained = np.square(by_cell - by_look).sum(axis=1)
    left = np.square(values - by_cell).sum(axis=1)
    nothing = ROUNDING * np.square(values).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (explained / between) / (left / inside)
    p = f_distribution.sf(ratio, between, inside)
    return np.where(explained <= nothing, 1.0, np.where(left <= nothing, 0.0, p))


def _ranks(values: Float[np.ndarray, "units stimuli"]) -> Float[np.ndarray, "units stimuli"]:
    """Return the ranks of each unit's values, rounded first so that equal ones tie."""
    scale = np.abs(values).max(axis=1, keepdims=True)
    rounded = np.round(values / np.where(scale > 0, scale, 1.0), 6)
    return np.asarray(rankdata(rounded, axis=1), dtype=np.float64)


def _means(
    values: Float[np.ndarray, "units stimuli"], groups: Int[np.ndarray, " stimuli"]
) -> Float[np.ndarray, "units groups"]:
    """Return the mean of each unit over the stimuli of each group."""
    order = np.argsort(groups, kind="stable")
    first = np.searchsorted(groups[order], np.arange(groups.max() + 1))
    counts = np.bincount(groups)
    return np.add.reduceat(values[:, order], first, axis=1) / counts
