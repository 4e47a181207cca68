"""The figure of every feature through a dream: a line each, octaves parted."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import colors

from pipeline.figures import style
from pipeline.figures.feature_means import feature_means


def table(means, octaves, layer="conv2", init="image"):
    """Return the table of one layer: means [steps, features] in octaves of so many scores."""
    steps, features = means.shape
    octave = np.repeat(np.arange(len(octaves)), octaves)
    step = np.concatenate([np.arange(count) for count in octaves])
    return pd.DataFrame(
        {
            "model": "miniature",
            "layer": "conv2",
            "init": init,
            "octave": octave.repeat(features),
            "step": step.repeat(features),
            "feature_layer": layer,
            "feature": np.tile(np.arange(features), steps),
            "mean_response": means.ravel(),
        }
    )


MEANS = np.array([[0.0, 2.0, 1.0], [1.0, 1.5, 1.0], [0.5, 1.0, 2.0], [3.0, 0.0, 0.5], [4.0, 1, 1]])


def lines(axis, steps=5):
    return [line for line in axis.lines if len(line.get_xdata()) == steps]


def test_every_feature_is_a_line_through_its_means_in_the_color_of_its_direction():
    (axis,) = feature_means(table(MEANS, [2, 3])).axes
    drawn = lines(axis)
    assert len(drawn) == 3
    rising, falling = style.SERIES_COLORS[:2]
    for line in drawn:
        (feature,) = [n for n in range(3) if np.array_equal(line.get_ydata(), MEANS[:, n])]
        np.testing.assert_array_equal(line.get_xdata(), np.arange(5))
        # The last stays as it was at the end: it does not rise.
        expected = rising if feature == 0 else falling
        assert colors.same_color(line.get_color(), expected)
    assert [text.get_text() for text in axis.texts] == ["1 of 3 rise"]


def test_octaves_are_parted_between_their_scores():
    (axis,) = feature_means(table(MEANS, [2, 1, 2])).axes
    boundaries = [line.get_xdata()[0] for line in axis.lines if line.get_linestyle() == ":"]
    assert boundaries == [1.5, 2.5]


def test_rows_in_any_order_give_the_same_lines():
    shuffled = table(MEANS, [2, 3]).sample(frac=1, random_state=0)
    (axis,) = feature_means(shuffled).axes
    found = sorted(tuple(line.get_ydata()) for line in lines(axis))
    assert found == sorted(map(tuple, MEANS.T))


def test_every_layer_that_was_read_has_a_panel():
    both = pd.concat([table(MEANS, [2, 3]), table(MEANS[:, :2], [2, 3], "output")])
    figure = feature_means(both)
    assert [axis.get_title() for axis in figure.axes[:2]] == ["conv2", "output"]
    assert {(axis.get_xlabel(), axis.get_ylabel()) for axis in figure.axes} == {("step", "")}
    assert [len(lines(axis)) for axis in figure.axes[:2]] == [3, 2]


def test_a_mean_that_is_not_finite_leaves_a_gap():
    means = MEANS.copy()
    means[2, 1] = np.nan
    means[4, 2] = np.inf
    (axis,) = feature_means(table(means, [2, 3])).axes
    drawn = sorted(tuple(line.get_xdata()) for line in axis.lines if line.get_linestyle() == "-")
    assert drawn == [(0, 1), (0, 1, 2, 3), (0, 1, 2, 3, 4), (3, 4)]


def test_nothing_finite_is_still_a_figure():
    (axis,) = feature_means(table(np.full((5, 3), np.nan), [2, 3])).axes
    assert axis.texts[0].get_text() == "0 of 3 rise"
    assert lines(axis) == []


def test_two_dreams_are_refused():
    both = pd.concat([table(MEANS, [2, 3]), table(MEANS, [2, 3], init="zeros")])
    with pytest.raises(ValueError, match="init"):
        feature_means(both)
