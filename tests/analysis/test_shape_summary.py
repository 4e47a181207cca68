from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pipeline.analysis.shape_summary import shape_summary
from pipeline.analysis.statistics import wilson_interval

UNITS = pd.DataFrame(
    {
        "layer": ["conv2"] * 3 + ["conv1"] * 2,
        "apc_r": [0.9, 0.5, np.nan, np.nan, np.nan],
        "null_r": [0.1, 0.3, np.nan, np.nan, np.nan],
        "translation_invariance": [0.2, np.nan, 0.6, np.nan, np.nan],
    }
)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_intervals_are_those_of_scipy(counts: tuple[int, int]):
    expected = binomtest(*counts).proportion_ci(0.95, method="wilson")
    assert wilson_interval(*counts) == pytest.approx((expected.low, expected.high), abs=1e-7)


def test_a_share_of_nothing_has_no_interval():
    assert np.isnan(wilson_interval(0, 0)).all()


def test_layers_keep_their_order_and_missing_numbers_do_not_count():
    found = shape_summary(UNITS)
    assert found["layer"].tolist() == ["conv2", "conv1"]
    first, second = found.iloc[0], found.iloc[1]
    assert first[["units", "fitted", "moved"]].tolist() == [3, 2, 2]
    assert first[["median_r", "tuned", "null_r"]].tolist() == pytest.approx([0.7, 0.5, 0.2])
    assert first["median_invariance"] == pytest.approx(0.4)
    assert (first["invariance_low"], first["invariance_high"]) == (0.2, 0.6)
    assert second[["units", "fitted", "moved"]].tolist() == [2, 0, 0]
    assert second.drop(["layer", "units", "fitted", "moved"]).isna().all()


def test_conditions_are_named_and_change_nothing():
    both = shape_summary({"trained": UNITS, "shuffled": UNITS.iloc[3:]})
    assert both["condition"].tolist() == ["trained", "trained", "shuffled"]
    alone = shape_summary(UNITS)
    pd.testing.assert_frame_equal(both.iloc[:2].drop(columns="condition"), alone)
