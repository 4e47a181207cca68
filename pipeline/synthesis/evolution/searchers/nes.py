"""Natural evolution strategy of fixed width."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pipeline.synthesis.evolution.searchers.antithetic import AntitheticSearch, Pairs
from pipeline.synthesis.evolution.searchers.batch import side_by_side
from pipeline.synthesis.evolution.searchers.searcher import Searcher


def nes(
    population: int = 40,
    radius: float = 0.5,
    learning_rate: float = 0.2,
    standardize: bool = True,
) -> Searcher:
    """Natural evolution strategy: ascends the mean score of normally distributed candidates.

    The gradient of this mean with respect to the center is the mean of score * z / radius over
    candidates center + radius * z; these come in pairs of z and -z. The center moves by
    ``learning_rate`` times the gradient.

    It works with standardized codes, in which the prior has mean 0 and standard deviation 1. The
    center starts from 0, the prior's mean, or from the mean of the start codes, and stays within
    the prior's bounds, to which candidates are cut. The center itself is not shown. A pair with a
    candidate that was not measured does not count.

    Source: Wierstra et al. 2014, "Natural evolution strategies"; Ilyas et al. 2018, "Black-box
    adversarial attacks with limited queries and information", algorithm 1; willwx/XDream, NES, with
    a fixed radius; it leaves radius and learning rate to the user. Those here were chosen on
    quadratic functions of some hundred genes.

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
        >>> nes(radius=0.3).population
        40
    """
    settings = Pairs(population, radius, learning_rate, standardize)
    settings.check("nes")
    return side_by_side(population, lambda search, index: NaturalSearch(search, index, settings))


class NaturalSearch(AntitheticSearch):
    """A search by a natural evolution strategy."""

    def gradient(
        self, differences: Float[np.ndarray, " pairs"], steps: Float[np.ndarray, "pairs genes"]
    ) -> Float[np.ndarray, " genes"]:
        """Return the gradient of the mean score."""
        return (differences[:, None] * steps).mean(0) / self.settings.radius**2
