"""What holds of every searcher: batches, resuming, bounds, scores that are missing, scales."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from tests.synthesis.evolution.searchers.toys import (
    EVOTORCH,
    NAMES,
    begin,
    evolved,
    minus_square,
    prior,
    searcher,
)

every = pytest.mark.parametrize("name", [*NAMES, *EVOTORCH])


@every
def test_a_search_is_the_same_alone_and_in_any_batch(name: str):
    many = begin(searcher(name), seeds=(3, 5, 7), genes=33)
    alone = begin(searcher(name), seeds=(5,), genes=33)
    for _ in range(13):
        codes = many.ask()
        assert codes.dtype == float
        assert codes.shape == (3, searcher(name).population, 33)
        np.testing.assert_array_equal(alone.ask()[0], codes[1])
        many.tell(minus_square(codes))
        alone.tell(minus_square(codes)[1:2])


@every
@pytest.mark.parametrize("stop", [0, 1, 11, 12])
def test_a_search_goes_on_from_its_state_to_the_same_bits(name: str, stop: int):
    whole = begin(searcher(name), seeds=(1, 2), generations=15)
    evolved(whole, stop, minus_square)
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **whole.state())
    rest = evolved(whole, 15 - stop, minus_square)
    file.seek(0)
    resumed = begin(searcher(name), seeds=(8, 9), generations=15)
    with np.load(file, allow_pickle=False) as state:
        resumed.restore(dict(state))
    np.testing.assert_array_equal(evolved(resumed, 15 - stop, minus_square), rest)


@every
def test_a_state_does_not_change_while_the_search_goes_on(name: str):
    search = begin(searcher(name), generations=30)
    evolved(search, 11, minus_square)
    state = search.state()
    before = {key: value.copy() for key, value in state.items()}
    evolved(search, 12, minus_square)
    for key, value in before.items():
        np.testing.assert_array_equal(state[key], value)


@every
def test_candidates_are_within_the_bounds_and_reach_them(name: str):
    codes = prior(8, mean=0.4, std=0.25, low=0.0, high=1.0)
    search = begin(searcher(name), codes=codes, generations=40)
    for _ in range(40):
        shown = search.ask()
        assert shown.min() >= 0
        assert shown.max() <= 1
        search.tell(shown.sum(-1))
    if name != "random":
        assert shown.mean() > 0.7


@every
def test_nothing_is_learned_from_a_generation_without_scores(name: str):
    def missing(codes: np.ndarray) -> np.ndarray:
        return np.full(codes.shape[:2], np.nan)

    search = begin(searcher(name), generations=30)
    evolved(search, 5, minus_square)
    before = search.state()
    evolved(search, 2, missing)
    counters = {"generation"} | {key for key in before if key.startswith("random_")}
    for key, value in search.state().items():
        if key not in counters:
            np.testing.assert_array_equal(value, before[key])
    # The search still works, also if nothing is measured at first.
    fresh = begin(searcher(name), generations=30)
    evolved(fresh, 1, missing)
    scores = evolved(fresh, 29, minus_square)
    if name != "random":
        assert scores[-1].mean() > scores[0].mean()


@every
def test_the_value_of_a_candidate_that_was_not_measured_does_not_matter(name: str):
    """A search with infinite scores goes the way of one with NaN in their place."""

    def some(fill: float):
        def score(codes: np.ndarray) -> np.ndarray:
            scores = minus_square(codes)
            scores[:, ::3] = fill
            return scores

        return score

    searches = [begin(searcher(name), generations=20) for _ in range(2)]
    for search, fill in zip(searches, (np.nan, np.inf), strict=True):
        scores = evolved(search, 20, some(fill))[:, :, 1::3]
        assert np.isfinite(scores).all()
    np.testing.assert_array_equal(searches[0].ask(), searches[1].ask())


@every
def test_settings_are_on_the_scale_of_the_prior(name: str):
    """Shifted and scaled codes are searched as standard ones are, up to rounding."""
    standard = begin(searcher(name), genes=6)
    other = begin(searcher(name), codes=prior(6, mean=-3.0, std=0.125))
    expected = evolved(standard, 12, minus_square)
    found = evolved(other, 12, lambda codes: minus_square((codes + 3) / 0.125))
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@every
def test_scores_in_single_precision_and_equal_scores_are_allowed(name: str):
    search = begin(searcher(name))
    evolved(search, 6, lambda codes: np.zeros(codes.shape[:2], np.float32))
    assert np.isfinite(search.ask()).all()


@every
def test_one_gene_can_be_searched(name: str):
    scores = evolved(begin(searcher(name), genes=1, generations=20), 20, minus_square)
    assert np.isfinite(scores).all()


@every
def test_there_is_one_score_for_every_candidate(name: str):
    search = begin(searcher(name))
    shape = search.ask().shape[:2]
    message = (
        f"scores of shape (1, {shape[1] - 1}) do not fit the {shape} candidates (searches,"
        " candidates) last asked for"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        search.tell(np.zeros((1, shape[1] - 1)))


@every
def test_starts_are_where_a_search_begins(name: str):
    """From starts far away, the first candidates are nearer to them than those of the prior."""
    far = np.full((1, 3, 10), 30.0) + np.arange(3)[:, None]
    search = begin(searcher(name), starts=far)
    codes = search.ask()[0]
    if name == "spherical":
        expected = far[0] * (1.5 * np.sqrt(10) / np.linalg.norm(far[0], axis=1, keepdims=True))
        np.testing.assert_allclose(codes[:3], expected)
    elif name in ("random", "genetic", "genetic_wang_ponce", "genetic_pxdream"):
        np.testing.assert_array_equal(codes[:3], far[0])
    else:
        assert abs(codes.mean() - 31) < 2
