from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Polygon
from matplotlib.text import Text

from pipeline.figures.shape_tuning import (
    ExampleUnit,
    example_units,
    fit_by_layer,
    invariance_by_layer,
)

TABLE = pd.DataFrame(
    {
        "model": "alexnet",
        "layer": ["conv1"] * 4 + ["conv2"] * 5,
        "apc_r": [0.3, 0.6, np.nan, 0.4, 0.51, 0.6, 0.7, 0.2, 0.9],
        "null_r": 0.15,
        "translation_invariance": [np.nan] * 4 + [0.1, 0.5, 0.6, 0.8, 0.9],
    }
)


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def values(axis) -> list[float]:
    """Return the heights of the points that are drawn with intervals."""
    return [y for bars in axis.containers for y in bars.lines[0].get_ydata()]


def ends(axis) -> list[list[tuple[float, float]]]:
    """Return the ends of their intervals where there are any, by condition."""
    drawn = [bars.lines[2][0].get_segments() for bars in axis.containers]
    return [[tuple(bar[:, 1]) for bar in bars if len(bar)] for bars in drawn]


def test_shares_are_of_fitted_units_with_intervals():
    shares = fit_by_layer(TABLE).axes[0]
    assert values(shares) == pytest.approx([100 / 3, 80])
    # Of 1 of 3 and 4 of 5, by Wilson's formula.
    assert ends(shares)[0] == [
        pytest.approx((6.15, 79.23), abs=0.01),
        pytest.approx((37.55, 96.38), abs=0.01),
    ]


def test_controls_stand_beside_the_network():
    control = TABLE.assign(apc_r=[0.1] * 8 + [0.6], translation_invariance=0.2)
    tables = {"trained": TABLE, "shuffled": control}
    figure = fit_by_layer(tables)
    assert {"trained", "shuffled", "null (shapes shuffled)"} <= set(words(figure))
    shares, boxes = figure.axes
    assert values(shares) == pytest.approx([100 / 3, 80, 0, 20])
    assert len(boxes.patches) == 6  # two conditions and the null, in two layers
    assert values(invariance_by_layer(tables).axes[0]) == pytest.approx(
        [np.nan, 0.6, 0.2, 0.2], nan_ok=True
    )
    with pytest.raises(ValueError, match="no table is given"):
        fit_by_layer({})


def test_tables_of_the_library_have_no_model():
    titles = [axis.get_title() for axis in fit_by_layer(TABLE.drop(columns="model")).axes]
    assert titles[0].replace("\n", " ") == "tuning to boundary curvature"


def test_a_null_that_was_not_computed_is_not_in_the_legend():
    assert {"units", "null (shapes shuffled)"} <= set(words(fit_by_layer(TABLE)))
    found = words(fit_by_layer(TABLE.assign(null_r=np.nan)))
    assert "units" in found
    assert "null (shapes shuffled)" not in found


def test_medians_are_joined_and_a_layer_without_numbers_says_none():
    figure = invariance_by_layer(TABLE)
    assert words(figure).count("none") == 1
    (axis,) = figure.axes
    (dots,) = axis.findobj(lambda artist: artist.get_gid() == "units")
    np.testing.assert_allclose(np.asarray(dots.get_offsets())[:, 1], [0.1, 0.5, 0.6, 0.8, 0.9])
    assert values(axis)[1] == 0.6
    assert ends(axis) == [[pytest.approx((0.1, 0.9))]]


def test_a_layer_none_of_whose_units_is_fitted():
    table = TABLE.assign(apc_r=np.nan, null_r=np.nan, translation_invariance=np.nan)
    assert words(fit_by_layer(table)).count("none") == 2
    assert words(invariance_by_layer(table)).count("none") == 2


def test_examples_are_drawn_best_first():
    outlines = np.random.default_rng(0).normal(size=(10, 7, 2))
    unit = ExampleUnit("conv1\nunit 3", outlines[:5], outlines[5:], [float(n) for n in range(10)])
    figure = example_units([unit, unit], "alexnet")
    assert len(figure.axes) == 20
    for number, axis in enumerate(figure.axes[:10]):
        (drawn,) = [patch for patch in axis.patches if isinstance(patch, Polygon)]
        np.testing.assert_allclose(drawn.get_xy()[:-1], outlines[number])
        assert axis.get_title() == f"{number}"


def test_one_model_at_a_time():
    two = TABLE.assign(model=["a"] * 4 + ["b"] * 5)
    with pytest.raises(ValueError, match="several values of model"):
        fit_by_layer(two)
