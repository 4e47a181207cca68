"""Finite differences and NES: steps by hand, and the gradient that they estimate."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import RandomState

from pipeline.synthesis.evolution.searchers import finite_differences, nes
from tests.synthesis.evolution.searchers.toys import begin, evolved, minus_mean_square, prior

KINDS = {"finite_differences": finite_differences, "nes": nes}
both = pytest.mark.parametrize("name", KINDS)


def moved(name: str, scores: np.ndarray, **settings) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps of the first generation, and by how much the center moves after scores."""
    kind = KINDS[name](population=len(scores), **settings)
    search = begin(kind, genes=3)
    codes = search.ask()[0]
    pairs = len(codes) // 2
    np.testing.assert_array_equal(codes[:pairs], -codes[pairs:])
    search.tell(scores[None])
    return codes[:pairs], search.searches[0].center_code


def test_one_finite_difference():
    """Steps as drawn: s = r z, gradient = s (f+ - f-) / 2 / mean(|s|)^2."""
    steps, found = moved(
        "finite_differences", np.array([5.0, 1.0]), standardize=False, learning_rate=0.5, radius=2.0
    )
    z = RandomState(0).standard_normal(3)
    np.testing.assert_array_equal(steps[0], 2 * z)
    np.testing.assert_allclose(found, 0.5 * 2 * 2 * z / np.mean(np.abs(2 * z)) ** 2)


def test_one_step_of_nes():
    """Mean of score * z / radius over both candidates of each pair."""
    scores = np.array([5.0, 2.0, 1.0, 3.0])
    _, found = moved("nes", scores, standardize=False, learning_rate=0.5, radius=2.0)
    z = RandomState(0).standard_normal((2, 3))
    normals = np.concatenate([z, -z])
    np.testing.assert_allclose(found, 0.5 * (scores[:, None] * normals).mean(0) / 2)


@both
def test_standardized_scores_have_no_scale(name: str):
    scores = np.array([5.0, 2.0, 1.0, 3.0])
    _, found = moved(name, scores)
    _, scaled = moved(name, 1e6 * scores - 7)
    np.testing.assert_allclose(scaled, found, rtol=1e-9)
    _, raw = moved(name, scores / scores.std(), standardize=False)
    np.testing.assert_allclose(raw, found)


@both
def test_a_pair_counts_if_both_were_measured(name: str):
    settings = {"standardize": False}
    scores = np.array([5.0, np.nan, 1.0, 1.0, 3.0, np.nan])
    _, found = moved(name, scores, **settings)
    _, alone = moved(name, np.array([5.0, 1.0]), **settings)  # with the same first step
    np.testing.assert_allclose(found, alone)


@both
def test_the_gradient_of_a_linear_function_is_found(name: str):
    """NES has it on average; for finite differences, it is over the mean of |z|, squared."""
    slope = np.array([1.0, -2.0, 0.5] * 20)
    kind = KINDS[name](population=10_000, standardize=False, learning_rate=1.0, radius=0.5)
    search = begin(kind, genes=60)
    search.tell(search.ask() @ slope)
    found = search.searches[0].center_code
    factor = {"nes": 1.0, "finite_differences": np.pi / 2}[name]
    assert found @ slope / (slope @ slope) == pytest.approx(factor, abs=0.05 * factor)
    assert np.corrcoef(found, slope)[0, 1] > 0.98


@both
def test_the_center_stays_within_the_bounds(name: str):
    search = begin(KINDS[name](), codes=prior(5, low=-1.0, high=0.5), generations=60)
    evolved(search, 60, lambda codes: codes.sum(-1))
    np.testing.assert_array_equal(search.searches[0].center_code, np.full(5, 0.5))


@both
def test_it_ascends_quadratic_functions(name: str):
    """Of -1 at the start, what is left is mostly the width of the candidates, .25 on average."""
    targets = RandomState(99).standard_normal((8, 128))
    search = begin(KINDS[name](), range(8), 128, 62)
    found = evolved(search, 62, minus_mean_square(targets)).max((0, 2)).mean()
    assert found > -0.25
