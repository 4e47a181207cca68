"""Functional similarity: whether two images do the same to the units of a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pipeline.analysis.similarity.pixels import weighted_r

Responses = Float[np.ndarray, "images units"]
Values = Float[np.ndarray, " images"]


@dataclass(frozen=True, eq=False)
class Population:
    """The responses of a layer's units to images that were made for some of them.

    Attributes:
        responses: of all units of the layer, in their own units; NaN for an image that failed.
        own: the unit for which each image was made.
    """

    responses: Responses
    own: Int[np.ndarray, " images"]

    def others(self, unit: int) -> Values:
        """Return the responses of a unit to the images that were made for other units."""
        values = self.responses[self.own != unit, unit]
        return values[np.isfinite(values)]

    def standardized(self, responses: Responses) -> Responses:
        """Return responses less the mean of each unit to these images, in standard deviations.

        Units differ in mean and gain, which would otherwise make all profiles alike. A unit that
        responds to all these images alike becomes NaN.
        """
        defined = self.responses[np.isfinite(self.responses).all(axis=1)].astype(np.float64)
        if len(defined) < 2:
            return np.full(responses.shape, np.nan)
        deviation = defined.std(axis=0)
        deviation[deviation <= 1e-9 * np.abs(defined).max(axis=0)] = np.nan
        return (responses - defined.mean(axis=0)) / deviation


def response_profile_r(
    first: Responses, second: Responses, own: Int[np.ndarray, " images"]
) -> Values:
    """Return Pearson's r over the units of a layer between their responses to two images.

    Two images that look different may excite and suppress the same units. The unit for which the
    images were made is left out: both excite it by construction.

    Source: Kriegeskorte, Mur & Bandettini (2008), Front Syst Neurosci 2:4, for patterns of
    responses as a measure of what images have in common.

    Args:
        first: responses to one image of each unit, standardized (``Population.standardized``);
            units that are NaN for an image are left out.
        second: responses to the other image.
        own: the unit of the layer for which each image was made.

    Returns:
        r per image, -1 to 1; NaN with fewer than 3 units.

    >>> responses = np.array([[9.0, 1.0, 2.0, 3.0]]), np.array([[0.0, 2.0, 4.0, 6.0]])
    >>> response_profile_r(*responses, own=np.array([0])).round(6).tolist()
    [1.0]
    """
    used = np.isfinite(first) & np.isfinite(second)
    used &= np.arange(first.shape[1]) != own[:, None]
    a, b = (np.where(used, responses, 0.0) for responses in (first, second))
    r = weighted_r(a, b, used.astype(np.float64))
    return np.where(used.sum(axis=1) >= 3, r, np.nan)


def own_percentiles(
    responses: Responses, own: Int[np.ndarray, " images"], others: Population
) -> Values:
    """Return which percentage of the images of other units drive each image's own unit less.

    Args:
        responses: of the layer's units to some images.
        own: the unit for which each image was made.
        others: responses to a set of images of many units, of which those of the own unit are left
            out. Equal responses count half.

    Returns:
        0 to 100; 100 means that no image of another unit drives the unit as much. NaN without
        images of other units.

    >>> others = Population(np.array([[5.0, 0.0], [1.0, 0.0], [3.0, 0.0]]), np.array([0, 1, 1]))
    >>> own_percentiles(np.array([[2.0, 0.0]]), np.array([0]), others).tolist()
    [50.0]
    """
    found = np.full(len(responses), np.nan)
    for row, unit in enumerate(own.tolist()):
        value, compared = responses[row, unit], others.others(unit)
        if len(compared) and np.isfinite(value):
            below = np.mean(compared < value) + np.mean(compared == value) / 2
            found[row] = 100 * below
    return found


def own_d_primes(
    responses: Responses, own: Int[np.ndarray, " images"], others: Population
) -> Values:
    """Return how far each image drives its own unit beyond the images of other units.

    The response less the mean response of the unit to the images of other units, in standard
    deviations of the latter: the sensitivity d' of a detector of the unit's own image (Green &
    Swets 1966), with the spread of the distractors.

    Args:
        responses: of the layer's units to some images.
        own: the unit for which each image was made.
        others: responses to a set of images of many units.

    Returns:
        d' per image; NaN with fewer than 2 images of other units, or if they all drive it alike.
    """
    found = np.full(len(responses), np.nan)
    for row, unit in enumerate(own.tolist()):
        compared = others.others(unit).astype(np.float64)
        spread = compared.std(ddof=1) if len(compared) > 1 else 0.0
        if spread > 1e-9 * np.abs(compared).max(initial=0.0):
            found[row] = (responses[row, unit] - compared.mean()) / spread
    return found


def selectivity(
    responses: Responses, own: Int[np.ndarray, " images"], others: Population | None = None
) -> pd.DataFrame:
    """Return how selectively images drive the units for which they were made.

    Args:
        responses: of all units of the layer to the images.
        own: the unit for which each image was made.
        others: images to compare with; by default the images themselves, those of other units.

    Returns:
        One row per image: ``unit``, ``response``, ``rank`` (1 if no image of another unit drives
        the unit more; ties share the mean), ``percentile`` and ``d_prime``.

    >>> found = selectivity(np.array([[5.0, 1.0], [2.0, 4.0], [3.0, 6.0]]), np.array([0, 1, 1]))
    >>> found[["unit", "rank", "percentile"]].values.tolist()
    [[0.0, 1.0, 100.0], [1.0, 1.0, 100.0], [1.0, 1.0, 100.0]]
    """
    compared = others or Population(responses, own)
    percentiles = own_percentiles(responses, own, compared)
    counts = np.array([len(compared.others(unit)) for unit in own.tolist()])
    return pd.DataFrame(
        {
            "unit": own,
            "response": responses[np.arange(len(own)), own],
            "rank": 1 + (1 - percentiles / 100) * counts,
            "percentile": percentiles,
            "d_prime": own_d_primes(responses, own, compared),
        }
    )
