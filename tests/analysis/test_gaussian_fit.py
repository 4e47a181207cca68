from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.gaussian_fit import fit_gaussians, gaussian

NUMBERS = ["amplitude", "gauss_x", "gauss_y", "sigma_long", "sigma_short", "orientation", "offset"]


def test_drawn_as_published():
    # The quadratic form of RF-Mapping's gaussian_fit.py, its signs included.
    amplitude, mx, my, s1, s2, degrees, offset = parameters = (3.0, 5.2, 8.1, 2.0, 4.0, 25.0, -1.0)
    y, x = np.mgrid[:15, :12].astype(float)
    t = np.deg2rad(degrees)
    a = np.cos(t) ** 2 / (2 * s1**2) + np.sin(t) ** 2 / (2 * s2**2)
    b = -np.sin(2 * t) / (4 * s1**2) + np.sin(2 * t) / (4 * s2**2)
    c = np.sin(t) ** 2 / (2 * s1**2) + np.cos(t) ** 2 / (2 * s2**2)
    form = a * (x - mx) ** 2 + 2 * b * (x - mx) * (y - my) + c * (y - my) ** 2
    drawn = gaussian((15, 12), np.array(parameters))
    np.testing.assert_allclose(drawn, offset + amplitude * np.exp(-form), atol=1e-12)


def test_orientation_is_counterclockwise_on_screen():
    drawn = gaussian((21, 21), np.array([1.0, 10.0, 10.0, 6.0, 1.0, 45.0, 0.0]))
    assert drawn[5, 15] > 0.4 > drawn[15, 15]  # the upper right is on the long axis


@settings(max_examples=40, deadline=None)
@given(
    x=st.floats(-5, 5),
    y=st.floats(-4, 4),
    sigmas=st.tuples(st.floats(1.2, 5), st.floats(1.2, 5)),
    theta=st.floats(-200, 200),
    amplitude=st.floats(0.01, 1000),
    offset=st.floats(-3, 3),
)
def test_a_gaussian_is_recovered(x, y, sigmas, theta, amplitude, offset):
    truth = np.array([amplitude, 15 + x, 12 + y, *sigmas, theta, amplitude * offset])
    row = fit_gaussians(gaussian((25, 31), truth)[None]).iloc[0]
    assert row["reason"] == ""
    assert (row["gauss_x"], row["gauss_y"]) == pytest.approx((x, y), abs=0.01)
    expected = (max(sigmas), min(sigmas))
    assert (row["sigma_long"], row["sigma_short"]) == pytest.approx(expected, rel=0.01)
    assert row["amplitude"] == pytest.approx(amplitude, rel=0.01)
    assert row["fxvar"] == pytest.approx(1, abs=1e-4)
    if max(sigmas) > 1.1 * min(sigmas):
        axis = theta if sigmas[0] > sigmas[1] else theta + 90
        assert (row["orientation"] - axis + 90) % 180 == pytest.approx(90, abs=1)


def test_the_envelope_of_a_gabor():
    y, x = np.mgrid[-20:21, -20:21].astype(float)
    envelope = np.exp(-(((x - 3) / 6) ** 2 + ((y + 2) / 4) ** 2) / 2)
    energy = sum((envelope * wave(1.2 * x)) ** 2 for wave in (np.cos, np.sin))
    row = fit_gaussians(energy[None]).iloc[0]
    assert (row["gauss_x"], row["gauss_y"]) == pytest.approx((3, -2), abs=0.01)
    # Squaring an envelope divides its sigmas by sqrt(2).
    assert row["sigma_long"] == pytest.approx(6 / np.sqrt(2), rel=0.01)
    assert row["sigma_short"] == pytest.approx(4 / np.sqrt(2), rel=0.01)


def test_transposing_a_map_mirrors_its_fit():
    rng = np.random.default_rng(0)
    bump = gaussian((15, 15), np.array([2.0, 8.3, 5.1, 3.0, 1.5, 20.0, 0.5]))
    bump += 0.05 * rng.normal(size=bump.shape)
    plain, flipped = (fit_gaussians(unit[None]).iloc[0] for unit in (bump, bump.T))
    assert (flipped["gauss_x"], flipped["gauss_y"]) == pytest.approx(
        (plain["gauss_y"], plain["gauss_x"]), abs=1e-4
    )
    # The mirror at the diagonal that falls from the upper left turns 20 degrees to -110.
    assert (plain["orientation"] + flipped["orientation"]) % 180 == pytest.approx(90, abs=0.01)
    assert flipped["fxvar"] == pytest.approx(plain["fxvar"], abs=1e-9)


def test_a_fit_that_reaches_beyond_the_map_says_so():
    def fitted(x: float, sigma: float) -> bool:
        bump = gaussian((21, 21), np.array([1.0, 10 + x, 10.0, sigma, 1.0, 0.0, 0.0]))
        return bool(fit_gaussians(bump[None])["leaves_map"][0])

    # The map ends 10.5 pixels from its center.
    assert not fitted(4.0, 3.0)
    assert fitted(5.0, 3.0)
    assert fitted(-5.0, 3.0)
    assert fitted(0.0, 5.5)


def test_what_has_no_gaussian_has_a_reason_and_no_numbers():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(5, 21, 21))  # the last is noise
    maps[0], maps[1] = 0.1, 0.0
    maps[2, 3, 3] = np.nan
    maps[3] = gaussian((21, 21), np.array([1.0, -4.0, 10.0, 5.0, 5.0, 0.0, 0.0]))
    table = fit_gaussians(maps)
    assert table["reason"].tolist()[:4] == [
        "the map is flat",
        "the map is flat",
        "the map is not finite",
        "the center of the Gaussian lies outside the map",
    ]
    assert table[NUMBERS].isna().all(axis=None)
    assert not table["leaves_map"].any()
    assert table["fxvar"].isna().tolist()[:4] == [True, True, True, False]


def test_noise_has_no_gaussian():
    noise = np.random.default_rng(0).normal(size=(30, 11, 11))
    table = fit_gaussians(noise)
    assert table[NUMBERS].isna().all(axis=None)
    assert set(table["reason"]) == {
        "the Gaussian explains less than 25% of the variance",
        "the Gaussian fit did not converge",
    }
    # With the threshold lowered a few fits to noise pass as fields.
    assert (fit_gaussians(noise, least_fxvar=0.0)["reason"] == "").any()


def test_a_dip_is_no_peak():
    dip = gaussian((15, 15), np.array([-3.0, 7.0, 7.0, 2.0, 2.5, 0.0, 4.0]))
    row = fit_gaussians(dip[None]).iloc[0]
    assert row["reason"] in (
        "the Gaussian is a dip, not a peak",
        "the Gaussian fit did not converge",
    )
    assert row[NUMBERS].isna().all()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 9)])
def test_maps_that_are_too_small_do_not_fail(size: tuple[int, int]):
    rng = np.random.default_rng(0)
    table = fit_gaussians(rng.normal(size=(3, *size)))
    assert len(table) == 3
    assert (table["reason"] != "").any()


@pytest.mark.parametrize("kind", ["bars", "sine"])
def test_fits_of_the_reference(kind: str, reference_data: Path):
    oracle = np.load(reference_data / "oracles" / f"rfm_{kind}.npz")
    maps = oracle["conv1_wmax"] / 65535.0 * oracle["conv1_wmax_s"][:, None, None]
    table, fits = fit_gaussians(maps), oracle["conv1_gauss"].astype(float)
    fitted = np.isfinite(oracle["conv1_gauss_fxvar"])
    fxvar = table["fxvar"].to_numpy()
    np.testing.assert_allclose(fxvar[fitted], oracle["conv1_gauss_fxvar"][fitted], atol=1e-5)
    # The reference counts from the upper left pixel, and keeps a center outside the map.
    inside = fitted & (np.abs(fits[:, 1:3] - 5) <= 5.5).all(axis=1)
    assert inside.sum() == 15
    np.testing.assert_array_equal(table["reason"] == "", inside)
    sigmas = np.abs(fits[:, 3:5])
    turned = fits[:, 5] + np.where(sigmas[:, 0] > sigmas[:, 1], 0, 90)
    expected = np.column_stack([fits[:, 1:3] - 5, sigmas.max(axis=1), sigmas.min(axis=1)])
    found = table[NUMBERS[1:5]].to_numpy()
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-3)
    difference = (table["orientation"].to_numpy() - turned + 90) % 180 - 90
    assert np.abs(difference[inside]).max() < 0.02
    scale = np.ptp(maps, axis=(1, 2))[inside]
    for column, name in ((0, "amplitude"), (6, "offset")):
        error = (table[name].to_numpy() - fits[:, column])[inside] / scale
        assert np.abs(error).max() < 1e-3
