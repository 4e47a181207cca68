from __future__ import annotations

import numpy as np
import pytest

from pipeline.analysis.tuning.texture import Textures, texture_properties, variance_ratio
from pipeline.errors import ConfigError


def measure(texture, noise, blank=0.0, **how) -> dict[str, tuple[float, str]]:
    shown = Textures(np.asarray(texture, float)[None], np.asarray(noise, float)[None],
                     np.array([blank]))  # fmt: skip
    return {one.name: (one.value[0], one.flag[0]) for one in texture_properties(shown, **how)}


def test_modulation_at_its_limits():
    rates = np.random.default_rng(0).random((15, 15)) + 1
    assert measure(rates, rates)["texture_modulation"] == (0, "")
    assert measure(rates, 0 * rates)["texture_modulation"] == (1, "")
    assert measure(0 * rates, rates)["texture_modulation"] == (-1, "")
    assert measure(0 * rates, rates)["texture_modulation_size"] == (1, "")


def test_modulation_by_hand():
    # Family means above the blank: textures 3 and 1, noise 1 and 1: (1/2 + 0) / 2.
    found = measure([[3.0, 5.0], [2, 2]], [[2.0, 2.0], [1, 3]], blank=1.0)
    assert found["texture_modulation"] == (pytest.approx(0.25), "")
    assert found["max_texture"] == (3, "")
    assert found["max_noise"] == (1, "")


def test_a_family_without_any_response_is_left_out():
    found = measure([[3.0, 3.0], [0, 0]], [[1.0, 1.0], [0, 0]])
    assert found["texture_modulation"] == (0.5, "")


def test_sparseness_of_even_and_of_single_responses():
    even = measure(np.ones((15, 15)), np.zeros((15, 15)))
    assert even["texture_selectivity"][0] == pytest.approx(0)
    assert even["texture_sparseness"][0] == pytest.approx(0)
    single = np.zeros((15, 15))
    single[4, 3] = 2
    found = measure(single, np.zeros((15, 15)))
    assert found["texture_selectivity"][0] == found["texture_sparseness"][0] == pytest.approx(1)
    family = np.zeros((15, 15))
    family[4] = 2  # 15 of 225 alike: (1 - 1/15) / (1 - 1/225)
    found = measure(family, np.zeros((15, 15)))
    assert found["texture_selectivity"][0] == pytest.approx(1)
    assert found["texture_sparseness"][0] == pytest.approx((14 / 15) / (224 / 225))


def test_rates_below_the_blank_are_flagged_or_rectified():
    texture, noise = np.full((2, 2), 5.0), np.zeros((2, 2))
    plain = measure(texture, noise, blank=1.0)["texture_modulation"]
    assert plain == (pytest.approx(5 / 3), "rates below the blank: the index may leave -1 to 1")
    assert measure(texture, noise, blank=1.0, rectify=True)["texture_modulation"] == (1, "")


def test_variance_ratio_agrees_with_an_analysis_of_variance():
    rates = np.random.default_rng(0).gamma(2, 20, size=(3, 5, 7)) * np.arange(1, 6)[:, None]
    found = variance_ratio(rates)
    for unit, own in enumerate(rates):
        x = np.sqrt(own / 10) + np.sqrt(own / 10 + 1)
        within = np.mean([np.var(family, ddof=1) for family in x])
        between = np.var(x.mean(axis=1), ddof=1) - within / 7
        share = between / (between + within)
        assert found[unit] == pytest.approx((share + 0.02) / (1 - share + 0.02))
    assert np.isnan(variance_ratio(np.ones((1, 3, 3)))[0])


def test_a_single_family_or_sample():
    for shape in ((1, 1, 5), (1, 5, 1)):
        with pytest.raises(
            ConfigError, match=r"^textures: at least 2 families of 2 samples are needed, not"
        ):
            Textures(np.ones(shape), np.ones(shape), np.zeros(1))


def test_units_without_responses_have_reasons():
    rates = np.ones((4, 3, 2))
    texture = rates * np.array([0.0, 1.0, 1.0, np.nan])[:, None, None]
    blank = np.array([0.0, 1.0, 3.0, 0.0])
    found = texture_properties(Textures(texture, texture.copy(), blank))
    for one in found:
        assert np.isnan(one.value).all()
        assert one.flag.tolist() == [
            "the unit does not respond",
            "the unit does not respond",
            "no family of textures exceeds the blank",
            "responses are not finite",
        ]
        assert not one.studied.any()
    found = texture_properties(Textures(rates, rates, np.zeros(4)), threshold=5.0)
    assert found[0].flag[0] == "no family of textures exceeds the blank by 5"
