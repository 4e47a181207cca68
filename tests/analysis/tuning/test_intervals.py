from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.analysis.tuning.intervals import Bootstrap, Noise, resampling, with_intervals
from pipeline.analysis.tuning.measured import Measured
from pipeline.analysis.tuning.orientation import orientation_properties
from pipeline.analysis.tuning.phases import TuningSlice, mean_and_modulation, tuning_slice
from pipeline.analysis.tuning.texture import Textures, texture_properties
from pipeline.errors import ConfigError


def measured_mean(rates: np.ndarray, rows: np.ndarray) -> list[Measured]:
    said = np.full(len(rows), "", dtype=object)
    return [Measured("max_dc", rates.mean(axis=1), said, np.full(len(rows), True))]


def tuned(gabor_gratings, gain: float = 100.0) -> TuningSlice:
    shown = gabor_gratings(*({"theta0": angle} for angle in (0.0, 33.0, 60.0, 158.0)))
    return tuning_slice(replace(shown, rates=gain * shown.rates + 5), "orientation")


def intervals_of(sliced: TuningSlice, units, **how) -> dict[str, Measured]:
    found = with_intervals(
        lambda rates, rows: orientation_properties(sliced.redrawn(rates, rows)),
        sliced.rates,
        units,
        Bootstrap(**how),
    )
    return {one.name: one for one in found}


@pytest.mark.parametrize(
    ("noise", "variance"),
    [
        (Noise("gaussian", sd=3.0, repeats=4), [2.25, 2.25]),
        (Noise("poisson", repeats=10, window=0.2), [5.0, 20.0]),
        (Noise("fano", fano=1.5, repeats=20, window=0.1), [7.5, 30.0]),
        (Noise("fano", fano=0.0), [0.0, 0.0]),
    ],
)
def test_means_and_variances_of_the_noise(noise: Noise, variance: list[float]):
    drawn = noise(np.array([10.0, 40.0]), 40000, np.random.default_rng(0))
    np.testing.assert_allclose(drawn.mean(axis=0), [10, 40], rtol=0.01)
    np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=0.03)


def test_intervals_of_a_mean_cover_it_as_often_as_they_say():
    rng = np.random.default_rng(0)
    noise = Noise("gaussian", sd=4.0, repeats=4)
    observed = 20 + rng.normal(0, 2, size=(400, 10))
    found = with_intervals(measured_mean, observed, range(400), Bootstrap(noise, draws=400))[0]
    covered = ((found.low < 20) & (found.high > 20)).mean()
    assert covered == pytest.approx(0.95, abs=0.04)
    expected = 2 * 1.96 * 2 / np.sqrt(10)
    assert (found.high - found.low).mean() == pytest.approx(expected, rel=0.03)


def test_narrower_level_narrower_interval(gabor_gratings):
    sliced = tuned(gabor_gratings)
    wide = intervals_of(sliced, range(4), draw=Noise(), draws=60)["circular_variance"]
    narrow = intervals_of(sliced, range(4), draw=Noise(), draws=60, level=0.5)["circular_variance"]
    assert (wide.low < narrow.low).all()
    assert (narrow.high < wide.high).all()


def test_all_properties_have_intervals_around_their_values(gabor_gratings):
    found = intervals_of(tuned(gabor_gratings), range(4), draw=Noise(), draws=100)
    for name in ("circular_variance", "orientation_bandwidth_interpolated", "modulation_ratio"):
        one = found[name]
        assert (one.low <= one.high).all()
        assert (one.high - one.low < 0.5 * one.value + 0.2).all()
    preferred = found["preferred_orientation"]
    # Around 157.5 degrees, where the circle is cut, the interval does not go around it.
    assert preferred.value.tolist() == [0, 33, 60, -22]
    assert ((preferred.low <= preferred.value) & (preferred.value <= preferred.high)).all()
    assert (preferred.high - preferred.low < 20).all()


def test_a_unit_has_the_same_interval_in_any_company(gabor_gratings, monkeypatch):
    sliced = tuned(gabor_gratings)
    whole = intervals_of(sliced, [7, 8, 9, 10], draw=Noise(), draws=20)
    one = sliced.redrawn(sliced.rates[2:3], np.array([2]))
    alone = intervals_of(one, [9], draw=Noise(), draws=20)
    monkeypatch.setattr("pipeline.analysis.tuning.intervals._AT_ONCE", 1)
    parts = intervals_of(sliced, [7, 8, 9, 10], draw=Noise(), draws=20)
    other = intervals_of(sliced, [7, 8, 9, 10], draw=Noise(), draws=20, seed=1)
    for name in whole:
        np.testing.assert_array_equal(whole[name].low[2:3], alone[name].low)
        np.testing.assert_array_equal(whole[name].high, parts[name].high)
    assert (other["circular_variance"].low != whole["circular_variance"].low).any()
    layer = intervals_of(sliced, [7, 8, 9, 10], draw=Noise(), draws=20, layer="features.3")
    assert (layer["circular_variance"].low != whole["circular_variance"].low).all()


def test_a_flag_says_where_noise_biases_a_property():
    """Of noise alone the first harmonic is a Rayleigh variable, which is never 0."""
    sd, phases = 2.0, np.arange(8) * np.pi / 4
    modulated = np.stack([np.zeros(8), 20 * np.cos(phases)]) + 30

    def modulation(rates: np.ndarray, rows: np.ndarray) -> list[Measured]:
        said = np.full(len(rows), "", dtype=object)
        ac = mean_and_modulation(rates)[1]
        return [Measured("max_ac", ac, said, np.full(len(rows), True))]

    how = Bootstrap(Noise("gaussian", sd=sd, repeats=1), draws=4000)
    (found,) = with_intervals(modulation, modulated, [0, 1], how)
    assert found.flag.tolist() == ["the draws are biased: the value lies below its interval", ""]
    spread = sd * np.sqrt(2 / 8)  # of the cosine's and of the sine's amplitude
    known = spread * np.sqrt(-2 * np.log(1 - np.array([0.025, 0.975])))
    np.testing.assert_allclose([found.low[0], found.high[0]], known, rtol=0.1)


def test_values_that_are_undefined_have_no_interval(gabor_gratings):
    sliced = tuned(gabor_gratings)
    dead = replace(sliced, defined=np.array([False, True, True, True]))
    found = intervals_of(dead, range(4), draw=Noise(), draws=20)["circular_variance"]
    assert np.isnan(found.low).tolist() == [True, False, False, False]


def test_resampled_stimuli_agree_with_the_standard_error():
    samples = np.random.default_rng(0).normal(size=(1, 50))
    found = with_intervals(measured_mean, samples, [0], Bootstrap(resampling(0), draws=4000))[0]
    error = samples.std() / np.sqrt(50)
    assert found.high[0] - found.low[0] == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_textures_and_their_noise_are_drawn_together():
    drawn = resampling(2)(np.arange(24.0).reshape(2, 3, 4), 50, np.random.default_rng(0))
    assert drawn.shape == (50, 2, 3, 4)
    np.testing.assert_array_equal(drawn[:, 1] - drawn[:, 0], np.full((50, 3, 4), 12))
    np.testing.assert_array_equal(
        drawn[:, 0] // 4, np.broadcast_to(np.arange(3)[:, None], (50, 3, 4))
    )
    assert len(np.unique(drawn[:, 0, 0] - drawn[:, 0, 1])) > 1  # families are drawn independently


def test_intervals_over_samples_of_textures():
    rng = np.random.default_rng(0)
    rates = rng.gamma(5, 2, size=(3, 2, 5, 15)) + np.array([4.0, 0.0])[:, None, None]
    shown = Textures(rates[:, 0], rates[:, 1], np.zeros(3))
    found = with_intervals(
        lambda drawn, rows: texture_properties(shown.redrawn(drawn, rows)),
        rates,
        range(3),
        Bootstrap(resampling(2), draws=100),
    )
    assert found[0].name == "texture_modulation"
    assert (found[0].low > 0).all()
    assert (found[0].low < found[0].value).all()
    assert (found[0].value < found[0].high).all()


def test_what_is_wrong_with_noise():
    with pytest.raises(ConfigError, match=r"^noise: 'poison' is not a kind of noise; .*: poisson$"):
        Noise("poison")
    with pytest.raises(ConfigError, match=r"^noise: sd and fano must be at least 0, repeats at le"):
        Noise(repeats=0)
    with pytest.raises(ConfigError, match=r"^noise: poisson noise needs rates of at least 0; subt"):
        Noise()(np.array([-1.0]), 2, np.random.default_rng(0))
    with pytest.raises(ConfigError, match=r"^intervals: at least 2 draws and a level between 0 an"):
        Bootstrap(Noise(), draws=1)
