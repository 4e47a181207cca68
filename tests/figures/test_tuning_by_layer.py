from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from pipeline.analysis.tuning.distributions import macaque_distributions
from pipeline.figures.tuning_by_layer import properties_by_layer


def table(**values: list[list[float]]) -> pd.DataFrame:
    rows = [
        (f"conv{layer + 1}", unit, name, value, 28.0 * value)
        for name, layers in values.items()
        for layer, given in enumerate(layers)
        for unit, value in enumerate(given)
    ]
    return pd.DataFrame(rows, columns=["layer", "unit", "property", "value", "value_px"])


def drawn(axis) -> tuple[list[float], list[tuple[float, float]]]:
    (bars,) = axis.containers
    ends = [tuple(bar[:, 1]) for bar in bars.lines[2][0].get_segments() if len(bar)]
    return list(bars.lines[0].get_ydata()), ends


def line(axis) -> list[float]:
    return [float(each.get_ydata()[0]) for each in axis.lines if each.get_gid() == "cells"]


def test_medians_of_layers_and_of_cells():
    given = table(suppression_index=[[0.1, 0.2, 0.9], [np.nan, 0.5]])
    (axis,) = properties_by_layer(given).axes
    middle, ends = drawn(axis)
    assert middle == [0.2, 0.5]
    assert ends[0] == pytest.approx((0.1, 0.9))  # of three, the bootstrap reaches both
    assert line(axis) == [macaque_distributions()["suppression_index"].median]


def test_shares_are_in_percent_with_wilsons_intervals():
    given = table(
        simple=[[1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 0.0]], strongly_suppressed=[[1.0], [0.0]]
    )
    figure = properties_by_layer(given, properties=["simple", "strongly_suppressed"])
    middle, ends = drawn(figure.axes[0])
    assert middle == pytest.approx([100 / 3, 80])
    assert ends[0] == pytest.approx((6.15, 79.23), abs=0.01)
    assert line(figure.axes[0]) == []  # no cells
    assert line(figure.axes[1]) == pytest.approx([100 * 148 / 190])


def test_intervals_of_all_and_of_no_units_hold_the_share():
    given = table(simple=[[1.0] * 4, [0.0] * 69])
    middle, ends = drawn(properties_by_layer(given).axes[0])
    assert middle == [100, 0]
    assert (ends[0][1], ends[1][0]) == (100, 0)


def test_a_layer_without_values_says_none_and_interrupts_the_line():
    figure = properties_by_layer(table(circular_variance=[[0.5], [np.nan], [0.7]]))
    assert [text.get_text() for text in figure.findobj(Text)].count("none") == 1
    np.testing.assert_allclose(drawn(figure.axes[0])[0], [0.5, np.nan, 0.7])


def test_sizes_have_pixels_at_the_right():
    (axis,) = properties_by_layer(table(summation_field=[[1.0, 1.0], [2.0, 2.0]])).axes
    (right,) = axis.child_axes
    low, high = axis.get_ylim()
    axis.figure.draw_without_rendering()
    np.testing.assert_allclose(right.get_ylim(), [28 * low, 28 * high], rtol=1e-6)


def test_what_cannot_be_drawn_is_refused():
    given = table(preferred_hue=[[10.0], [350.0]])
    with pytest.raises(ValueError, match="preferred_hue goes around a circle and has no median"):
        properties_by_layer(given, properties=["preferred_hue"])
    with pytest.raises(ValueError, match="it has preferred_hue"):
        properties_by_layer(given)
    with pytest.raises(ValueError, match="several values of a property of one unit"):
        properties_by_layer(pd.concat([given, given]))
