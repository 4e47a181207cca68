"""Gradient ascent on finite differences."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pipeline.synthesis.evolution.searchers.antithetic import AntitheticSearch, Pairs
from pipeline.synthesis.evolution.searchers.batch import side_by_side
from pipeline.synthesis.evolution.searchers.searcher import Searcher


def finite_differences(
    population: int = 40,
    radius: float = 0.5,
    learning_rate: float = 0.2,
    standardize: bool = True,
) -> Searcher:
    """Gradient ascent on differences of scores on both sides of a center (FDGD).

    The gradient is the mean over pairs of step * (score(center + step) - score(center - step)) / 2
    over the square of the step's mean magnitude, and the center moves by ``learning_rate`` times
    the gradient.

    It works with standardized codes, in which the prior has mean 0 and standard deviation 1. The
    center starts from 0, the prior's mean, or from the mean of the start codes, and stays within
    the prior's bounds, to which candidates are cut. The center itself is not shown. A pair with a
    candidate that was not measured does not count.

    Source: willwx/XDream, FDGD, antithetic; it leaves radius and learning rate to the user. Those
    here were chosen on quadratic functions of some hundred genes.

    Args:
        population: candidates in a generation, an even number of 2 or more.
        radius: standard deviation of the candidates about the center, in that of the prior, above
            0.
        learning_rate: factor of the gradient in a step of the center, above 0.
        standardize: whether scores are first divided by the standard deviation of their
            generation, so that one learning rate suits units of any scale; false as in the source.

    Raises:
        ConfigError: a setting is out of its range.

    Example:
        >>> finite_differences(population=10).population
        10
    """
    settings = Pairs(population, radius, learning_rate, standardize)
    settings.check("finite_differences")
    return side_by_side(population, lambda search, index: DifferenceSearch(search, index, settings))


class DifferenceSearch(AntitheticSearch):
    """A search by finite differences."""

    def gradient(
        self, differences: Float[np.ndarray, " pairs"], steps: Float[np.ndarray, "pairs genes"]
    ) -> Float[np.ndarray, " genes"]:
        """Return the mean of the differences along the steps."""
        slopes = differences / np.square(np.abs(steps).mean(1))
        return (slopes[:, None] * steps).mean(0)
