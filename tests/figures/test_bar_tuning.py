from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.figures import style
from pipeline.figures.bar_tuning import bar_tuning

CONTRASTS = [-1.0, -0.25, 0.0, 0.25, 1.0]


def curves(units: int = 2) -> pd.DataFrame:
    parts = []
    for unit in range(units):
        for parameter, values in {
            "length": [2.0, 4.0, 8.0],
            "width": [1.0, 2.0],
            "orientation": [0.0, 60.0, 120.0],
            "polarity": [-1.0, 1.0],
            "contrast": CONTRASTS,
        }.items():
            response = np.arange(len(values)) + 10.0 * unit
            part = pd.DataFrame({"value": values, "response": response, "mean": 0.1 * response})
            part["peak"] = part.index == len(part) - 1
            parts.append(part.assign(layer="conv1", unit=unit, parameter=parameter))
    return pd.concat(parts, ignore_index=True)


def line(axis, gid: str) -> np.ndarray:
    (found,) = [each for each in axis.lines if each.get_gid() == gid]
    return np.stack([np.asarray(each, np.float64) for each in found.get_data()])


def test_a_row_for_each_unit_and_a_panel_for_each_parameter():
    figure = bar_tuning(curves(), "title")
    assert len(figure.axes) == 2 * 5
    length = figure.axes[5]
    np.testing.assert_allclose(line(length, "response"), [[2, 4, 8], [10, 11, 12]])
    np.testing.assert_allclose(line(length, "mean")[1], [1.0, 1.1, 1.2])
    np.testing.assert_allclose(line(length, "peak"), [[8], [12]])
    assert length.get_ylabel() == "conv1\nunit 1"
    below = [axis.get_xlabel().replace("\n", " ") for axis in figure.axes[5:]]
    assert below == ["length (pixels)", "width (pixels)", "orientation (degrees from vertical)",
                     "polarity", "contrast on gray"]  # fmt: skip
    assert {axis.get_ylim() for axis in figure.axes[5:]} == {length.get_ylim()}


def test_orientation_comes_round():
    np.testing.assert_allclose(
        line(bar_tuning(curves()).axes[2], "response"), [[0, 60, 120, 180], [0, 1, 2, 0]]
    )


def test_contrasts_of_both_polarities_and_gray():
    axis = bar_tuning(curves(1)).axes[4]
    np.testing.assert_allclose(line(axis, "contrast -1"), [[1, 0.25], [0, 1]])
    np.testing.assert_allclose(line(axis, "contrast 1"), [[0.25, 1], [3, 4]])
    assert set(line(axis, "gray")[1]) == {2.0}
    assert axis.get_xscale() == "log"
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1/4", "1"]


def test_a_unit_that_responds_most_to_gray_alone_has_no_peak_on_the_axis():
    table = curves(1)
    contrast = table["parameter"] == "contrast"
    table.loc[contrast, "peak"] = table.loc[contrast, "value"] == 0
    figure = bar_tuning(table)
    assert "peak" not in [each.get_gid() for each in figure.axes[4].lines]
    style.render(figure, "png", 50)  # the layout has room for all panels


def test_units_of_several_layers_have_numbers_of_their_own():
    table = pd.concat([curves(1), curves(1).assign(layer="conv2")])
    figure = bar_tuning(table)
    shown = [
        axis.xaxis.get_tick_params()["labelbottom"] for axis in (figure.axes[0], figure.axes[5])
    ]
    assert shown == [True, True]
    one = bar_tuning(curves(2))
    assert one.axes[0].xaxis.get_tick_params()["labelbottom"] is False


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"^11 units do not fit on a page; select up to 10$"):
        bar_tuning(curves(11))
    with pytest.raises(ValueError, match="the table has no column mean"):
        bar_tuning(curves().drop(columns="mean"))
