"""The spherical search: geometry by hand, a plain version, and what it is known to reach."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import RandomState

from pipeline.synthesis.evolution.searchers import spherical
from pipeline.synthesis.evolution.searchers.spherical import slerp
from tests.synthesis.evolution.searchers.toys import (
    begin,
    cosine,
    evolved,
    minus_mean_square,
    minus_square,
    prior,
)


def test_points_on_a_great_circle():
    x, y = np.array([2.0, 0.0]), np.array([0.0, 2.0])
    for share in (0.0, 0.5, 1.0, 1.5):
        turn = share * np.pi / 2
        expected = [2 * np.cos(turn), 2 * np.sin(turn)]
        np.testing.assert_allclose(slerp(x, y, share), expected, atol=1e-12)
    np.testing.assert_array_equal(slerp(x, x, 1.5), x)


def test_every_code_is_on_the_sphere_about_the_priors_mean():
    search = begin(spherical(radius=2.0), codes=prior(9, mean=5.0, std=0.5), generations=5)
    for _ in range(5):
        codes = search.ask()
        np.testing.assert_allclose(np.linalg.norm((codes - 5) / 0.5, axis=-1), 2 * 3)
        search.tell(minus_square(codes))


def test_candidates_are_at_the_scheduled_angles():
    """Log-spaced from 50 to 7.33 degrees; a tangent of n - 1 normals has length sqrt(n - 1)."""
    search = begin(spherical(), genes=4000, generations=7)
    for generation in range(7):
        codes = search.ask()[0]
        if generation:
            base = search.searches[0].base
            inner = codes @ base / np.linalg.norm(codes, axis=1) / np.linalg.norm(base)
            expected = 50 * (7.33 / 50) ** ((generation - 1) / 6)
            assert abs(np.rad2deg(np.arccos(inner)).mean() - expected) < 0.02 * expected
        search.tell(minus_square(codes)[None])


class PlainSphere:
    """The search as published, with its 41st code, which is shown but does not count."""

    def __init__(self, genes: int, generations: int, random: RandomState) -> None:
        self.radius, self.random, self.generation = 1.5 * np.sqrt(genes), random, -1
        degrees = np.logspace(np.log10(50), np.log10(7.33), generations)
        self.angles = degrees / 180 * np.pi / np.sqrt(genes)
        self.weights = np.log(20.5) - np.log(np.arange(1, 21))
        self.weights /= self.weights.sum()
        codes = random.standard_normal((40, genes))
        self.codes = np.array([self.scaled(code) for code in codes])

    def scaled(self, code: np.ndarray) -> np.ndarray:
        return code / np.linalg.norm(code) * self.radius

    def step(self, scores: np.ndarray) -> None:
        """Take the scores of 40 codes, and those of 41 from then on."""
        ranked = scores if self.generation < 0 else scores[1:]
        codes = self.codes if self.generation < 0 else self.codes[1:]
        order = np.argsort(-ranked)[:20]
        mean = self.scaled(sum(w * codes[i] for w, i in zip(self.weights, order, strict=True)))
        if self.generation >= 0:
            old = self.codes[0]
            angle = np.arccos(old @ mean / self.radius**2)
            mean = (np.sin(-0.5 * angle) * old + np.sin(1.5 * angle) * mean) / np.sin(angle)
        normals = self.random.standard_normal((40, len(mean)))
        self.generation += 1
        new = [self.scaled(mean)]
        for normal in normals:
            tangent = normal - (normal @ mean) * mean / (mean @ mean)
            tangent = tangent * self.angles[self.generation]
            turn = np.linalg.norm(tangent)
            unit = mean / np.linalg.norm(mean)
            new.append(self.scaled(np.cos(turn) * unit + np.sin(turn) * tangent / turn))
        self.codes = np.array(new)


def test_generations_are_those_of_the_published_search_without_the_code_that_does_not_count():
    search, plain = begin(spherical(), (2,), 15, 20), PlainSphere(15, 20, RandomState(2))
    for generation in range(20):
        codes = search.ask()[0]
        expected = plain.codes if generation == 0 else plain.codes[1:]
        assert codes.shape == (40, 15)
        np.testing.assert_allclose(codes, expected, rtol=0, atol=1e-9)
        search.tell(minus_square(codes)[None])
        plain.step(minus_square(plain.codes))


def test_starts_are_projected_and_one_at_the_mean_is_left_out():
    starts = np.zeros((1, 2, 4))
    starts[0, 1] = [3.0, 0, 0, 0]
    codes = begin(spherical(radius=1.0), genes=4, starts=starts).ask()[0]
    np.testing.assert_allclose(codes[0], [2, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 2)


def test_it_finds_a_direction_as_well_as_was_measured_before():
    """With 200 genes and 75 generations, the base comes to a cosine of .989 +- .001."""
    targets = RandomState(5).standard_normal((12, 200))
    search = begin(spherical(), range(12), 200, 75)
    scores = evolved(search, 75, cosine(targets))
    bases = np.stack([one.base for one in search.searches])
    found = cosine(targets)(bases[:, None])[:, 0]
    assert abs(found.mean() - 0.989) < 0.0015
    assert found.std() < 0.003
    # Candidates are shown about the base, so that the best of them is a little less.
    assert 0.975 < scores.max((0, 2)).mean() < found.mean()


def test_it_comes_close_on_quadratic_functions_whose_optimum_is_on_the_sphere():
    """Measured before: -.019 with 128 genes and 2,500 queries."""
    targets = RandomState(99).standard_normal((8, 128))
    targets *= np.sqrt(128) / np.linalg.norm(targets, axis=1, keepdims=True)
    search = begin(spherical(radius=1.0), range(8), 128, 62)
    found = evolved(search, 62, minus_mean_square(targets)).max((0, 2)).mean()
    assert -0.03 < found < -0.015


def test_bounds_cut_what_is_shown_but_not_where_the_search_is():
    search = begin(spherical(), codes=prior(20, low=-0.5, high=0.5), generations=6)
    evolved(search, 6, lambda codes: codes.sum(-1))
    assert np.linalg.norm(search.searches[0].base) == pytest.approx(1.5 * np.sqrt(20))
