"""The genetic algorithm of XDREAM, and those of two codes that descend from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from pipeline.synthesis.evolution.searchers.batch import OneSearch, side_by_side
from pipeline.synthesis.evolution.searchers.searcher import Search, Searcher
from pipeline.synthesis.evolution.searchers.settings import (
    check_below,
    check_count,
    check_positive,
    check_share,
)

LEAST_TEMPERATURE = 1e-8  # of XDREAM, for scores that are all equal
OUTLIERS = 95  # percentile at which XDREAM clips scores

Fitness = Callable[[Float[np.ndarray, " measured"]], Float[np.ndarray, " measured"]]


def genetic(
    population: int = 20,
    mutation_rate: float = 0.5,
    mutation_size: float = 0.5,
    selectivity: float = 2.0,
    heritability: float = 0.5,
    elites: int = 0,
) -> Searcher:
    """The genetic algorithm of XDREAM, to the bits of its code for a prior of mean 0 and std 1.

    In each generation, the temperature is the standard deviation of the scores over
    ``selectivity``, scores are clipped at their 95th percentile, and fitness is
    exp((score - best) / temperature). Both parents of a child are drawn by fitness, independently,
    so that they may be the same. Each gene comes from the first parent with the probability
    ``heritability``, otherwise from the second, and then mutates with the probability
    ``mutation_rate``. The best codes, the ``elites``, and codes without a score go on unchanged.

    The first generation is drawn from the prior. If there are start codes, it is made of these: of
    the first ``population`` if there are more, and filled up with their mutated children if there
    are fewer. Mutations are in standard deviations of the prior, and genes are cut to its bounds.

    Source: Xiao and Kreiman 2020, "XDream: finding preferred stimuli for visual neurons using
    generative networks and gradient-free optimization"; willwx/XDream. There, ``_best_score`` is
    the best of the clipped scores; here, scores are never replaced.

    Args:
        population: candidates in a generation, 2 or more.
        mutation_rate: probability that a gene mutates, 0 to 1.
        mutation_size: standard deviation of a mutation, in that of the prior, above 0.
        selectivity: standard deviation of scores over the temperature, above 0; higher values
            select more strictly.
        heritability: probability that a gene comes from the first parent, 0 to 1.
        elites: number of the best codes that go on unchanged, from 0 to below the population.

    Raises:
        ConfigError: a setting is out of its range.

    Example:
        >>> import numpy as np
        >>> from numpy.random import RandomState
        >>> from pipeline.synthesis.evolution.searchers import Prior
        >>> ones = np.ones(50)
        >>> prior = Prior(mean=0 * ones, std=ones, low=-np.inf * ones, high=np.inf * ones)
        >>> search = genetic(elites=3).begin(Search(prior, [RandomState(0)], generations=50))
        >>> for generation in range(50):
        ...     codes = search.ask()  # [1 search, 20 candidates, 50 genes]
        ...     scores = -np.square(codes - 1).sum(2)
        ...     search.tell(scores)
        >>> bool(scores.max() > -20)  # from -62, the best of the first generation
        True
    """
    _check("genetic", population, mutation_rate, mutation_size, elites)
    check_positive("genetic.selectivity", selectivity, 2.0)
    check_share("genetic.heritability", heritability)

    def fitness(scores: Float[np.ndarray, " measured"]) -> Float[np.ndarray, " measured"]:
        temperature = max(scores.std() / selectivity, LEAST_TEMPERATURE)
        return boltzmann(np.minimum(scores, np.percentile(scores, OUTLIERS)), temperature)

    operators = Operators(fitness, mutation_rate, mutation_size, heritability, elites)
    return _searcher(population, operators)


def genetic_wang_ponce(
    population: int = 40,
    mutation_rate: float = 0.25,
    mutation_size: float = 0.75,
    temperature: float = 2.0,
    heritability: float = 0.75,
    elites: int = 10,
) -> Searcher:
    """The genetic algorithm that Wang and Ponce compare with other searchers.

    It is that of XDREAM with three differences besides its constants: the temperature is
    *multiplied* by a setting where XDREAM divides (2 here is a selectivity of 1/2 there), scores
    are not clipped, and the best ten codes go on unchanged.

    Start codes, the prior and codes without a score are treated as by ``genetic``.

    Source: Wang and Ponce 2022, "High-performance evolutionary algorithms for online neuron
    control"; Animadversio/ActMax-Optimizer-Dev.

    Args:
        population: candidates in a generation, 2 or more.
        mutation_rate: probability that a gene mutates, 0 to 1.
        mutation_size: standard deviation of a mutation, in that of the prior, above 0.
        temperature: temperature of selection, in standard deviations of the scores, above 0.
        heritability: probability that a gene comes from the first parent, 0 to 1.
        elites: number of the best codes that go on unchanged, from 0 to below the population.

    Raises:
        ConfigError: a setting is out of its range.

    Example:
        >>> genetic_wang_ponce(elites=1).population
        40
    """
    _check("genetic_wang_ponce", population, mutation_rate, mutation_size, elites)
    check_positive("genetic_wang_ponce.temperature", temperature, 2.0)
    check_share("genetic_wang_ponce.heritability", heritability)

    def fitness(scores: Float[np.ndarray, " measured"]) -> Float[np.ndarray, " measured"]:
        return boltzmann(scores, max(scores.std() * temperature, LEAST_TEMPERATURE))

    operators = Operators(fitness, mutation_rate, mutation_size, heritability, elites)
    return _searcher(population, operators)


def genetic_pxdream(
    population: int = 50,
    mutation_rate: float = 0.3,
    mutation_size: float = 0.1,
    temperature: float = 1.0,
    elites: int = 2,
) -> Searcher:
    """The genetic algorithm of P-XDREAM.

    Fitness is a softmax of the scores themselves, whatever their spread, so that units with larger
    responses are selected more strictly. The two parents of a child are always different, and
    either gives a gene with probability 1/2. Its random numbers are not in the order of its source.

    Start codes, the prior and codes without a score are treated as by ``genetic``.

    Source: zoccolan-lab/P-XDream.

    Args:
        population: candidates in a generation, 2 or more.
        mutation_rate: probability that a gene mutates, 0 to 1.
        mutation_size: standard deviation of a mutation, in that of the prior, above 0.
        temperature: temperature of the softmax, in units of the score, above 0.
        elites: number of the best codes that go on unchanged, from 0 to below the population.

    Raises:
        ConfigError: a setting is out of its range.

    Example:
        >>> genetic_pxdream(temperature=10.0).population
        50
    """
    _check("genetic_pxdream", population, mutation_rate, mutation_size, elites)
    check_positive("genetic_pxdream.temperature", temperature, 1.0)

    def fitness(scores: Float[np.ndarray, " measured"]) -> Float[np.ndarray, " measured"]:
        return boltzmann(scores, temperature)

    operators = Operators(fitness, mutation_rate, mutation_size, 0.5, elites, different=True)
    return _searcher(population, operators)


def boltzmann(
    scores: Float[np.ndarray, " measured"], temperature: float
) -> Float[np.ndarray, " measured"]:
    """Return exp((score - best) / temperature), where 0 is replaced by the smallest above 0."""
    fitness = np.exp((scores - scores.max()) / temperature)
    return np.where(fitness > 0, fitness, fitness[fitness > 0].min())


@dataclass(frozen=True)
class Operators:
    """What makes the next generation.

    Attributes:
        fitness: fitness of the measured candidates, above 0, from their scores.
        mutation_rate: probability that a gene mutates.
        mutation_size: standard deviation of a mutation, in that of the prior.
        heritability: probability that a gene comes from the first parent.
        elites: number of the best codes that go on unchanged.
        different: whether the two parents of a child are different.
    """

    fitness: Fitness
    mutation_rate: float
    mutation_size: float
    heritability: float
    elites: int
    different: bool = False


class GeneticSearch(OneSearch):
    """A search by genetic algorithm, whose random numbers are drawn in the order of XDREAM."""

    kept = ("population",)

    def __init__(self, search: Search, index: int, size: int, operators: Operators) -> None:
        super().__init__(search, index)
        self.operators = operators
        if len(self.starts):
            given = self.prior.within(self.starts[:size])
            filling = self.children(given, np.ones(len(given)), size - len(given))
            self.population = np.concatenate([given, filling])
        else:
            self.population = self.prior.draw(size, self.random)

    def ask(self) -> Float[np.ndarray, "candidates genes"]:
        """Return the population."""
        return self.population

    def tell(self, scores: Float[np.ndarray, " candidates"]) -> None:
        """Replace the population: elites, children, and at the end codes without a score."""
        measured = ~np.isnan(scores)
        if not measured.any():
            return
        carried, scores = self.population[~measured], scores[measured]
        order = np.argsort(-scores, kind="stable")
        parents = self.population[np.flatnonzero(measured)[order]]
        fitness = self.operators.fitness(scores)[order]
        elites = parents[: self.operators.elites]
        children = self.children(parents, fitness, len(parents) - len(elites))
        self.population = np.concatenate([elites, children, carried])

    def children(
        self,
        parents: Float[np.ndarray, "parents genes"],
        fitness: Float[np.ndarray, " parents"],
        count: int,
    ) -> Float[np.ndarray, "count genes"]:
        """Return mutated children of parents drawn by fitness."""
        shape = (count, self.prior.genes)
        first, second = self.parents(fitness, count)
        from_first = self.random.random_sample(shape) < self.operators.heritability
        children = np.where(from_first, parents[first], parents[second])
        mutates = self.random.random_sample(shape) < self.operators.mutation_rate
        children += self.mutations(mutates)
        return self.prior.within(children)

    def parents(
        self, fitness: Float[np.ndarray, " parents"], count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of the first and second parents of children, drawn by fitness."""
        first = np.digitize(self.random.random_sample(count), cumulative(fitness))
        drawn = self.random.random_sample(count)
        if not self.operators.different or len(fitness) == 1:
            return first, np.digitize(drawn, cumulative(fitness))
        others = np.tile(fitness, (count, 1))
        others[np.arange(count), first] = 0
        return first, (cumulative(others) <= drawn[:, None]).sum(1)

    def mutations(
        self, mutates: Bool[np.ndarray, "count genes"]
    ) -> Float[np.ndarray, "count genes"]:
        """Return what is added to genes: a random number to each that mutates, 0 to others."""
        added = np.zeros(mutates.shape)
        number = np.count_nonzero(mutates)
        added[mutates] = self.random.normal(0, self.operators.mutation_size, number)
        added *= self.prior.std
        return added


def cumulative(fitness: Float[np.ndarray, "*some parents"]) -> Float[np.ndarray, "*some parents"]:
    """Return the cumulative shares of fitness, of which the last is 1."""
    sums = np.cumsum(fitness, -1)
    return sums / sums[..., -1:]


def _searcher(population: int, operators: Operators) -> Searcher:
    return side_by_side(
        population, lambda search, index: GeneticSearch(search, index, population, operators)
    )


def _check(name: str, population: int, rate: float, size: float, elites: int) -> None:
    """Raise an error if a setting that all of them share is out of its range."""
    check_count(f"{name}.population", population, 2, 20)
    check_share(f"{name}.mutation_rate", rate)
    check_positive(f"{name}.mutation_size", size, 0.5)
    check_below(f"{name}.elites", elites, population)
