"""Noise and adaptation: mean and variance by hand, and streams of their own."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import RandomState

from pipeline.errors import ConfigError
from pipeline.synthesis.evolution.adaptation import exponential
from pipeline.synthesis.evolution.noises import Noise, fano, gaussian, multiplicative, poisson

DRAWS = 200_000


def half_normal(level: float) -> tuple[float, float]:
    """Return mean and variance of max(0, 1 + level N), for a small chance of 0."""
    edge = 1 / level
    density = math.exp(-(edge**2) / 2) / math.sqrt(2 * math.pi)
    above = 0.5 * (1 + math.erf(edge / math.sqrt(2)))
    mean = above + level * density
    return mean, (1 + level**2) * above + level * density - mean**2


@pytest.mark.parametrize(
    ("noise", "response", "mean", "variance"),
    [
        (poisson(scale=5.0), 3.0, 3.0, 3 / 5),
        (poisson(scale=0.5), 1e-3, 1e-3, 2e-3),
        (poisson(scale=5.0), -2.0, 0.0, 0.0),
        (gaussian(scale=2.0), -3.0, -3.0, 4.0),
        (multiplicative(level=0.2), 10.0, 10.0, 4.0),
        (multiplicative(level=2.0), 1.0, *half_normal(2.0)),
        # Far from 0, where nothing is cut: variance (scale r + level + 0.0001) / scale squared.
        (fano(scale=0.35, level=0.07), 100.0, 100.0, (35 + 0.07 + 1e-4) / 0.35**2),
        (fano(scale=2.0, level=0.0), 50.0, 50.0, (100 + 1e-4) / 4),
    ],
)
def test_mean_and_variance(noise: Noise, response: float, mean: float, variance: float):
    drawn = noise(np.full(DRAWS, response), RandomState(0))
    spread = math.sqrt(variance / DRAWS)
    assert abs(drawn.mean() - mean) <= 4 * spread
    # The fourth moments of all of these are below 12 times the squared variance.
    tolerance = 4 * math.sqrt(12 / DRAWS) if response > 0.1 else 0.25
    assert drawn.var() == pytest.approx(variance, rel=tolerance)


def test_fano_noise_has_no_negative_responses():
    drawn = fano()(np.full(1000, 0.1), RandomState(0))
    assert drawn.min() == 0
    assert drawn.max() > 0.5


def test_noise_leaves_missing_responses_missing():
    for noise in (poisson(), gaussian(), multiplicative(), fano()):
        drawn = noise(np.array([[1.0, np.nan], [2.0, 3.0]]), RandomState(0))
        assert np.isnan(drawn).tolist() == [[False, True], [False, False]]


def test_adaptation_falls_to_its_floor():
    gains = exponential(floor=0.2, constant=10.0).gains(np.array([0, 10, 1000]))
    np.testing.assert_allclose(gains, [1, 0.2 + 0.8 / math.e, 0.2], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: poisson(scale=0), "noise.scale: 0 is not a number above 0"),
        (
            lambda: poisson(scale=1e30),
            r"noise.scale: 1e\+30 is more than 1e\+09; leave out the noise",
        ),
        (lambda: gaussian(scale=-1), "noise.scale: -1 is not a number 0 or more"),
        (lambda: fano(level=math.nan), "noise.level: nan is not a number 0 or more"),
        (lambda: exponential(floor=2.0), "adaptation.floor: 2.0 is not a gain from 0 to 1"),
        (lambda: exponential(constant=0), "adaptation.constant: 0 is not a positive number of que"),
    ],
)
def test_wrong_settings_are_refused(make: Callable[[], object], sentence: str, untyped: None):
    with pytest.raises(ConfigError, match=f"^{sentence}"):
        make()
