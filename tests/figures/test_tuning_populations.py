from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from pipeline.analysis.tuning.distributions import macaque_distributions, own_distributions
from pipeline.figures.tuning_populations import population_histograms

SHARE = 0.88  # of a row, for the largest share of a panel


def table(**values: list[float]) -> pd.DataFrame:
    """Return a table of two layers, of which the second has the values in reverse less one."""
    rows = [
        (layer, unit, name, value)
        for layer in ("conv1", "conv2")
        for name, given in values.items()
        for unit, value in enumerate(given if layer == "conv1" else given[:-1])
    ]
    return pd.DataFrame(rows, columns=["layer", "unit", "property", "value"])


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def heights(axis, gid: str) -> list[np.ndarray]:
    """Return the heights above their baselines, as shares of a row."""
    found = [patch for patch in axis.patches if patch.get_gid() == gid]
    return [patch.get_data().baseline - patch.get_data().values for patch in found]


def marks(axis, gid: str) -> list[float]:
    return [float(line.get_xdata()[0]) for line in axis.lines if line.get_gid() == gid]


def test_rows_are_the_shares_of_units_over_those_of_cells_at_one_scale():
    given = table(suppression_index=[0.1, 0.1, 0.3, 5.0, np.nan, -1.0])
    (axis,) = population_histograms(given).axes
    # 3 (with what lies below) of 5 in the first bin, 1 in the second, 1 (beyond) in the last.
    expected = np.array([3, 1, 0, 0, 0, 0, 0, 0, 0, 1]) / 5
    scale = SHARE / expected.max()
    np.testing.assert_allclose(heights(axis, "conv1")[0], expected * scale)
    cells = np.array([66, 44, 38, 23, 16, 3, 0, 0, 0, 0]) / 190
    assert len(heights(axis, "cells")) == 2
    for row in heights(axis, "cells"):
        np.testing.assert_allclose(row, cells * scale, atol=1e-12)
    assert [text.get_text() for text in axis.get_yticklabels()] == ["conv1", "conv2"]
    assert {"60 %", "5", "4"} <= set(words(axis.figure))
    assert "190 cells: Cavanaugh, Bair & Movshon 2002" in words(axis.figure)


def test_medians_are_those_of_units_and_of_cells_and_stay_inside():
    (axis,) = population_histograms(table(summation_field=[0.5, 2.0, 3.0, 900.0])).axes
    assert marks(axis, "median") == [2.5, 2.0]
    assert marks(axis, "median of cells") == [macaque_distributions()["summation_field"].median]
    assert axis.get_xscale() == "log"
    beyond = population_histograms(table(summation_field=[900.0, 900.0])).axes[0]
    assert marks(beyond, "median") == [16.0, 16.0]
    assert axis.get_xlabel() == "degrees of visual angle"


def test_yes_and_no_and_what_goes_around_have_no_median():
    figure = population_histograms(
        table(strongly_suppressed=[0.0, 1.0], preferred_orientation=[9.0])
    )
    assert [marks(axis, "median") for axis in figure.axes] == [[], []]
    ticks = [[text.get_text() for text in axis.get_xticklabels()] for axis in figure.axes]
    assert ticks[0] == ["no", "yes"]
    np.testing.assert_allclose(figure.axes[1].get_xticks(), [0, 45, 90, 135])


def test_properties_without_cells_come_last_and_say_so():
    given = table(circular_variance=[0.1, 0.9], peak_frequency=[2.0, 3.0], hue_selectivity=[0.0, 1])
    figure = population_histograms(given)
    names = "peak spatial frequency", "circular variance"
    assert [text for text in words(figure) if text in names] == list(names)
    assert len(figure.axes) == 2  # hue selectivity has no published bins
    assert words(figure).count("no macaque data available") == 1
    assert heights(figure.axes[1], "cells") == []
    (own,) = population_histograms(given, properties=["hue_selectivity"]).axes
    np.testing.assert_allclose(own.get_xlim(), [0, 1])
    np.testing.assert_allclose(heights(own, "conv1")[0][[0, -1]], [SHARE / 2, SHARE / 2])


def test_bins_of_rates_without_cells_are_those_of_the_units():
    (axis,) = population_histograms(table(max_dc=[0.01, 0.04]), properties=["max_dc"]).axes
    np.testing.assert_allclose(axis.get_xlim(), [0.01, 0.04])
    (axis,) = population_histograms(table(max_dc=[17.0, 30.0]), properties=["max_dc"]).axes
    assert len(axis.get_xticks()) == 3  # no two powers of 2 lie within


def test_similarities_stand_beside_their_rows_with_intervals():
    populations = pd.DataFrame(
        {"layer": ["conv1", "conv2"], "property": "suppression_index", "raw": [0.512, 0.9],
         "ceiling": 0.957, "low": [0.45, np.nan], "high": [0.58, np.nan]}
    )  # fmt: skip
    figure = population_histograms(table(suppression_index=[0.1, 0.2, 0.3]), populations)
    assert {"0.51 [0.45, 0.58]", "0.90", "similarity (0.96)"} <= set(words(figure))
    none = populations.assign(raw=0.0, low=0.0, high=0.0, units=[0, 3])
    said = words(population_histograms(table(suppression_index=[0.1, 0.2]), none))
    assert {"undefined", "0.00 [0.00, 0.00]"} <= set(said)
    without = words(population_histograms(table(suppression_index=[0.1, 0.2])))
    assert not [text for text in without if text.startswith("similarity")]


def test_cells_of_a_lab_take_the_place_of_the_macaques():
    cells = own_distributions(pd.DataFrame({"property": "circular_variance", "value": [0.1, 0.9]}))
    (axis,) = population_histograms(table(circular_variance=[0.1, 0.9]), distributions=cells).axes
    assert "2 cells: the table" in words(axis.figure)
    np.testing.assert_allclose(heights(axis, "cells")[0], heights(axis, "conv1")[0])


def test_a_layer_in_which_a_property_is_defined_in_no_unit_is_an_empty_row():
    given = table(peak_frequency=[1.0, np.nan])
    given.loc[given["layer"] == "conv2", "value"] = np.nan
    (axis,) = population_histograms(given).axes
    assert heights(axis, "conv2")[0].max() == 0
    assert len(marks(axis, "median")) == 1


@pytest.mark.parametrize("layers", [1, 26])
def test_a_page_holds_all_layers(layers: int):
    names = [f"features.{n}" for n in range(layers)]
    columns = {"unit": 0, "value": 1.0}
    given = pd.DataFrame(
        [{"layer": layer, "property": name, **columns}
         for layer in names for name in macaque_distributions()]
    )  # fmt: skip
    figure = population_histograms(given)
    assert len(figure.axes) == 9
    assert figure.get_figheight() < 9.9
    assert all(len(heights(axis, "cells")) == layers for axis in figure.axes)


def test_what_cannot_be_drawn_is_refused():
    given = table(peak_frequency=[1.0, 2.0])
    with pytest.raises(ValueError, match="select one rate map, before or after the nonlinearity"):
        population_histograms(pd.concat([given, given]))
    with pytest.raises(ValueError, match="has no property simple; it has peak_frequency"):
        population_histograms(given, properties=["simple"])
    with pytest.raises(ValueError, match="that was measured in animals; it has field_x"):
        population_histograms(table(field_x=[1.0, 2.0]))
    with pytest.raises(ValueError, match="the table has no column ceiling"):
        population_histograms(
            given, pd.DataFrame({"layer": ["a"], "property": ["b"], "raw": [1.0]})
        )
