"""Ranks, percentiles and drops in numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis.transfer import UnitNorms, above_others, drops, layer_matrix, matched

NAN = float("nan")
# Means 2 and 20, standard deviations 1 and 10; the third unit always says the same.
NORMS = UnitNorms(np.array([[1.0, 10.0, 5.0], [3.0, 30.0, 5.0], [NAN, 7.0, 5.0]], np.float32))


def test_responses_are_compared_within_their_unit():
    found = matched(np.array([[5.0, 30.0, 9.0], [3.0, 60.0, 5.0]]), NORMS, np.array([3.0, 8.0]))
    rows = found.set_index(["row", "unit_b"])
    assert rows["z"].round(6).tolist()[:2] == [3.0, 1.0]
    assert np.isnan(rows.loc[(0, 2), "z"])
    assert [rows.loc[(0, unit), "rank"] for unit in range(3)] == [0, 1, 2]  # silent units come last
    assert [rows.loc[(1, unit), "rank"] for unit in range(3)] == [1, 0, 2]
    assert rows.loc[(0, 0), "percentile"] == 100
    assert rows.loc[(0, 1), "percentile"] == 75  # above one of two, equal to the other
    assert rows.loc[(0, 0), "drop"] == 0
    assert rows.loc[(1, 1), "drop"] == 0.5
    assert rows.loc[(0, 0), "above_others"] == 100
    assert rows.loc[(0, 1), "above_others"] == 0


def test_a_unit_that_every_image_drives_is_above_half_of_the_others():
    rows, units = np.arange(5), np.zeros(5, np.int64)
    assert above_others(np.full((5, 1), 7.0), rows, units).tolist() == [50.0] * 5
    assert np.isnan(above_others(np.ones((1, 2)), rows[:1], units[:1])).all()
    assert np.isnan(drops(np.array([1.0]), np.array([-1.0]))).all()


def test_a_matrix_counts_each_image_once_even_if_units_tie():
    rows = {
        "layer": "a", "layer_b": "b", "unit": [0, 0, 1], "unit_b": [4, 5, 5], "rank": 0,
        "percentile": [90.0, 90.0, 100.0], "z": 1.0, "drop": 0.0, "above_others": 100.0,
    }  # fmt: skip
    (cell,) = layer_matrix(pd.DataFrame(rows), ["layer", "layer_b"]).to_dict("records")
    assert cell["images"] == 2
    assert cell["percentile_median"] == 95
    assert cell["different"] == 2


def test_responses_to_one_image_have_no_spread():
    with pytest.raises(ValueError, match="the responses to 1 images have no spread"):
        UnitNorms(np.ones((1, 3)))
