"""Cholesky CMA-ES: beside a plain version with whole matrices, and beside pycma."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import RandomState

from pipeline.synthesis.evolution.searchers import cholesky_cma
from pipeline.synthesis.evolution.searchers.cholesky_cma import Factor
from pipeline.synthesis.evolution.searchers.recombination import best, rank_weights
from tests.synthesis.evolution.searchers.toys import begin, evolved, minus_mean_square, prior


def test_weights_fall_with_the_rank():
    """ln(2.5) - ln(1), ln(2.5) - ln(2), normalized."""
    expected = np.array([np.log(2.5), np.log(1.25)])
    np.testing.assert_allclose(rank_weights(2), expected / expected.sum())
    assert rank_weights(1).tolist() == [1]


def test_the_best_are_those_measured_in_order():
    assert best(np.array([1.0, np.nan, 3.0, 3.0, 2.0]), 3).tolist() == [2, 3, 4]
    assert best(np.array([np.nan, 1.0, np.nan]), 2).tolist() == [1]


class PlainCma:
    """The method as published, with the matrices A and its inverse in full."""

    def __init__(self, genes: int, random: RandomState) -> None:
        self.n, self.random = genes, random
        self.weights = np.array([np.log(20.5) - np.log(i) for i in range(1, 21)])
        self.weights /= self.weights.sum()
        self.mass = 1 / (self.weights**2).sum()
        self.cs = np.sqrt(self.mass) / (np.sqrt(self.mass) + np.sqrt(genes))
        self.cc, self.c1 = 4 / (genes + 4), 2 / (genes + np.sqrt(2)) ** 2
        self.damping = 1 + self.cs + 2 * max(0, np.sqrt((self.mass - 1) / (genes + 1)) - 1)
        self.chi = np.sqrt(genes) * (1 - 1 / (4 * genes) + 1 / (21 * genes**2))
        self.mean, self.sigma = np.zeros(genes), 3.0
        self.ps, self.pc = np.zeros(genes), np.zeros(genes)
        self.A, self.inverse = np.eye(genes), np.eye(genes)
        self.queries = self.updated_at = 0
        self.updates: list[int] = []

    def ask(self) -> np.ndarray:
        self.z = self.random.standard_normal((40, self.n))
        self.queries += 40
        return self.mean + self.sigma * self.z @ self.A

    def tell(self, codes: np.ndarray, scores: np.ndarray) -> None:
        order = np.argsort(-scores)[:20]
        self.mean = self.weights @ codes[order]
        step = self.weights @ self.z[order]
        self.ps = (1 - self.cs) * self.ps + np.sqrt(self.cs * (2 - self.cs) * self.mass) * step
        along = np.sqrt(self.cc * (2 - self.cc) * self.mass) * step @ self.A
        self.pc = (1 - self.cc) * self.pc + along
        self.sigma *= np.exp(self.cs / self.damping * (np.linalg.norm(self.ps) / self.chi - 1))
        if self.queries - self.updated_at > 400:
            self.updated_at = self.queries
            self.updates.append(self.queries // 40)
            v = self.pc @ self.inverse
            square, keep = v @ v, np.sqrt(1 - self.c1)
            longer = np.sqrt(1 + square * self.c1 / (1 - self.c1))
            back = self.inverse @ v
            self.A = keep * self.A + keep / square * (longer - 1) * np.outer(v, self.pc)
            self.inverse = self.inverse / keep - (1 - 1 / longer) / (keep * square) * np.outer(
                back, v
            )


@pytest.mark.parametrize("genes", [5, 40])
def test_it_is_the_method_with_whole_matrices(genes: int):
    axes = np.linspace(1, 4, genes)
    search, plain = begin(cholesky_cma(), (3,), genes, 60), PlainCma(genes, RandomState(3))
    for _ in range(60):
        codes, expected = search.ask()[0], plain.ask()
        np.testing.assert_allclose(codes, expected, rtol=0, atol=1e-5)
        scores = -np.square((codes - 1) * axes).sum(-1)
        search.tell(scores[None])
        plain.tell(expected, scores)
    one = search.searches[0]
    assert plain.updates == [11, 22, 33, 44, 55]
    assert one.updates == 5
    assert one.updated == 55
    np.testing.assert_allclose(one.factor.times(np.eye(genes)), plain.A, atol=1e-8)
    assert abs(plain.A - np.eye(genes)).max() > 1e-3  # there was something to compare


def test_a_factor_times_its_inverse_is_the_identity():
    random, genes = RandomState(0), 12
    factor = Factor(0.05, *np.zeros((3, 0, genes)))
    for _ in range(6):
        factor = Factor(0.05, *factor.stretched(random.standard_normal(genes)))
    whole = factor.times(np.eye(genes))
    np.testing.assert_allclose(factor.solved(whole), np.eye(genes), atol=1e-12)


def test_an_update_adds_the_path_to_the_covariance():
    """C = (1 - c) C + c path^T path, where C = A^T A."""
    random, genes, rate = RandomState(1), 6, 0.1
    factor, covariance = Factor(rate, *np.zeros((3, 0, genes))), np.eye(genes)
    for _ in range(3):
        path = random.standard_normal(genes)
        factor = Factor(rate, *factor.stretched(path))
        covariance = (1 - rate) * covariance + rate * np.outer(path, path)
        whole = factor.times(np.eye(genes))
        np.testing.assert_allclose(whole.T @ whole, covariance, atol=1e-12)


def test_an_update_without_a_path_shrinks_the_covariance_alone():
    factor = Factor(0.1, *Factor(0.1, *np.zeros((3, 0, 4))).stretched(np.zeros(4)))
    np.testing.assert_allclose(factor.times(np.eye(4)), np.sqrt(0.9) * np.eye(4))


def test_the_step_size_shrinks_at_a_corner_of_the_bounds():
    """Steps that are cut must not count in full, or the step size would grow for ever."""
    search = begin(cholesky_cma(), genes=4, codes=prior(4, low=-1.0, high=1.0), generations=60)
    evolved(search, 60, lambda codes: codes.sum(-1))
    np.testing.assert_allclose(search.searches[0].mean, np.ones(4), atol=0.05)
    assert search.searches[0].sigma < 1


def test_with_thousands_of_genes_the_covariance_stays_the_identity():
    search = begin(cholesky_cma(), genes=2000, generations=24)
    evolved(search, 24, lambda codes: codes.sum(-1))
    factor = search.searches[0].factor
    assert len(factor.directions) == 2
    probes = RandomState(0).standard_normal((3, 2000))
    np.testing.assert_allclose(factor.times(probes), probes, atol=1e-3)


def test_the_mean_is_that_of_the_best_that_were_measured_as_they_were_shown():
    codes = prior(3, mean=0.5, std=0.25, low=0.0, high=1.0)
    search = begin(cholesky_cma(population=6), codes=codes)
    shown = search.ask()[0]
    search.tell(np.array([[1.0, np.nan, 5.0, np.nan, np.nan, np.nan]]))
    weights = rank_weights(3)[:2] / rank_weights(3)[:2].sum()
    expected = weights @ shown[[2, 0]]
    mean = search.searches[0].mean * 0.25 + 0.5
    np.testing.assert_allclose(mean, expected)


# Standard functions. pycma 4.5.0 with population 40, no stopping, 11 seeds: decimal logarithm of
# the best value found, median; runs of its own, since it is not installed with the
# project. CMA_on=0 is its option that switches the covariance off.


def median_log_best(function, genes: int, generations: int, start: float, sigma: float) -> float:
    search = begin(
        cholesky_cma(sigma=sigma),
        range(5),
        codes=prior(genes, mean=start),
        generations=generations,
    )
    best_scores = evolved(search, generations, lambda codes: -function(codes)).max((0, 2))
    return float(np.median(np.log10(-best_scores)))


def sphere(x: np.ndarray) -> np.ndarray:
    return np.square(x).sum(-1)


def ellipsoid(x: np.ndarray) -> np.ndarray:
    return (1e6 ** np.linspace(0, 1, x.shape[-1]) * np.square(x)).sum(-1)


def rosenbrock(x: np.ndarray) -> np.ndarray:
    bends = 100 * np.square(x[..., 1:] - np.square(x[..., :-1]))
    return (bends + np.square(1 - x[..., :-1])).sum(-1)


@pytest.mark.parametrize(
    ("genes", "generations", "with_covariance", "without"),
    [(20, 100, -2.282, -1.678), (100, 100, 0.735, 0.848)],
)
def test_on_the_sphere_it_is_at_least_as_fast_as_pycma(
    genes: int, generations: int, with_covariance: float, without: float
):
    found = median_log_best(sphere, genes, generations, 3.0, 1.0)
    assert found < min(with_covariance, without)
    assert found > with_covariance - 2.5  # and not faster than an evolution strategy can be


def test_on_an_ellipsoid_it_is_pycma_without_covariance():
    """The axes are not learned in 250 generations; pycma with covariance comes to 0.674."""
    found = median_log_best(ellipsoid, 20, 250, 3.0, 1.0)
    assert abs(found - 4.178) < 0.5


def test_in_rosenbrocks_valley_it_is_hardly_better_than_pycma_without_covariance():
    """With covariance, pycma comes to -7.719; without, to 0.724."""
    found = median_log_best(rosenbrock, 10, 250, 0.0, 0.5)
    assert 0.3 < found < 0.724


def test_it_comes_as_far_as_was_measured_before():
    """On quadratic functions of 128 genes, 2,500 queries: -.058."""
    targets = RandomState(99).standard_normal((8, 128))
    search = begin(cholesky_cma(sigma=1.0), range(8), 128, 62)
    best_scores = evolved(search, 62, minus_mean_square(targets)).max((0, 2))
    assert abs(best_scores.mean() + 0.058) < 0.012
