from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.cone_colors import GRAY, cone_contrasts, isoluminant
from pipeline.analysis.tuning.color import chromatic_preference, cone_weights, hue_properties
from pipeline.errors import ConfigError

HUES = np.arange(24) * 15.0


@settings(max_examples=25)
@given(st.floats(0, 359), st.floats(0.01, 1), st.floats(0.01, 100))
def test_preferred_hue_and_selectivity_of_a_cosine(hue: float, depth: float, gain: float):
    rates = gain * (1 + depth * np.cos(np.deg2rad(HUES - hue)))[None]
    preferred, selectivity = hue_properties(rates, HUES, np.zeros(1))
    assert (preferred.value[0] - hue + 180) % 360 - 180 == pytest.approx(0, abs=1e-4)
    assert selectivity.value[0] == pytest.approx(depth / 2, abs=1e-6)


def test_hues_without_a_preference_have_reasons():
    rows = np.stack([np.zeros(24), np.full(24, 2.0), np.append(np.nan, np.ones(23)),
                     1 + np.cos(2 * np.deg2rad(HUES))])  # fmt: skip
    preferred, selectivity = hue_properties(rows, HUES, np.zeros(4))
    assert preferred.flag.tolist() == [
        "the unit does not respond",
        "responses do not differ",
        "responses are not finite",
        "no hue is preferred: the responses balance",
    ]
    assert np.isnan(preferred.value).all()
    assert selectivity.value[3] == pytest.approx(0, abs=1e-12)
    assert preferred.studied.tolist() == [False, True, False, True]


@settings(max_examples=25)
@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3), st.floats(0.1, 50))
def test_cone_weights_of_linear_units(weights: list[float], gain: float):
    true = np.array(weights)
    if np.abs(true).sum() < 0.1 or (np.abs(true) < 1e-3).any():
        return
    contrasts = np.random.default_rng(0).normal(0, 0.2, size=(30, 3))
    found = {
        m.name: m.value[0] for m in cone_weights((gain * contrasts @ true + 3)[None], contrasts)
    }
    expected = true / np.abs(true).sum()
    for cone, share in zip("lms", expected, strict=True):
        assert found[f"cone_weight_{cone}"] == pytest.approx(share, abs=1e-6)
    assert found["cone_opponent"] == float(true.min() < 0 < true.max())
    assert found["cone_fit"] == pytest.approx(1)


def test_colors_that_do_not_tell_cones_apart():
    rates = np.ones((1, 24))
    with pytest.raises(ConfigError, match=r"^cone weights: colors must vary along L, M and S"):
        cone_weights(rates, cone_contrasts(GRAY + isoluminant(HUES)))
    colors = np.concatenate([GRAY + isoluminant(HUES), [[0.6, 0.6, 0.6]]])
    flat = cone_weights(np.ones((1, 25)), cone_contrasts(colors))
    assert np.isnan([one.value[0] for one in flat]).all()
    assert flat[0].flag[0] == "responses do not differ"


def test_preference_for_color():
    color = np.array([[1.0, 5.0], [1.0, 1.0], [0.0, -1.0], [np.nan, 1.0]])
    gray = np.array([[2.0], [9.0], [-3.0], [1.0]])
    found = chromatic_preference(color, gray, np.array([1.0, 1.0, 0.0, 0.0]))
    np.testing.assert_allclose(found.value, [0.8, 0, np.nan, np.nan])
    assert found.flag.tolist() == [
        "", "", "the unit does not respond", "responses are not finite"
    ]  # fmt: skip


def test_what_is_wrong_with_colors():
    with pytest.raises(ConfigError, match="they must fill 360 degrees"):
        hue_properties(np.ones((1, 4)), np.arange(4.0), np.zeros(1))
