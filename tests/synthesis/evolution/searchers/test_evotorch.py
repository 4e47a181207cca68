"""Searches of EvoTorch: its random numbers, its results, and candidates without scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.random import RandomState

from pipeline.synthesis.evolution.searchers import cem, pgpe
from tests.synthesis.evolution.searchers.toys import (
    begin,
    evolved,
    minus_mean_square,
    minus_square,
    needs_evotorch,
)

pytestmark = needs_evotorch


@pytest.mark.parametrize("kind", [cem, pgpe])
def test_torchs_random_numbers_neither_matter_nor_change(kind):
    searches = [begin(kind()), begin(kind())]
    torch.default_generator.manual_seed(3)
    before = torch.random.get_rng_state()
    first = evolved(searches[0], 4, minus_square)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.default_generator.manual_seed(4)
    np.testing.assert_array_equal(evolved(searches[1], 4, minus_square), first)


@pytest.mark.parametrize("kind", [cem, pgpe])
def test_it_comes_as_far_as_was_measured_before(kind):
    """On quadratic functions of 128 genes, 2,500 queries: CEM -.094, PGPE -.177."""
    targets = RandomState(99).standard_normal((4, 128))
    found = evolved(begin(kind(), range(4), 128, 62), 62, minus_mean_square(targets))
    expected = {cem: -0.097, pgpe: -0.172}[kind]
    assert abs(found.max((0, 2)).mean() - expected) < 0.03


def test_cem_takes_mean_and_deviation_of_the_better_half_that_was_measured():
    search = begin(cem(population=8, largest_change=100.0), genes=2)
    codes = search.ask()[0]
    scores = np.arange(8.0)
    scores[[6, 7]] = np.nan
    search.tell(scores[None])
    parents = codes[3:6]
    np.testing.assert_allclose(search.searches[0].mean, parents.mean(0))
    np.testing.assert_allclose(search.searches[0].std, parents.std(0, ddof=1))


def test_pgpe_moves_by_the_learning_rate_along_the_pairs_that_were_measured():
    search = begin(pgpe(population=6, learning_rate=0.01), genes=4)
    codes = search.ask()[0]
    np.testing.assert_allclose(codes[::2], -codes[1::2])
    search.tell(np.array([[2.0, 1.0, np.nan, 9.0, 9.0, np.nan]]))
    direction = codes[0] / np.linalg.norm(codes[0])
    np.testing.assert_allclose(search.searches[0].mean, 0.01 * 2 * direction)
