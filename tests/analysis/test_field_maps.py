from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.analysis import field_maps
from pipeline.analysis.field_maps import (
    areas_above_half,
    centers_of_mass,
    hot_spots,
    mass_radii,
    summarize_maps,
)
from pipeline.analysis.gaussian_fit import gaussian


def test_center_and_radii_by_hand():
    cross = np.zeros((5, 7))
    cross[2, 4] = 4.0  # (1, 0) from the center
    cross[2, 3] = cross[2, 5] = cross[1, 4] = cross[3, 4] = 1.0
    maps = (cross + 2.5)[None]  # a pedestal has no mass
    np.testing.assert_allclose(centers_of_mass(maps), [[1, 0]], atol=1e-12)
    np.testing.assert_allclose(mass_radii(maps, (0.1, 0.5, 0.51)), [[0, 0, 1]], atol=1e-12)


def test_half_height_itself_is_not_above_it():
    maps = np.array([[[0.0, 2.0, 4.0, 3.0]], [[5.0, 7.0, 9.0, 7.0]]])
    assert areas_above_half(maps).tolist() == [2, 1]


def test_the_radii_of_a_gaussian():
    # The mass within the radius r is 1 - exp(-(r / sigma)^2 / 2).
    bump = gaussian((161, 161), np.array([1.0, 80.0, 80.0, 15.0, 15.0, 0.0, 0.0]))[None]
    expected = 15 * np.sqrt(-2 * np.log(1 - np.array([0.1, 0.5, 0.9])))
    np.testing.assert_allclose(mass_radii(bump)[0], expected, atol=0.7)
    # Half height is at sigma * sqrt(2 ln 2).
    assert areas_above_half(bump)[0] == pytest.approx(2 * np.pi * np.log(2) * 15**2, rel=0.01)


@settings(max_examples=40)
@given(
    arrays(np.float64, (2, 6, 5), elements=st.integers(0, 9).map(float)),
    st.floats(0.01, 100),
    st.floats(-10, 10),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_gain_offset_shift_and_transposition(maps, gain, offset, right, down):
    maps[:, 0, 0] += 10  # not flat
    center, radii = centers_of_mass(maps), mass_radii(maps)
    np.testing.assert_allclose(centers_of_mass(gain * maps + offset), center, atol=1e-6)
    np.testing.assert_allclose(centers_of_mass(maps.swapaxes(1, 2)), center[:, ::-1], atol=1e-9)
    np.testing.assert_allclose(mass_radii(maps.swapaxes(1, 2)), radii, atol=1e-9)
    least = maps.min(axis=(1, 2), keepdims=True)
    wide = np.broadcast_to(least, (2, 9, 8)).copy()
    wide[:, down : down + 6, right : right + 5] = maps
    shift = [right - 1.5, down - 1.5]
    np.testing.assert_allclose(centers_of_mass(wide), center + shift, atol=1e-9)
    np.testing.assert_allclose(areas_above_half(wide), areas_above_half(maps))


def test_of_equal_pixels_the_first_is_the_hot_spot():
    maps = np.zeros((1, 3, 4), np.float32)
    maps[0, 1, 3] = maps[0, 2, 0] = 5
    np.testing.assert_array_equal(hot_spots(maps), [[1, 3]])


def test_a_map_of_zeros_and_ones_has_no_hot_spot():
    maps = np.zeros((3, 5, 5))
    maps[0, 1:3, 2:4] = 1
    maps[1, 1:3, 2:4], maps[1, 2, 2] = 1, 2
    maps[2, 3, 3] = 1
    found = summarize_maps(maps)[["hot_x", "hot_y"]].to_numpy()
    np.testing.assert_array_equal(found, [[np.nan, np.nan], [0, 0], [1, 1]])


def test_many_units_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch):
    maps = np.random.default_rng(0).random((7, 6, 5))
    whole = mass_radii(maps)
    monkeypatch.setattr(field_maps, "_AT_ONCE", 60)
    np.testing.assert_array_equal(mass_radii(maps), whole)


def test_summary_has_numbers_or_a_reason():
    bump = gaussian((11, 13), np.array([2.0, 8.0, 4.0, 2.0, 1.0, 0.0, 0.0]))
    noise = np.random.default_rng(0).normal(size=bump.shape)
    broken = bump.copy()
    broken[0, 0] = np.inf
    table = summarize_maps(np.stack([bump, np.full_like(bump, 0.3), broken, noise]))
    assert table["reason"].tolist()[:3] == ["", "the map is flat", "the map is not finite"]
    assert "Gaussian" in table["reason"][3]
    row = table.iloc[0]
    assert (row["hot_x"], row["hot_y"]) == (2, -1)
    assert (row["x"], row["y"]) == pytest.approx((2, -1), abs=0.1)  # cut off at the right
    assert (row["gauss_x"], row["gauss_y"]) == pytest.approx((2, -1), abs=1e-6)
    numbers = table.drop(columns=["unit", "leaves_map", "reason"])
    assert numbers.iloc[0].notna().all()
    assert numbers.iloc[1:3].isna().all(axis=None)
    places = numbers.columns[:8]
    assert list(places)[:5] == ["x", "y", "radius_10", "radius_50", "radius_90"]
    assert numbers.iloc[3][places].notna().all()
    assert np.isnan(numbers.iloc[3]["gauss_x"])


def test_tiny_and_huge_maps():
    bump = gaussian((11, 11), np.array([1.0, 6.0, 4.0, 2.0, 1.5, 0.0, 0.0]))
    plain = summarize_maps(bump[None]).iloc[0]
    for scale in (1e-200, 1e200):
        row = summarize_maps(scale * bump[None]).iloc[0]
        for name in ("x", "radius_50", "half_area", "gauss_x", "sigma_long", "fxvar"):
            assert row[name] == pytest.approx(plain[name], rel=1e-6)


@pytest.mark.parametrize("kind", ["bars", "sine"])
def test_maps_of_the_reference(kind: str, reference_data: Path):
    oracle = np.load(reference_data / "oracles" / f"rfm_{kind}.npz")
    maps = oracle["conv1_wmax"] / 65535.0 * oracle["conv1_wmax_s"][:, None, None]
    expected = oracle["conv1_com"] - [5, 5, 0, 0, 0]  # counted from the upper left pixel there
    found = np.concatenate([centers_of_mass(maps), mass_radii(maps)], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(hot_spots(maps), oracle["conv1_argmax"])
