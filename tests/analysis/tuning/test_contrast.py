from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from pipeline.analysis.tuning.contrast import contrast_properties
from pipeline.errors import ConfigError

CONTRASTS = np.logspace(-2, 0, 12)


def curve(c: np.ndarray, offset: float, gain: float, exponent: float, half: float) -> np.ndarray:
    return offset + gain * c**exponent / (c**exponent + half**exponent)


def fit(responses: np.ndarray, contrasts: np.ndarray = CONTRASTS) -> dict[str, np.ndarray]:
    return {one.name: one.value for one in contrast_properties(responses, contrasts)}


def flags(responses: np.ndarray) -> dict[str, list[str]]:
    return {one.name: one.flag.tolist() for one in contrast_properties(responses, CONTRASTS)}


@settings(max_examples=25, deadline=None)
@given(st.floats(-5, 5), st.floats(0.1, 50), st.floats(0.8, 5), st.floats(0.03, 0.7))
def test_parameters_are_found_again(offset, gain, exponent, half):
    found = fit(curve(CONTRASTS, offset, gain, exponent, half)[None])
    assert found["half_contrast"][0] == pytest.approx(half, rel=1e-3)
    assert found["contrast_exponent"][0] == pytest.approx(exponent, rel=1e-3)
    assert found["contrast_gain"][0] == pytest.approx(gain, rel=1e-3)
    assert found["contrast_offset"][0] == pytest.approx(offset, abs=1e-3 * gain)
    assert found["contrast_fit"][0] == pytest.approx(1)


def test_noisy_fits_are_no_worse_than_those_of_scipy():
    rng = np.random.default_rng(0)
    truths = rng.uniform([0, 5, 1, 0.08], [3, 30, 4, 0.5], size=(20, 4))
    responses = np.stack([curve(CONTRASTS, *truth) for truth in truths])
    responses += rng.normal(0, 0.5, responses.shape)
    found = fit(responses)
    for unit, own in enumerate(responses):
        best, _ = curve_fit(curve, CONTRASTS, own, p0=truths[unit],
                            bounds=([-99, 0, 0.1, 0.001], [99, 999, 10, 1000]))  # fmt: skip
        left = ((curve(CONTRASTS, *best) - own) ** 2).sum()
        theirs = 1 - left / ((own - own.mean()) ** 2).sum()
        assert found["contrast_fit"][unit] >= theirs - 1e-6


def test_units_that_do_not_saturate():
    linear, square = 3 * CONTRASTS, 2 * CONTRASTS**2
    found, said = fit(np.stack([linear, square])), flags(np.stack([linear, square]))
    assert np.isnan(found["half_contrast"]).all()
    assert np.isnan(found["contrast_gain"]).all()
    np.testing.assert_allclose(found["contrast_exponent"], [1, 2], rtol=5e-3)
    np.testing.assert_allclose(found["contrast_monotonicity"], 1)
    assert said["half_contrast"] == [
        "unsaturated: half of the asymptote lies beyond the highest contrast"
    ] * 2  # fmt: skip


def test_a_blank_may_be_contrast_zero():
    contrasts = np.append(0.0, CONTRASTS)
    found = fit(curve(contrasts, 2, 8, 2, 0.2)[None], contrasts)
    assert found["half_contrast"][0] == pytest.approx(0.2, rel=1e-4)


def test_units_without_a_fit_have_reasons():
    falling = 1 - CONTRASTS
    peaked = curve(CONTRASTS, 0, 1, 4, 0.05) * (1 - CONTRASTS / 2)
    broken = np.append(np.nan, CONTRASTS[1:])
    rows = np.stack([falling, np.zeros(12), np.full(12, 3.0), broken, peaked, -1 - falling])
    said, found = flags(rows), fit(rows)
    assert said["half_contrast"][:4] == [
        "the response falls with contrast",
        "responses do not differ",
        "responses do not differ",
        "responses are not finite",
    ]
    assert np.isnan(found["contrast_exponent"][:4]).all()
    assert found["contrast_monotonicity"][0] == pytest.approx(0)
    assert found["contrast_monotonicity"][4] == pytest.approx(peaked[-1] / peaked.max())
    assert said["contrast_monotonicity"][4:] == ["", "no response is above 0"]


def test_saturation_below_the_lowest_contrast_is_flagged():
    said = flags(curve(CONTRASTS, 0, 1, 1, 0.004)[None])
    assert said["half_contrast"] == ["c50 lies below the lowest contrast"]


def test_gain_scales_rates_alone():
    rows = np.stack([curve(CONTRASTS, 1, 5, 2, 0.3), CONTRASTS])
    plain, scaled = fit(rows), fit(1e-3 * rows)
    for name in plain:
        factor = 1e-3 if name in ("contrast_gain", "contrast_offset") else 1
        np.testing.assert_allclose(scaled[name], factor * plain[name], rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize(
    "contrasts", [[0.1, 0.2, 0.4, 1.0], [0.1, 0.4, 0.2, 0.5, 1], [-1.0, 0, 1, 2, 3]]
)
def test_what_is_wrong_with_contrasts(contrasts):
    with pytest.raises(ConfigError, match=r"^contrasts: at least 5 are needed, ascending from 0"):
        contrast_properties(np.ones((1, len(contrasts))), np.array(contrasts, dtype=float))
