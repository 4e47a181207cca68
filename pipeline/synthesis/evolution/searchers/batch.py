"""The batch: searches side by side, each on its own, so that none depends on the others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy.random import RandomState

from pipeline.synthesis.evolution.searchers.searcher import Search, Searcher, Searching


class OneSearch(ABC):
    """One search of a batch.

    Most searches work with *standardized* codes, in which the prior has mean 0 and standard
    deviation 1, so that their settings fit every generator: code = mean + std * standardized.

    Attributes:
        prior: distribution of the codes.
        random: its source of random numbers.
        generations: number of generations that the budget allows.
        starts: codes to start from [count, genes]; there may be none.
        low: the smallest standardized value of each gene.
        high: the largest standardized value of each gene.
        kept: names of the attributes that the search needs to go on after ``tell``: arrays of the
            same shape in every search of a batch, or numbers. Random numbers are kept as well.
    """

    kept: ClassVar[tuple[str, ...]]

    def __init__(self, search: Search, index: int) -> None:
        self.prior, self.random = search.prior, search.randoms[index]
        self.generations = search.generations
        self.starts = np.empty((0, self.prior.genes))
        if search.starts is not None:
            self.starts = search.starts[index]
        self.low = self.standardized(self.prior.low)
        self.high = self.standardized(self.prior.high)

    @abstractmethod
    def ask(self) -> Float[np.ndarray, "candidates genes"]:
        """Return the candidates of the next generation, within the prior's bounds."""

    @abstractmethod
    def tell(self, scores: Float[np.ndarray, " candidates"]) -> None:
        """Learn from the scores of the candidates last asked for; NaN was not measured."""

    def standardized(
        self, codes: Float[np.ndarray, "*some genes"]
    ) -> Float[np.ndarray, "*some genes"]:
        """Return codes as standard deviations from the prior's mean."""
        return (codes - self.prior.mean) / self.prior.std

    def cut(
        self, standardized: Float[np.ndarray, "*some genes"]
    ) -> Float[np.ndarray, "*some genes"]:
        """Return standardized codes cut to the bounds."""
        return np.clip(standardized, self.low, self.high)

    def codes(
        self, standardized: Float[np.ndarray, "*some genes"]
    ) -> Float[np.ndarray, "*some genes"]:
        """Return standardized codes as codes within the bounds."""
        return self.prior.within(self.prior.mean + self.prior.std * standardized)

    def center(self) -> Float[np.ndarray, " genes"]:
        """Return the mean of the start codes, standardized; 0 if there are none."""
        if not len(self.starts):
            return np.zeros(self.prior.genes)
        return self.standardized(self.prior.within(self.starts).mean(0))


class Batch(Searching):
    """Searches side by side. They share no number, so that each is the same in any batch."""

    def __init__(self, searches: Sequence[OneSearch]) -> None:
        self.searches, self.asked = searches, (0, 0)

    def ask(self) -> Float[np.ndarray, "searches candidates genes"]:
        """Return the candidates of every search."""
        codes = np.stack([search.ask() for search in self.searches])
        self.asked = codes.shape[:2]
        return codes

    def tell(self, scores: Float[np.ndarray, "searches candidates"]) -> None:
        """Pass the scores on, in double precision; those that are infinite count as NaN.

        Raises:
            ValueError: there is not one score for every candidate last asked for.
        """
        scores = np.asarray(scores, float)
        if scores.shape != self.asked:
            raise ValueError(
                f"scores of shape {scores.shape} do not fit the {self.asked} candidates (searches,"
                " candidates) last asked for"
            )
        scores = np.where(np.isfinite(scores), scores, np.nan)
        for search, row in zip(self.searches, scores, strict=True):
            search.tell(row)

    def state(self) -> dict[str, np.ndarray]:
        """Return what every search keeps and the states of the random numbers, stacked."""
        kept = {
            name: np.stack([np.asarray(getattr(search, name)) for search in self.searches])
            for name in self.searches[0].kept
        }
        states = [_random_state(search.random) for search in self.searches]
        return kept | {name: np.stack([state[name] for state in states]) for name in states[0]}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a state, to the same bits."""
        for index, search in enumerate(self.searches):
            for name in search.kept:
                setattr(search, name, state[name][index].copy())
            _set_random_state(search.random, {name: state[name][index] for name in RANDOM})


def side_by_side(population: int, begin: Callable[[Search, int], OneSearch]) -> Searcher:
    """Return the searcher that begins each search of a batch on its own.

    Args:
        population: candidates in a generation of one search.
        begin: starts one search, from those of the batch and its index.
    """

    def begin_all(search: Search) -> Searching:
        return Batch([begin(search, index) for index in range(len(search.randoms))])

    return Searcher(population, begin_all)


# What identifies a position in the random numbers of a Mersenne Twister.
RANDOM = ("random_key", "random_position", "random_has_gauss", "random_gauss")


def _random_state(random: RandomState) -> dict[str, np.ndarray]:
    """Return the state of a source of random numbers as arrays."""
    _, *state = random.get_state(legacy=True)
    return {name: np.asarray(value) for name, value in zip(RANDOM, state, strict=True)}


def _set_random_state(random: RandomState, state: Mapping[str, np.ndarray]) -> None:
    """Set the state of a source of random numbers."""
    key, position, has_gauss, gauss = (state[name] for name in RANDOM)
    random.set_state(("MT19937", key, int(position), int(has_gauss), float(gauss)))
