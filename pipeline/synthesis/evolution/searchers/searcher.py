"""The searcher: proposes candidates and learns from their scores, for several searches at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.random import RandomState


@dataclass(frozen=True)
class Prior:
    """The distribution of codes: independent normals, cut to bounds.

    Attributes:
        mean: mean of each gene.
        std: standard deviation of each gene, above 0.
        low: the smallest value of each gene; minus infinity if there is none.
        high: the largest value of each gene; infinity if there is none.
    """

    mean: Float[np.ndarray, " genes"]
    std: Float[np.ndarray, " genes"]
    low: Float[np.ndarray, " genes"]
    high: Float[np.ndarray, " genes"]

    @property
    def genes(self) -> int:
        """Length of a code."""
        return len(self.mean)

    def draw(self, count: int, random: RandomState) -> Float[np.ndarray, "count genes"]:
        """Return random codes."""
        codes = self.mean + self.std * random.standard_normal((count, self.genes))
        return self.within(codes)

    def within(self, codes: Float[np.ndarray, "*some genes"]) -> Float[np.ndarray, "*some genes"]:
        """Return codes cut to the bounds."""
        return np.clip(codes, self.low, self.high)


@dataclass(frozen=True)
class Search:
    """What the searches of one batch start from; all are of one size, and independent.

    Attributes:
        prior: distribution of the codes.
        randoms: one source of random numbers per search, used by nothing else.
        generations: number of generations that the budget allows.
        starts: codes to start from, or ``None`` to draw them from the prior. There may be any
            number per search; each searcher says what it does with them.
    """

    prior: Prior
    randoms: Sequence[RandomState]
    generations: int
    starts: Float[np.ndarray, "searches some genes"] | None = None


class Searching(ABC):
    """Searches under way. ``ask`` and ``tell`` alternate, starting with ``ask``.

    No search depends on which others are in the batch, to the last bit.
    """

    @abstractmethod
    def ask(self) -> Float[np.ndarray, "searches candidates genes"]:
        """Return the candidates of the next generation (float64), within the prior's bounds.

        The number of candidates is the same in every generation, so that every image shown counts
        as a query.
        """

    @abstractmethod
    def tell(self, scores: Float[np.ndarray, "searches candidates"]) -> None:
        """Learn from the scores of the candidates last asked for; more is better.

        A score that is NaN or infinite was not measured: nothing is learned from that candidate.

        Raises:
            ValueError: there is not one score for every candidate last asked for.
        """

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Return all that the search needs to go on, after ``tell``, by name, without pickle.

        Random numbers are included.
        """

    @abstractmethod
    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a state, to the same bits."""


@dataclass(frozen=True)
class Searcher:
    """A kind of search.

    Attributes:
        population: candidates in a generation of one search.
        begin: starts searches.
    """

    population: int
    begin: Callable[[Search], Searching]
