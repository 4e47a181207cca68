"""Antithetic search: a center moves along a gradient that is estimated from pairs of candidates."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pipeline.synthesis.evolution.searchers.batch import OneSearch
from pipeline.synthesis.evolution.searchers.searcher import Search
from pipeline.synthesis.evolution.searchers.settings import check_even, check_positive


@dataclass(frozen=True)
class Pairs:
    """The settings of an antithetic search.

    Attributes:
        population: candidates in a generation, two to a pair.
        radius: standard deviation of the candidates about the center, in that of the prior.
        learning_rate: factor of the gradient in the step of the center.
        standardize: whether scores are divided by the standard deviation of their generation.
    """

    population: int
    radius: float
    learning_rate: float
    standardize: bool

    def check(self, searcher: str) -> None:
        """Check that all are in their ranges.

        Args:
            searcher: name of the searcher, for the message.

        Raises:
            ConfigError: one is not.
        """
        check_even(f"{searcher}.population", self.population, 40)
        check_positive(f"{searcher}.radius", self.radius, 0.5)
        check_positive(f"{searcher}.learning_rate", self.learning_rate, 0.2)


class AntitheticSearch(OneSearch):
    """A search whose candidates are center + step and center - step, in standardized codes."""

    kept = ("center_code",)

    def __init__(self, search: Search, index: int, settings: Pairs) -> None:
        super().__init__(search, index)
        self.settings, self.center_code = settings, self.center()

    @abstractmethod
    def gradient(
        self, differences: Float[np.ndarray, " pairs"], steps: Float[np.ndarray, "pairs genes"]
    ) -> Float[np.ndarray, " genes"]:
        """Return the gradient from half the differences of the scores in pairs, and the steps."""

    def ask(self) -> Float[np.ndarray, "candidates genes"]:
        """Draw candidates on both sides of the center: first all on one side, then the others."""
        shape = (self.settings.population // 2, self.prior.genes)
        self.steps = self.settings.radius * self.random.standard_normal(shape)
        sides = [self.center_code + self.steps, self.center_code - self.steps]
        return self.codes(np.concatenate(sides))

    def tell(self, scores: Float[np.ndarray, " candidates"]) -> None:
        """Move the center along the gradient, from the pairs of which both were measured."""
        pairs = scores.reshape(2, -1)
        measured = ~np.isnan(pairs).any(0)
        pairs, steps = pairs[:, measured], self.steps[measured]
        spread = pairs.std() if pairs.size and self.settings.standardize else 1.0
        if not pairs.size or spread == 0:
            return
        gradient = self.gradient((pairs[0] - pairs[1]) / 2 / spread, steps)
        self.center_code = self.cut(self.center_code + self.settings.learning_rate * gradient)
