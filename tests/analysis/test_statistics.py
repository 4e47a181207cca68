from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from pipeline.analysis.statistics import bootstrap_median, shuffled_partners, summarize, unit_means


@given(st.integers(2, 400), st.integers(0, 10))
def test_every_unit_has_another_as_partner_and_each_is_one(units: int, seed: int):
    partners = shuffled_partners(units, np.random.default_rng(seed))
    assert sorted(partners) == list(range(units))
    assert (partners != np.arange(units)).all()


def test_partners_differ_with_the_seed():
    first, second = (shuffled_partners(50, np.random.default_rng(seed)) for seed in (0, 1))
    assert (first != second).any()


def test_interval_has_the_width_that_theory_gives():
    # The median of n normal values has standard deviation sqrt(pi / 2n).
    values = norm.ppf((np.arange(1000) + 0.5) / 1000)
    low, high = bootstrap_median(values, np.random.default_rng(0), resamples=4000)
    expected = 2 * 1.96 * np.sqrt(np.pi / 2 / 1000)
    assert high - low == pytest.approx(expected, rel=0.15)
    assert low < 0 < high


def test_summary_by_hand():
    values = np.array([0.0, 0.1, 0.2, 0.3, np.nan, 0.9])
    null = np.array([0.0, np.nan, -0.2, 0.4, np.nan, np.nan])
    row = summarize(values, null, np.random.default_rng(0))
    assert row["units"] == 6
    assert row["undefined"] == 1
    assert row["median"] == pytest.approx(0.2)
    assert row["mean"] == pytest.approx(0.3)
    assert row["q25"] == pytest.approx(0.1)
    assert row["q75"] == pytest.approx(0.3)
    assert row["null_median"] == pytest.approx(0.0)
    assert 0.0 <= row["ci_low"] <= 0.2 <= row["ci_high"] <= 0.9


def test_a_unit_counts_once_however_many_images_it_has():
    units = np.array([7, 7, 2, 2, 5, 5])
    values = np.array([0.1, 0.3, 0.5, np.nan, np.nan, np.inf])
    np.testing.assert_allclose(unit_means(units, values), [0.2, 0.5, np.nan])
    one = summarize(np.array([0.4]), np.array([0.1]), np.random.default_rng(0))
    assert (one["units"], one["median"], one["null_median"]) == (1, 0.4, 0.1)
    assert np.isnan([one["ci_low"], one["ci_high"]]).all()  # one unit says nothing of their spread


def test_nothing_defined_gives_a_row_without_numbers():
    row = summarize(np.full(3, np.nan), np.full(3, np.nan), np.random.default_rng(0))
    assert row["units"] == row["undefined"] == 3
    rest = [row[name] for name in ("median", "mean", "q25", "q75", "ci_low", "ci_high")]
    assert np.isnan(rest).all()
    assert np.isnan(row["null_median"])
