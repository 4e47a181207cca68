from __future__ import annotations

import numpy as np
import pytest

from pipeline.analysis.tuning.rates import (
    IDENTITY,
    fraction_rectified,
    marques2020_rate_map,
    responsive_units,
)
from pipeline.errors import ConfigError


def test_identity_only_rectifies():
    responses = np.array([[-1.0, 0.0, 2.5]], dtype=np.float32)
    np.testing.assert_array_equal(IDENTITY(responses), [[0, 0, 2.5]])
    assert IDENTITY.threshold == 0


def test_the_median_unit_fires_like_a_cell():
    rng = np.random.default_rng(0)
    gratings, blank = rng.gamma(2, size=(31, 3, 4, 8)), rng.uniform(0, 0.3, 31)
    rates = marques2020_rate_map(gratings, blank)
    best = gratings.mean(axis=-1).reshape(31, -1).max(axis=1)
    assert np.median(rates(best)) == pytest.approx(33.8)
    assert np.median(rates(blank)) == pytest.approx(0.82)
    assert rates.threshold == 5
    slope = (33.8 - 0.82) / (np.median(best) - np.median(blank))
    assert rates.slope == pytest.approx(slope)
    assert rates(np.array([-3.0]))[0] == pytest.approx(max(0, rates.offset))


def test_weak_and_broken_units_count_for_nothing():
    gratings = np.array([[10.0], [8.0], [0.1], [-5.0], [np.nan], [np.inf]])[:, :, None]
    blank = np.zeros(6)
    best = np.maximum(gratings[:, 0, 0], 0)
    # 5 / 243.1 of 10 is 0.206.
    assert responsive_units(best, blank).tolist() == [True, True] + [False] * 4
    assert marques2020_rate_map(gratings, blank)(np.array([9.0]))[0] == pytest.approx(33.8)
    assert responsive_units(np.array([0.205, 0.206, 10.0]), np.zeros(3)).tolist() == [
        False, True, True
    ]  # fmt: skip


def test_a_large_blank_cannot_bring_rates_below_zero():
    gratings = np.array([[5.0], [6.0], [7.0]])[:, :, None]
    rates = marques2020_rate_map(gratings, np.array([4.0, 4.0, 4.0]))
    assert rates.offset < 0
    assert rates(np.array([0.0]))[0] == 0


def test_the_fraction_that_is_rectified():
    responses = np.array([[[-1.0, 2.0], [0.0, -3.0]], [[1.0, 1.0], [1.0, 1.0]]])
    assert fraction_rectified(responses).value.tolist() == [0.5, 0]
    found = fraction_rectified(np.array([[np.nan, -1.0]]))
    assert np.isnan(found.value[0])
    assert found.flag.tolist() == ["responses are not finite"]


@pytest.mark.parametrize("units", [0, 3])  # none where no unit of a layer has finite responses
def test_layers_without_responses_have_no_such_map(units: int):
    with pytest.raises(ConfigError, match=r"^rate_map: marques2020 needs units that respond to"):
        marques2020_rate_map(np.zeros((units, 2, 8)), np.ones(units))
