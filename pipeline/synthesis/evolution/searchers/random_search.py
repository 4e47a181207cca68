"""Random search: candidates are drawn from the prior, whatever the scores."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pipeline.synthesis.evolution.searchers.batch import OneSearch, side_by_side
from pipeline.synthesis.evolution.searchers.searcher import Search, Searcher
from pipeline.synthesis.evolution.searchers.settings import check_count


def random(population: int = 40) -> Searcher:
    """Draw every candidate from the prior: the control that any other searcher must beat.

    Start codes are the first candidates, over as many generations as they fill.

    Args:
        population: candidates in a generation, 1 or more.

    Raises:
        ConfigError: the population is not a positive whole number.

    Example:
        >>> random().population
        40
    """
    check_count("random.population", population, 1, 40)
    return side_by_side(population, lambda search, index: RandomSearch(search, index, population))


class RandomSearch(OneSearch):
    """A random search."""

    kept = ("generation",)

    def __init__(self, search: Search, index: int, population: int) -> None:
        super().__init__(search, index)
        self.generation, self.population = 0, population

    def ask(self) -> Float[np.ndarray, "candidates genes"]:
        """Return start codes that are left, and random codes."""
        shown = self.generation * self.population
        starts = self.prior.within(self.starts[shown : shown + self.population])
        drawn = self.prior.draw(self.population - len(starts), self.random)
        return np.concatenate([starts, drawn])

    def tell(self, scores: Float[np.ndarray, " candidates"]) -> None:  # noqa: ARG002
        """Learn nothing."""
        self.generation += 1
