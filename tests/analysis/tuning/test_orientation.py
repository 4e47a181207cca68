from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import UnivariateSpline
from scipy.special import iv

from pipeline.analysis.tuning.measured import Measured
from pipeline.analysis.tuning.orientation import (
    bandwidth,
    bandwidth_interpolated,
    circular_variance,
    direction_selectivity,
    orientation_properties,
)
from pipeline.analysis.tuning.phases import mean_and_modulation, tuning_slice
from pipeline.errors import ConfigError

TURNS = np.arange(12) * 15.0


def values(found: list[Measured]) -> dict[str, np.ndarray]:
    return {one.name: one.value for one in found}


def test_preferred_orientation_on_and_off_the_grid(gabor_gratings):
    angles = [45.0, 60.0, 37.0, 120.0, 170.0]
    units = [
        {"theta0": angle, "ny": ny, "kind": kind}
        for angle in angles
        for ny in (0.3, 0.5)
        for kind in ("simple", "energy")
    ]
    found = values(orientation_properties(tuning_slice(gabor_gratings(*units), "orientation")))
    expected = np.repeat([45.0, 60.0, 37.0, 120.0, -10.0], 4)
    np.testing.assert_array_equal(found["preferred_orientation"], expected)
    np.testing.assert_allclose(found["preferred_orientation_vector"], expected, atol=1)
    np.testing.assert_allclose(found["preferred_orientation_interpolated"], expected, atol=0.25)
    narrow = tuning_slice(gabor_gratings({"theta0": 50.0, "nx": 0.8, "ny": 0.8}), "orientation")
    assert values(orientation_properties(narrow))["preferred_orientation"] == [49]


@pytest.mark.parametrize(
    ("kappa", "expected", "error"),
    [(0.5, 0.7575, 1e-9), (2, 0.3022, 5e-9), (5, 0.1066, 1.5e-5)],
)
def test_circular_variance_of_von_mises(kappa: float, expected: float, error: float):
    curve = np.exp(kappa * np.cos(2 * np.deg2rad(TURNS - 33)))[None]
    exact = 1 - iv(1, kappa) / iv(0, kappa)
    assert exact == pytest.approx(expected, abs=5e-5)
    assert circular_variance(curve, TURNS)[0] == pytest.approx(exact, abs=error)


def test_circular_variance_of_a_cosine_and_its_limits():
    wave = np.cos(2 * np.deg2rad(TURNS - 40))
    curves = np.stack([1 + m * wave for m in (0.2, 0.7, 1.0)])
    np.testing.assert_allclose(circular_variance(curves, TURNS), [0.9, 0.65, 0.5], atol=1e-12)
    assert circular_variance(np.eye(12)[:1], TURNS)[0] == pytest.approx(0)
    assert np.isnan(circular_variance(np.zeros((1, 12)), TURNS)[0])


@pytest.mark.parametrize(
    ("n", "exact", "unsmoothed", "hanning"), [(0.5, 15.24, 16, 18), (0.25, 31.08, 32, 33)]
)
def test_bandwidth_of_gabors(gabor_gratings, n, exact, unsmoothed, hanning):
    sliced = tuning_slice(gabor_gratings({"nx": n, "ny": n}), "orientation")
    assert bandwidth(sliced.curve, TURNS, "none")[0] / 2 == [unsmoothed]
    assert bandwidth(sliced.curve, TURNS, "hanning")[0] / 2 == [hanning]
    found = values(orientation_properties(sliced))
    assert found["orientation_bandwidth"] == [hanning]
    assert found["orientation_bandwidth_interpolated"][0] == pytest.approx(exact, abs=0.02)


def test_the_curve_of_a_single_point_is_as_wide_as_its_kernel():
    # A hat of 0.4, 1, 0.4 falls to 0.707 at about 10 degrees of 15.
    assert bandwidth(np.eye(12)[3:4], TURNS, "hanning")[0] / 2 == [10]


def test_published_bandwidth_agrees_with_one_curve_at_a_time():
    rng = np.random.default_rng(0)
    curves = rng.gamma(0.4, size=(40, 12))
    expected: list[float] = []
    for curve in curves:
        x = np.concatenate([TURNS - 180, TURNS, TURNS + 180])
        kernel = np.array([0, 0.4, 1, 0.4, 0])
        smooth = np.convolve(kernel / kernel.sum(), np.tile(curve, 3), mode="same")
        fine = np.linspace(-180, 359, 540)
        spline = UnivariateSpline(x, smooth, s=0)(fine)
        at = int(spline[180:360].argmax()) + 180
        low = np.flatnonzero(spline <= 0.707 * spline[at])
        width = fine[low[low > at][0]] - fine[low[low < at][-1]]
        expected.append(width if width <= 180 else np.nan)
    np.testing.assert_array_equal(bandwidth(curves, TURNS)[0], expected)


def test_flat_curves_have_no_tuning_and_say_so(gabor_gratings):
    shown = gabor_gratings({}, {"theta0": 10.0})
    rates = shown.rates.copy()
    rates[1] = 3.0  # saturated: as much to every grating, though not to the blank
    found = orientation_properties(tuning_slice(replace(shown, rates=rates), "orientation"))
    tuned = {one.name: (one.value[1], one.flag[1]) for one in found}
    assert np.isnan(tuned["circular_variance"][0])
    assert tuned["orientation_bandwidth"][1] == "responses do not differ"
    assert tuned["max_dc"][0] == 3
    assert all(one.studied[1] for one in found)


def test_broad_tuning_has_no_bandwidth_and_says_so(gabor_gratings):
    shown = gabor_gratings({"nx": 0.5, "ny": 0.02, "kind": "energy"})
    rates = shown.rates + 1
    found = orientation_properties(tuning_slice(replace(shown, rates=rates), "orientation"))
    said = {one.name: one.flag[0] for one in found}
    assert said["orientation_bandwidth"] == (
        "the response does not fall to 0.707 of the peak on both sides within 180 degrees"
    )
    assert said["circular_variance"] == ""


@pytest.mark.parametrize(("nx", "ny"), [(0.25, 0.3), (0.3, 0.2), (0.5, 0.2)])
def test_orthogonal_responses_of_an_even_simple_unit(gabor_gratings, nx, ny):
    shown = gabor_gratings({"nx": nx, "ny": ny, "theta0": 60.0})
    at_f0 = replace(
        shown,
        rates=shown.rates[:, :, 2:3],
        radii=shown.radii[:, 2:3],
        frequencies=shown.frequencies[2:3],
    )
    found = values(orientation_properties(tuning_slice(at_f0, "orientation")))
    gauss = np.exp(-2 * np.pi**2 * (nx**2 + ny**2))
    expected = 2 * gauss / (1 + np.exp(-8 * np.pi**2 * nx**2))
    assert found["orthogonal_preferred_ratio"][0] == pytest.approx(expected, rel=1e-9)
    assert found["orientation_index"][0] == pytest.approx((1 - expected) / (1 + expected))
    assert found["ratio_variance_difference"][0] == pytest.approx(
        expected - found["circular_variance"][0]
    )


def test_modulation_of_simple_and_complex_units(gabor_gratings):
    # A half-rectified cosine has pi / 2 in the continuum; 8 phases miss it by their offset.
    units = [{"psi": psi} for psi in np.linspace(0, 45, 40)]
    sliced = tuning_slice(gabor_gratings(*units, {"kind": "energy"}), "orientation")
    found = values(orientation_properties(sliced))
    ratio = found["modulation_ratio"]
    # The far lobe of a simple unit rotates its phase by less than 0.1 percent here.
    assert ratio[:-1].min() == pytest.approx(1.5307, abs=1e-3)
    assert ratio[:-1].max() == pytest.approx(1.6569, abs=1e-3)
    assert ratio[-1] == pytest.approx(0, abs=1e-12)
    np.testing.assert_array_equal(found["simple"], [1.0] * 40 + [0.0])
    many = tuning_slice(gabor_gratings({"psi": 3.0}, phases=64), "orientation")
    assert values(orientation_properties(many))["modulation_ratio"][0] == pytest.approx(
        np.pi / 2, abs=2e-3
    )


def test_modulation_of_one_plus_cosine_is_one_and_complex(gabor_gratings):
    shown = gabor_gratings({})
    phase = 1 + np.cos(np.arange(8) * np.pi / 4 - 0.3)
    rates = shown.rates.max(axis=-1, keepdims=True) * phase
    found = values(orientation_properties(tuning_slice(replace(shown, rates=rates), "orientation")))
    assert found["modulation_ratio"][0] == pytest.approx(1, abs=1e-12)
    assert found["simple"] == [0]


def test_mean_and_modulation_agree_with_the_fourier_transform():
    rates = np.random.default_rng(1).random((3, 4, 8))
    dc, ac = mean_and_modulation(rates)
    spectrum = np.fft.fft(rates)
    np.testing.assert_allclose(dc, spectrum[..., 0].real / 8)
    np.testing.assert_allclose(ac, 2 * np.abs(spectrum[..., 1]) / 8)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 11), st.floats(1e-3, 1e3), st.integers(0, 20))
def test_a_shift_shifts_the_preference_alone_and_gain_changes_nothing(shift, gain, seed):
    center = np.random.default_rng(seed).uniform(0, 180)
    curve = np.exp(3 * np.cos(2 * np.deg2rad(TURNS - center)))[None]
    shifted = gain * np.roll(curve, shift, axis=1)
    for measure in (bandwidth, bandwidth_interpolated):
        (width,), (peak,) = measure(curve, TURNS)
        (other,), (moved,) = measure(shifted, TURNS)
        # Where a degree lies just at the height, rounding decides.
        assert other == pytest.approx(width, abs=1.01 if measure is bandwidth else 1e-6)
        assert (moved - peak - 15 * shift + 90) % 180 - 90 == pytest.approx(0, abs=1.01)
    before, after = circular_variance(curve, TURNS)[0], circular_variance(shifted, TURNS)[0]
    assert after == pytest.approx(before, abs=1e-9)


def test_an_offset_changes_circular_variance_as_predicted():
    curve = np.exp(2 * np.cos(2 * np.deg2rad(TURNS - 20)))[None]
    gain, offset = 3.0, 4.0
    length = np.abs((curve[0] * np.exp(2j * np.deg2rad(TURNS))).sum())
    expected = 1 - length / (curve.sum() + 12 * offset / gain)
    assert circular_variance(gain * curve + offset, TURNS)[0] == pytest.approx(expected)


def test_gaussian_weights_without_structure_are_untuned():
    curves = np.random.default_rng(0).normal(50, 1, size=(50, 12))
    assert (circular_variance(curves, TURNS) > 0.97).all()


def test_direction_selectivity():
    directions = np.arange(8) * 45.0
    curves = np.stack([np.eye(8)[2], np.tile([0.0, 1, 0, 0], 2), np.ones(8), np.zeros(8)])
    found = direction_selectivity(curves, directions)
    np.testing.assert_allclose(found.value, [1, 0, np.nan, np.nan], atol=1e-12)
    assert found.flag.tolist() == [
        "", "", "responses do not differ", "the unit does not respond"
    ]  # fmt: skip
    assert found.studied.tolist() == [True, True, True, False]


def test_what_is_wrong_with_orientations_and_smoothing():
    with pytest.raises(ConfigError, match=r"^orientations: they must fill 180 degrees in equal"):
        bandwidth(np.ones((1, 3)), np.array([0.0, 30.0, 60.0]))
    with pytest.raises(ConfigError, match=r"must fill 360 degrees in equal ascending steps, here"):
        direction_selectivity(np.ones((1, 12)), TURNS)
    with pytest.raises(
        ConfigError, match=r"'haning' is not a kernel; allowed are hanning, .*; nearest: hanning$"
    ):
        bandwidth(np.ones((1, 12)), TURNS, "haning")
