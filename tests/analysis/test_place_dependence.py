"""Whether responses depend on place: chance, and what is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import f_oneway, kstest, rankdata

from pipeline.analysis.place_dependence import place_p_values

PLACES = np.arange(600) % 20
LOOKS = (np.arange(600) // 20) % 2


def noise(units: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(units, 600))


def test_means_of_one_look_are_those_of_scipy_on_ranks():
    shifted = noise(3) + 0.3 * np.sin(PLACES)
    found = place_p_values(shifted, np.zeros(600, dtype=int), PLACES)
    for p, unit in zip(found, shifted, strict=True):
        ranks = rankdata(np.round(unit / np.abs(unit).max(), 6))
        assert p == pytest.approx(2 * f_oneway(*(ranks[k == PLACES] for k in range(20))).pvalue)


@pytest.mark.parametrize("shape", [lambda x: x, np.exp, lambda x: np.abs(x) ** 3])
def test_chance_is_even_whatever_the_distribution(shape):
    p = place_p_values(shape(noise(400)), LOOKS, PLACES)
    # Twice the smaller of two independent probabilities, at most 1.
    assert kstest(p[p < 1], lambda x: (x - x**2 / 4) / 0.75).pvalue > 0.001


def test_opposite_responses_to_opposite_looks_depend_on_place():
    field = np.where(PLACES == 3, 2.0, 0.0) * (1 - 2 * LOOKS)
    spread = noise(1) * np.where(PLACES == 3, 4.0, 1.0)
    assert (place_p_values(np.concatenate([noise(1) + field, spread]), LOOKS, PLACES) < 1e-3).all()


def test_looks_alone_and_constants_do_not():
    units = np.stack([LOOKS * 5.0, np.full(600, 3.0)])
    assert place_p_values(units, LOOKS, PLACES).tolist() == [1.0, 1.0]


def test_one_stimulus_at_a_place_tells_nothing():
    assert np.isnan(place_p_values(noise(2)[:, :20], np.zeros(20, dtype=int), np.arange(20))).all()


@settings(max_examples=20)
@given(st.floats(1e-3, 1e3), st.floats(-10, 10), st.integers(0, 99))
def test_scale_offset_and_order_of_stimuli_do_not_matter(gain: float, offset: float, seed: int):
    unit = noise(1) + np.sin(PLACES)
    order = np.random.default_rng(seed).permutation(600)
    changed = (gain * (unit + offset))[:, order]
    found = place_p_values(changed, LOOKS[order], PLACES[order])
    assert found == pytest.approx(place_p_values(unit, LOOKS, PLACES), rel=1e-2)
