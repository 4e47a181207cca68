"""Random search: the prior, and nothing else."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState

from pipeline.synthesis.evolution.searchers import random
from tests.synthesis.evolution.searchers.toys import begin, evolved, minus_square, prior


def test_candidates_are_draws_from_the_prior_whatever_the_scores():
    codes = prior(6, mean=2.0, std=3.0, low=0.0)
    search, other = begin(random(5), (1,), codes=codes), begin(random(5), (1,), codes=codes)
    evolved(search, 3, minus_square)
    evolved(other, 3, lambda shown: -minus_square(shown))
    expected = np.clip(2 + 3 * RandomState(1).standard_normal((20, 6)), 0, None)[15:]
    np.testing.assert_array_equal(search.ask()[0], expected)
    np.testing.assert_array_equal(other.ask()[0], expected)


def test_starts_are_shown_first_over_several_generations():
    starts = np.arange(14.0).reshape(1, 7, 2)
    search = begin(random(4), genes=2, starts=starts)
    shown = []
    for _ in range(3):
        shown.append(search.ask()[0])
        search.tell(np.zeros((1, 4)))
    np.testing.assert_array_equal(np.concatenate(shown)[:7], starts[0])
    assert not np.isin(np.concatenate(shown)[7:], starts).any()
