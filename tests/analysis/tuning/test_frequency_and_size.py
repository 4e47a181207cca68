from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import UnivariateSpline

from pipeline.analysis.tuning.measured import Measured
from pipeline.analysis.tuning.orientation import orientation_properties
from pipeline.analysis.tuning.phases import TuningSlice, tuning_slice
from pipeline.analysis.tuning.size import size_properties
from pipeline.analysis.tuning.spatial_frequency import frequency_bandwidth, peak_frequency

FREQUENCIES = np.logspace(-1.375, 3.875, 22, base=2)
RADII = np.logspace(-2.25, 3.25, 12, base=2) / 2


def along(axis: str, x: np.ndarray, curves: np.ndarray) -> TuningSlice:
    units = len(curves)
    return TuningSlice(
        axis,
        x,
        np.repeat(curves[:, :, None], 4, axis=2),
        np.zeros(units),
        np.zeros(units, dtype=bool),
        np.zeros((units, 3), dtype=np.int64),
        np.full(units, "", dtype=object),
        np.ones(units, dtype=bool),
    )


def values(found: list[Measured]) -> dict[str, np.ndarray]:
    return {one.name: one.value for one in found}


def flags(found: list[Measured]) -> dict[str, str]:
    return {one.name: one.flag[0] for one in found}


def test_frequency_of_gabors(gabor_gratings):
    shown = gabor_gratings({}, {"kind": "energy"}, study="frequency")
    larger = tuning_slice(shown, "frequency", component="larger")
    mean = tuning_slice(shown, "frequency")
    peaks, bands = values(peak_frequency(larger)), values(frequency_bandwidth(mean))
    np.testing.assert_allclose(peaks["peak_frequency"], 3.020, atol=1e-3)
    np.testing.assert_allclose(values(peak_frequency(larger, "none"))["peak_frequency"], 3.133,
                               atol=1e-3)  # fmt: skip
    np.testing.assert_allclose(peaks["peak_frequency_interpolated"], 3.0844, rtol=3e-3)
    np.testing.assert_allclose(bands["frequency_bandwidth"], 53.5, atol=0.05)
    unsmoothed = values(frequency_bandwidth(mean, "none"))
    np.testing.assert_allclose(unsmoothed["frequency_bandwidth"], 57.6, atol=0.05)
    # Analytic cuts: f0 (1 +- 0.1325 / nx).
    np.testing.assert_allclose(bands["frequency_low_cut"], 3.0844 * 0.735, rtol=2e-3)
    np.testing.assert_allclose(bands["frequency_high_cut"], 3.0844 * 1.265, rtol=2e-3)
    np.testing.assert_allclose(
        bands["frequency_bandwidth_octaves"], np.log2(1.265 / 0.735), atol=5e-3
    )
    assert bands["frequency_selective"].tolist() == bands["frequency_pass"].tolist() == [1, 1]


def test_all_values_of_one_gabor_pair(gabor_gratings):
    pair = [{"f0": 1.5422}, {"f0": 1.5422, "kind": "energy"}]
    sliced = tuning_slice(gabor_gratings(*pair), "orientation")
    found = values(orientation_properties(sliced))
    assert found["preferred_orientation"].tolist() == [60, 60]
    np.testing.assert_allclose(found["circular_variance"], 0.1921, atol=5e-5)
    assert found["orientation_bandwidth"].tolist() == [18, 18]
    np.testing.assert_allclose(found["modulation_ratio"], [1.657, 0], atol=5e-4)
    shown = gabor_gratings(*pair, study="frequency")
    larger = tuning_slice(shown, "frequency", component="larger")
    np.testing.assert_allclose(values(peak_frequency(larger))["peak_frequency"], 1.502, atol=1e-3)
    bands = values(frequency_bandwidth(tuning_slice(shown, "frequency")))
    np.testing.assert_allclose(bands["frequency_bandwidth"], 53.5, atol=0.05)


def test_published_frequency_agrees_with_one_curve_at_a_time():
    curves = np.random.default_rng(0).gamma(0.5, size=(40, 22))
    found = values(frequency_bandwidth(along("frequency", FREQUENCIES, curves)))
    peaks = values(peak_frequency(along("frequency", FREQUENCIES, curves)))["peak_frequency"]
    kernel = np.array([0, 0.2, 1, 0.2, 0]) / 1.4
    for unit, curve in enumerate(curves):
        ends = np.concatenate([curve[:1], curve[:1], curve, curve[-1:], curve[-1:]])
        octaves = np.log2(FREQUENCIES)
        fine = np.linspace(octaves[0], octaves[-1], 100)
        spline = UnivariateSpline(octaves, np.convolve(kernel, ends, "valid"), s=0)(fine)
        at = int(spline.argmax())
        low = np.flatnonzero(spline <= 0.707 * spline[at])
        left, right = low[low < at], low[low > at]
        assert peaks[unit] == pytest.approx(2 ** fine[at])
        if len(left) and len(right):
            ratio = 100 * 2 ** (fine[left[-1]] - fine[right[0]])
            assert found["frequency_bandwidth"][unit] == pytest.approx(ratio)
        else:
            assert found["frequency_selective"][unit] == 0
            assert np.isnan(found["frequency_bandwidth"][unit])


def test_low_band_high_and_all_pass():
    steps = np.arange(22.0)
    curves = np.stack([
        np.exp(-steps / 3), np.exp(-((steps - 10) ** 2) / 8), np.exp(steps / 3), 1 + steps / 100
    ])  # fmt: skip
    sliced = along("frequency", FREQUENCIES, curves)
    found = values(frequency_bandwidth(sliced))
    assert found["frequency_pass"].tolist() == [0, 1, 2, 3]
    assert found["frequency_selective"].tolist() == [0, 1, 0, 0]
    assert np.isnan(found["frequency_low_cut"]).tolist() == [True, False, False, True]
    assert np.isnan(found["frequency_high_cut"]).tolist() == [False, False, True, True]
    low = flags(frequency_bandwidth(sliced))
    assert low["frequency_bandwidth"] == (
        "the response does not fall to 0.707 of the peak on both sides"
    )
    assert low["frequency_low_cut"] == "the response does not fall below the peak"
    assert low["frequency_high_cut"] == low["frequency_pass"] == ""
    edge = flags(peak_frequency(sliced))["peak_frequency"]
    assert edge == "the peak is at the edge of the frequencies shown"


def test_twice_the_pixels_per_degree():
    curves = np.exp(-((np.arange(22.0) - 9) ** 2) / 6)[None]
    plain, finer = (
        values(peak_frequency(along("frequency", scale * FREQUENCIES, curves))) for scale in (1, 2)
    )
    for name in plain:
        np.testing.assert_allclose(2 * plain[name], finer[name])
    surround = (1 - np.exp(-(RADII**2) / 0.125)) - 0.5 * (1 - np.exp(-(RADII**2) / 1.125))
    plain, finer = (
        values(size_properties(along("size", RADII / scale, surround[None]))) for scale in (1, 2)
    )
    np.testing.assert_allclose(plain["summation_field"] / 2, finer["summation_field"])
    np.testing.assert_allclose(plain["surround_field_ratio"], finer["surround_field_ratio"])


@pytest.mark.parametrize(
    ("center", "surround", "k", "exact", "published"),
    [
        (0.25, 0.75, 0.5, (0.3825, 1.012, 3.67), (0.3797, 1.189, 4.757)),
        (0.25, 1.0, 0.8, (0.7544, 1.008, 5.92), (0.7535, 1.189, 6.727)),
    ],
)
def test_size_of_a_difference_of_integrals(center, surround, k, exact, published):
    curve = (1 - np.exp(-(RADII**2) / 2 / center**2)) - k * (
        1 - np.exp(-(RADII**2) / 2 / surround**2)
    )
    found = values(size_properties(along("size", RADII, curve[None])))
    names = ("suppression_index", "summation_field", "surround_diameter")
    np.testing.assert_allclose([found[n][0] for n in names], published, rtol=5e-4)
    close = [found[f"{n}_interpolated"][0] for n in names]
    np.testing.assert_allclose(close, exact, rtol=5e-3)
    assert found["surround_field_ratio"][0] == pytest.approx(published[2] / published[1], rel=1e-3)
    assert found["strongly_suppressed"] == [1]


def test_a_unit_without_surround_has_no_summation_field():
    curve = 1 - np.exp(-(RADII**2) / 0.1)
    found = size_properties(along("size", RADII, curve[None]))
    assert values(found)["suppression_index"][0] == pytest.approx(0, abs=1e-9)
    assert np.isnan(values(found)["summation_field"][0])
    assert values(found)["strongly_suppressed"] == [0]
    said = flags(found)
    assert said["suppression_index"] == ""
    assert said["summation_field"] == "no summation field: the suppression index is 0.1 or less"


def test_sizes_at_the_edges_are_flagged():
    smallest = np.where(np.arange(12) == 0, 1.0, 0.2)
    steady = np.linspace(0, 1, 12)
    steady[9:] = 1.0, 0.5, 0.3  # still falling at the end
    found = size_properties(along("size", RADII, np.stack([smallest, steady])))
    named = {one.name: one for one in found}
    assert named["summation_field"].flag[0] == "the summation field is the smallest size shown"
    assert named["surround_diameter"].flag[1] == "the surround may exceed the largest size shown"
    assert named["suppression_index"].value[0] == pytest.approx(0.8)


def test_an_index_of_exactly_a_tenth_is_strong_without_a_field():
    curve = np.append(np.full(11, 10.0), 9.0)
    found = values(size_properties(along("size", RADII, curve[None])))
    assert found["suppression_index"] == [0.1]
    assert found["strongly_suppressed"] == [1]
    assert np.isnan(found["summation_field"][0])


def test_undefined_slices_stay_undefined():
    sliced = along("size", RADII, np.random.default_rng(0).random((1, 12)))
    dead = replace(
        sliced, defined=np.array([False]), flag=np.array(["the unit does not respond"], object)
    )
    for one in size_properties(dead):
        assert np.isnan(one.value[0])
        assert one.flag[0] == "the unit does not respond"
