"""A plain searcher and a plain generator, with which the loop is tested alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from pipeline.synthesis.evolution import random_numbers
from pipeline.synthesis.evolution.generators import BuiltGenerator, Generator
from pipeline.synthesis.evolution.searchers import Prior, Search, Searcher, Searching
from pipeline.synthesis.parameterizations import Setting


class Climbing(Searching):
    """Random steps from the best code so far."""

    def __init__(self, search: Search, population: int) -> None:
        self.search, self.population = search, population
        searches = len(search.randoms)
        self.best = np.broadcast_to(search.prior.mean, (searches, search.prior.genes)).copy()
        if search.starts is not None:
            self.best = search.starts[:, 0].copy()
        self.scores = np.full(searches, -np.inf)
        self.asked = np.zeros((0, 0, 0))
        self.told: list[np.ndarray] = []

    def ask(self) -> np.ndarray:
        shape = (self.population, self.search.prior.genes)
        steps = np.stack([random.standard_normal(shape) for random in self.search.randoms])
        self.asked = self.search.prior.within(self.best[:, None] + self.search.prior.std * steps)
        return self.asked.copy()

    def tell(self, scores: np.ndarray) -> None:
        self.told.append(scores.copy())
        known = np.where(np.isnan(scores), -np.inf, scores)
        top, rows = known.argmax(1), np.arange(len(scores))
        better = known[rows, top] > self.scores
        self.best[better] = self.asked[rows, top][better]
        self.scores[better] = known[rows, top][better]

    def state(self) -> dict[str, np.ndarray]:
        own = {"best": self.best.copy(), "scores": self.scores.copy()}
        return own | random_numbers.states(self.search.randoms)

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.best, self.scores = np.array(state["best"]), np.array(state["scores"])
        random_numbers.restore(self.search.randoms, state)


def climbing(population: int = 8) -> Searcher:
    """Return a searcher that takes random steps from the best code so far."""

    def begin(search: Search) -> Searching:
        return Climbing(search, population)

    return Searcher(population, begin)


def raw(std: float = 0.2) -> Generator:
    """Return a generator whose codes are pixels."""

    def build(setting: Setting) -> BuiltGenerator:
        shape = (setting.channels, *setting.size)
        ones = np.ones(int(np.prod(shape)))
        prior = Prior(0.5 * ones, std * ones, 0 * ones, ones)

        def draw(codes: torch.Tensor) -> torch.Tensor:
            return codes.reshape(-1, *shape)

        return BuiltGenerator(prior, shape, draw, lambda pictures: pictures.flatten(1))

    return Generator(build)
