"""Cholesky CMA-ES: an evolution strategy that adapts its step size and, slowly, its covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pipeline.synthesis.evolution.searchers.batch import OneSearch, side_by_side
from pipeline.synthesis.evolution.searchers.recombination import (
    best,
    norm,
    rank_weights,
    weighted_mean,
)
from pipeline.synthesis.evolution.searchers.searcher import Search, Searcher
from pipeline.synthesis.evolution.searchers.settings import check_count, check_positive


def cholesky_cma(population: int = 40, sigma: float = 3.0, update_every: int = 11) -> Searcher:
    """Cholesky CMA-ES: candidates are mean + step size * A z, with z standard normal.

    The mean moves to the weighted mean of the better half of the candidates, the step size follows
    the length of the path of the mean, and the factor A of the covariance is stretched along this
    path every few generations. With thousands of genes, A hardly leaves the identity, and the
    method is an isotropic search that controls its step size. A is kept as the product of its
    updates, so that no matrix of genes x genes is needed.

    It works with standardized codes, in which the prior has mean 0 and standard deviation 1, and
    starts from 0, the prior's mean, or from the mean of the start codes. Candidates are cut to the
    prior's bounds, and the search learns from the codes as they were shown: cut steps are shorter,
    without which the step size would grow for ever at a bound. Every generation has
    ``population`` candidates, and the first is drawn about the start; the source shows the start
    alone there. With candidates that were not measured, the mean is that of the best of the
    others; without any score, nothing changes.

    Source: Suttorp, Hansen and Igel 2009, "Efficient covariance matrix update for variable metric
    evolution strategies" (A and its inverse); Wang and Ponce 2022, "High-performance evolutionary
    algorithms for online neuron control"; Animadversio/ActMax-Optimizer-Dev, CholeskyCMAES.
    The last says that A is updated every 10 generations, which in effect is every 11th.

    Args:
        population: candidates in a generation, 2 or more.
        sigma: step size at the start, in standard deviations of the prior, above 0.
        update_every: generations from one update of A to the next, 1 or more.

    Raises:
        ConfigError: a setting is out of its range.

    Example:
        >>> cholesky_cma(sigma=1.0).population
        40
    """
    check_count("cholesky_cma.population", population, 2, 40)
    check_positive("cholesky_cma.sigma", sigma, 3.0)
    check_count("cholesky_cma.update_every", update_every, 1, 11)

    def begin(search: Search, index: int) -> CholeskySearch:
        return CholeskySearch(search, index, population, sigma, update_every)

    return side_by_side(population, begin)


class CholeskySearch(OneSearch):
    """A search by Cholesky CMA-ES, in standardized codes.

    Attributes:
        path: path of the mean, along which A is stretched.
        sigma_path: path of the mean in the space of z, which controls the step size.
        vectors: vectors of the factor A, of which ``updates`` are in use.
        updated: generation of the last update of A.
    """

    kept = ("generation", "mean", "sigma", "path", "sigma_path", "vectors", "updates", "updated")

    def __init__(
        self, search: Search, index: int, population: int, sigma: float, update_every: int
    ) -> None:
        super().__init__(search, index)
        genes = self.prior.genes
        self.population, self.update_every = population, update_every
        self.weights = rank_weights(population // 2)
        # Constants of the source: mass of the weights, rates of both paths and of A, damping.
        mass = 1 / np.square(self.weights).sum()
        self.mass = mass
        self.sigma_rate = np.sqrt(mass) / (np.sqrt(mass) + np.sqrt(genes))
        self.path_rate = 4 / (genes + 4)
        self.factor_rate = 2 / (genes + np.sqrt(2)) ** 2
        self.damping = 1 + self.sigma_rate + 2 * max(0, np.sqrt((mass - 1) / (genes + 1)) - 1)
        # Expected length of a standard normal vector.
        self.length = np.sqrt(genes) * (1 - 1 / (4 * genes) + 1 / (21 * genes**2))

        self.generation, self.updates, self.updated = 0, 0, 0
        self.mean, self.sigma = self.center(), sigma
        self.path, self.sigma_path = np.zeros(genes), np.zeros(genes)
        self.vectors = np.zeros((3, search.generations // update_every, genes))

    @property
    def factor(self) -> Factor:
        """The factor A of the covariance."""
        return Factor(self.factor_rate, *self.vectors[:, : self.updates])

    def ask(self) -> Float[np.ndarray, "candidates genes"]:
        """Draw candidates about the mean."""
        self.normals = self.random.standard_normal((self.population, self.prior.genes))
        drawn = self.mean + self.sigma * self.factor.times(self.normals)
        self.shown = self.cut(drawn)
        if (cut := self.shown - drawn).any():
            self.normals += self.factor.solved(cut / self.sigma)
        return self.codes(self.shown)

    def tell(self, scores: Float[np.ndarray, " candidates"]) -> None:
        """Move the mean, then adapt the step size, and A when its time has come."""
        self.generation += 1
        chosen = best(scores, len(self.weights))
        if not len(chosen):
            return
        self.mean = weighted_mean(self.shown[chosen], self.weights)
        step = weighted_mean(self.normals[chosen], self.weights)
        self.sigma_path = self.followed(self.sigma_path, step, self.sigma_rate)
        self.path = self.followed(self.path, self.factor.times(step[None])[0], self.path_rate)
        excess = norm(self.sigma_path)[0] / self.length - 1
        self.sigma = self.sigma * np.exp(self.sigma_rate / self.damping * excess)
        if self.generation - self.updated >= self.update_every:
            self.vectors[:, : self.updates + 1] = self.factor.stretched(self.path)
            self.updates, self.updated = self.updates + 1, self.generation

    def followed(
        self, path: Float[np.ndarray, " genes"], step: Float[np.ndarray, " genes"], rate: float
    ) -> Float[np.ndarray, " genes"]:
        """Return a path that fades by its rate and follows a step of the mean."""
        return (1 - rate) * path + np.sqrt(rate * (2 - rate) * self.mass) * step


@dataclass(frozen=True)
class Factor:
    """The factor A of a covariance A^T A: the identity after updates of rank one.

    A = scale * I + directions^T stretches, and 1 / scale * I + contractions^T directions is its
    inverse, where scale = sqrt(1 - rate) to the power of the number of updates.

    Attributes:
        rate: share of an update in the covariance.
        directions: path times the inverse of A, at each update.
        stretches: what multiplies them in A.
        contractions: what multiplies them in the inverse.
    """

    rate: float
    directions: Float[np.ndarray, "updates genes"]
    stretches: Float[np.ndarray, "updates genes"]
    contractions: Float[np.ndarray, "updates genes"]

    def times(self, rows: Float[np.ndarray, "rows genes"]) -> Float[np.ndarray, "rows genes"]:
        """Return rows times A."""
        along = np.einsum("rg,ug->ru", rows, self.directions)
        return self.scale * rows + np.einsum("ru,ug->rg", along, self.stretches)

    def solved(self, rows: Float[np.ndarray, "rows genes"]) -> Float[np.ndarray, "rows genes"]:
        """Return rows times the inverse of A."""
        along = np.einsum("rg,ug->ru", rows, self.contractions)
        return rows / self.scale + np.einsum("ru,ug->rg", along, self.directions)

    @property
    def scale(self) -> float:
        """Factor of the identity in A."""
        return (1 - self.rate) ** (len(self.directions) / 2)

    def stretched(self, path: Float[np.ndarray, " genes"]) -> Float[np.ndarray, "3 updated genes"]:
        """Return the vectors after an update along a path."""
        shrink = np.sqrt(1 - self.rate)
        direction = self.solved(path[None])[0]
        back = direction / self.scale + np.einsum(
            "u,ug->g", np.einsum("ug,g->u", self.directions, direction), self.contractions
        )
        # With the square s of the direction, longer = sqrt(1 + s * odds), and (longer - 1) / s is
        # written so that s may be 0.
        odds = self.rate / (1 - self.rate)
        longer = np.sqrt(1 + np.square(direction).sum() * odds)
        share = odds / (longer + 1)
        stretch, contraction = shrink * share * path, -share / longer / shrink * back
        return np.stack(
            [
                np.vstack([self.directions, direction]),
                np.vstack([shrink * self.stretches, stretch]),
                np.vstack([self.contractions / shrink, contraction]),
            ]
        )
