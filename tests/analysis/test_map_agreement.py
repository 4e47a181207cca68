from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance

from pipeline.analysis.gaussian_fit import gaussian
from pipeline.analysis.map_agreement import (
    agreement,
    earth_movers_distances,
    half_height_ious,
    map_correlations,
)
from pipeline.errors import ConfigError

MEASURES = [map_correlations, half_height_ious, earth_movers_distances]


def bump(side: int, x: float, y: float = 0.0, sigma: float = 2.0) -> np.ndarray:
    """Return a Gaussian at (x, y) from the center of a square map."""
    middle = (side - 1) / 2
    return gaussian((side, side), np.array([1.0, middle + x, middle + y, sigma, sigma, 0.0, 0.0]))


def test_correlation_is_that_of_the_blurred_maps():
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 1, 60, 60))
    blurred = [gaussian_filter(maps[0], 2.0).ravel() for maps in (one, other)]
    expected = np.corrcoef(blurred)[0, 1]
    np.testing.assert_allclose(map_correlations(one, other), expected, atol=1e-12)
    assert abs(map_correlations(one, other)[0]) > 3 * abs(map_correlations(one, other, 0.0)[0])


def test_maps_are_compared_about_their_centers():
    small, large = bump(15, 1.0), bump(21, 1.0)
    for measure in (map_correlations, half_height_ious):
        for pair in ((small, large), (large, small)):
            assert measure(*(maps[None] for maps in pair), blur=0.0)[0] == pytest.approx(1)
    assert earth_movers_distances(small[None], large[None])[0] == pytest.approx(0, abs=0.01)
    assert map_correlations(small[None], bump(21, 3.0)[None])[0] < 0.9


def test_areas_by_hand():
    # Two squares of 4 x 4 pixels that share a corner of 2 x 2: 4 / 28.
    maps = np.zeros((2, 1, 9, 9))
    maps[0, 0, 1:5, 1:5] = 3.0
    maps[1, 0, 3:7, 3:7] = 0.1
    maps[1] -= 5.0
    np.testing.assert_allclose(half_height_ious(*maps, blur=0.0), [4 / 28])
    np.testing.assert_allclose(half_height_ious(maps[0], maps[0]), [1])
    apart = np.roll(maps[0], 5, axis=2)
    np.testing.assert_allclose(half_height_ious(maps[0], apart, blur=0.0), [0])


@settings(max_examples=20, deadline=None)
@given(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 100))
def test_distance_of_a_shifted_map_is_the_shift(right: int, down: int, seed: int):
    rng = np.random.default_rng(seed)
    maps = np.zeros((1, 12, 12))
    maps[0, 3:9, 3:9] = rng.random((6, 6))
    shifted = np.roll(maps, (down, right), axis=(1, 2))
    distance = earth_movers_distances(maps, shifted)[0]
    assert distance == pytest.approx(np.hypot(right, down), abs=1e-6)


def test_distances_by_hand():
    maps = np.zeros((3, 1, 9, 9))
    maps[0, 0, 4, 4] = 2.0  # all in the middle
    maps[1, 0, 4, 0] = maps[1, 0, 4, 8] = 7.0  # half to either side, 4 pixels
    maps[2, 0, 1, 4], maps[2, 0, 4, 8] = 3.0, 1.0  # three quarters 3 pixels, a quarter 4 pixels
    assert earth_movers_distances(maps[0], maps[1])[0] == pytest.approx(4)
    assert earth_movers_distances(maps[0], maps[2])[0] == pytest.approx(3.25)
    assert earth_movers_distances(maps[1], maps[0])[0] == pytest.approx(4)


def test_distance_agrees_with_the_best_assignment_and_in_one_dimension_with_scipy():
    rng = np.random.default_rng(0)
    places = np.stack([rng.permutation(64)[:20] for _ in range(4)]).reshape(2, 2, 20) % 64
    one, other = np.zeros((2, 2, 64))
    for unit in range(2):
        one[unit, places[0, unit]] = other[unit, places[1, unit]] = 1.0
    found = earth_movers_distances(one.reshape(2, 8, 8), other.reshape(2, 8, 8))
    for unit in range(2):
        from_, to = (np.stack(np.divmod(places[side, unit], 8), axis=1) for side in (0, 1))
        cost = np.hypot(*(from_[:, None] - to).transpose(2, 0, 1))
        assert found[unit] == pytest.approx(cost[linear_sum_assignment(cost)].mean())
    line, second = rng.random((2, 1, 1, 12))
    line[0, 0, 0] = second[0, 0, 5] = 0.0
    expected = wasserstein_distance(np.arange(12), np.arange(12), line[0, 0], second[0, 0])
    assert earth_movers_distances(line, second)[0] == pytest.approx(expected)


@settings(max_examples=15, deadline=None)
@given(st.floats(-9, 9), st.floats(-9, 9), st.floats(2, 6))
def test_on_a_coarser_grid_a_shift_stays_the_shift(x: float, y: float, sigma: float):
    one, other = bump(61, 0.0, 0.0, sigma), bump(61, x, y, sigma)
    distance = earth_movers_distances(one[None], other[None])[0]
    assert np.hypot(x, y) - 1e-3 < distance < np.hypot(x, y) + 2.5  # the spacing is 5.5 pixels


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 11))
def test_a_coarser_grid_keeps_the_bounds_that_theory_gives(seed: int, grid: int):
    one, other = np.random.default_rng(seed).random((2, 1, 12, 12)) ** 6
    exact, coarse = (earth_movers_distances(one, other, points)[0] for points in (12, grid))
    assert abs(coarse - exact) <= np.sqrt(2) * 11 / (grid - 1) + 1e-9
    centers = [
        np.array([((maps[0] - maps.min()) * axis).sum() for axis in np.indices((12, 12))])
        / (maps - maps.min()).sum()
        for maps in (one, other)
    ]
    assert coarse >= np.hypot(*(centers[0] - centers[1])) - 1e-9


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-10, 10))
def test_gain_offset_order_and_the_triangle(seed: int, gain: float, offset: float):
    one, other, third = np.random.default_rng(seed).random((3, 1, 7, 7))
    for measure in MEASURES:
        value = measure(one, other)
        np.testing.assert_allclose(measure(gain * one + offset, other), value, atol=1e-6)
        np.testing.assert_allclose(measure(other, one), value, atol=1e-6)
        turned = [maps.swapaxes(1, 2) for maps in (one, other)]
        np.testing.assert_allclose(measure(*turned), value, atol=1e-6)
    distances = [earth_movers_distances(*p)[0] for p in ((one, other), (other, third))]
    assert earth_movers_distances(one, third)[0] <= sum(distances) + 1e-9


def test_flat_and_broken_maps_are_undefined_and_leave_the_others():
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 4, 6, 6))
    one[0], other[1], one[2, 3, 3] = 0.1, 0.0, np.nan
    for measure in MEASURES:
        assert np.isnan(measure(one, other)).tolist() == [True, True, True, False]


@pytest.mark.parametrize("measure", MEASURES)
def test_maps_of_different_numbers_of_units(measure):
    message = r"^map against map: maps of 2 units were compared with maps of 3$"
    with pytest.raises(ConfigError, match=message):
        measure(np.zeros((2, 5, 5)), np.zeros((3, 5, 5)))


def test_a_grid_of_one_point_would_hide_every_distance():
    with pytest.raises(ConfigError, match=r"^grid: at least 2 points a side are needed, not 1$"):
        earth_movers_distances(np.zeros((1, 5, 5)), np.zeros((1, 5, 5)), grid=1)


def test_maps_of_each_sign_are_compared_with_those_of_the_same_sign():
    one = np.stack([bump(21, -4), bump(21, 4)])[None]
    other = np.stack([bump(21, -2), bump(21, 5)])[None]
    table = agreement({"one": one, "other": other}, [("one", "other")], [3])
    distances = table.set_index("sign")["distance"]
    assert distances[1] == pytest.approx(2, abs=0.05)
    assert distances[-1] == pytest.approx(1, abs=0.05)
