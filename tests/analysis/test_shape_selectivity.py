from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.analysis.shape_selectivity import (
    kurtosis,
    positions_inside,
    sparseness,
    translation_invariance,
)
from pipeline.errors import ConfigError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_kurtosis_agrees_with_scipy_and_with_its_limits(rng: np.random.Generator):
    responses = rng.exponential(size=(4, 362)).astype(np.float32)
    expected = stats.kurtosis(responses.astype(float), axis=1, fisher=False)
    np.testing.assert_allclose(kurtosis(responses), expected, rtol=1e-9)
    assert kurtosis(rng.normal(size=(1, 200000)))[0] == pytest.approx(3, abs=0.05)
    assert kurtosis(np.eye(362)[:1])[0] == pytest.approx(360, abs=1)


def test_kurtosis_of_the_reference(reference_data: Path):
    oracle = np.load(reference_data / "oracles" / "shapes_apc.npz")
    expected = oracle["conv2_kurtosis"][oracle["conv2_units"]]
    np.testing.assert_allclose(kurtosis(oracle["conv2_responses"]), expected, rtol=1e-5)


@given(st.floats(1e-3, 1e3), st.floats(-10, 10), st.integers(0, 5))
def test_kurtosis_does_not_change_with_gain_and_offset(gain: float, offset: float, seed: int):
    responses = np.random.default_rng(seed).normal(size=(1, 30))
    np.testing.assert_allclose(kurtosis(gain * responses + offset), kurtosis(responses), rtol=1e-6)


def test_sparseness_by_hand():
    # Two of four stimuli alike: (1 - (1/2)^2 / (1/2)) / (1 - 1/4) = 2/3.
    responses = np.array([[3.0, 3.0, 0.0, 0.0], [0.0, 0.0, 0.0, 7.0], [2.0, 2.0, 2.0, 2.0]])
    np.testing.assert_allclose(sparseness(responses), [2 / 3, 1, 0], atol=1e-12)
    np.testing.assert_allclose(sparseness(1e-200 * responses), [2 / 3, 1, 0], atol=1e-12)


def test_what_does_not_vary_or_is_not_finite_is_undefined(rng: np.random.Generator):
    responses = np.stack([np.full(9, 0.1), np.zeros(9), np.append(np.nan, rng.normal(size=8))])
    assert np.isnan(kurtosis(responses)).all()
    assert np.isnan(sparseness(responses)).tolist() == [False, True, True]
    positions = np.repeat(responses[:, None], 4, axis=1)
    assert np.isnan(translation_invariance(positions)).all()


def test_invariance_agrees_with_the_sums_over_pairs(rng: np.random.Generator):
    responses = rng.normal(size=(3, 5, 30)) + rng.normal(size=(3, 1, 30))
    expected = []
    for unit in responses:
        pairs = [(i, j) for j in range(5) for i in range(j)]
        cov = sum(np.cov(unit[i], unit[j], ddof=0)[0, 1] for i, j in pairs)
        expected.append(cov / sum(unit[i].std() * unit[j].std() for i, j in pairs))
    np.testing.assert_allclose(translation_invariance(responses), expected, atol=1e-12)


@given(st.lists(st.floats(0.01, 100), min_size=3, max_size=6), st.floats(-100, 100))
def test_a_positive_gain_at_each_position_is_invariant(gains: list[float], offset: float):
    tuned = np.random.default_rng(0).normal(size=20)
    responses = np.array(gains)[:, None] * tuned + offset
    np.testing.assert_allclose(translation_invariance(responses[None]), 1, atol=1e-9)


def test_independent_and_flipped_responses(rng: np.random.Generator):
    independent = rng.normal(size=(1, 10, 20000))
    assert translation_invariance(independent)[0] == pytest.approx(0, abs=0.01)
    tuned = rng.normal(size=(1, 1, 50)) * np.array([1.0, 1.0, 1.0, -1.0])[:, None]
    # Of six pairs three agree and three are opposite.
    assert translation_invariance(tuned)[0] == pytest.approx(0, abs=1e-12)
    assert translation_invariance(tuned[:, 1:])[0] == pytest.approx(-1 / 3)


def test_only_positions_inside_count(rng: np.random.Generator):
    tuned = rng.normal(size=(1, 1, 40))
    responses = np.concatenate([tuned, tuned, rng.normal(size=(1, 3, 40)), tuned], axis=1)
    inside = np.array([[True, True, False, False, False, True]])
    assert translation_invariance(responses, inside)[0] == pytest.approx(1)
    assert translation_invariance(responses)[0] < 0.9
    inside[0, 0] = False
    assert np.isnan(translation_invariance(responses, inside)[0])  # two positions are too few


def test_positions_inside_a_field():
    # As AlexNet's conv2 and stimuli of 32 pixels: a response from -41 to 41 leaves -8 to 8.
    positions = np.arange(-50.0, 51.0, 2.0)
    strength = np.where(np.abs(positions) <= 41, 1.0, 0.0)
    responses = strength[None, :, None] * np.array([1.0, 0.0, -2.0]) + 0.3
    inside = positions_inside(responses, positions, 32.0, blank=np.array([0.3]))
    np.testing.assert_array_equal(positions[inside[0]], np.arange(-8.0, 9.0, 2.0))
    # Without the blank there is a response everywhere, and the ends count as silent. These are the
    # 17 positions at which AlexNet's conv3, whose field is wider, has a median invariance of .637.
    everywhere = positions_inside(responses, positions, 32.0)
    np.testing.assert_array_equal(positions[everywhere[0]], np.arange(-16.0, 17.0, 2.0))


def test_what_rounding_leaves_of_a_blank_is_no_response():
    responses = np.full((1, 5, 3), 1000.0)
    responses[0, 2] += [1.0, 2.0, 3.0]
    responses[0, 0] += 1e-10
    inside = positions_inside(responses, np.arange(5.0), 0.5, blank=np.array([1000.0]))
    assert inside[0].tolist() == [False, False, True, False, False]
    responses[0, 3] += 1e-3
    for kind, share, found in (
        (np.float32, None, False),
        (np.float32, 1e-8, True),
        (np.float64, None, True),
        (np.float64, 1e-5, False),
    ):
        inside = positions_inside(
            responses.astype(kind), np.arange(5.0), 0.5, np.array([1000.0]), share
        )
        assert bool(inside[0, 3]) == found


def test_positions_out_of_order():
    with pytest.raises(ConfigError, match=r"^positions: they must be in ascending order$"):
        positions_inside(np.zeros((1, 2, 1)), np.array([1.0, 0.0]), 1.0)
