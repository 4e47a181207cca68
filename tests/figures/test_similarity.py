from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.figures import style
from pipeline.figures.similarity import COLUMNS, statistics_by_layer


def summary(statistics: tuple[str, ...] = ("pearson", "d_prime")) -> pd.DataFrame:
    rows = [
        ("alexnet", layer, "zeros", "top_patch", name, kind, 0.8 / n, 0.7 / n, 0.9 / n, 0.0, -0.1,
         0.1, 0.95, 24, n)
        for n, layer in ((1, "conv1"), (2, "conv2"))
        for name in statistics
        for kind in ("units", "phase")
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def drawn(axis, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the places and heights of some points."""
    (line,) = (each for each in axis.lines if each.get_gid() == name)
    return line.get_xdata(), line.get_ydata()


def test_nulls_stand_beside_medians_and_the_ceiling_spans_the_layer():
    figure = statistics_by_layer(summary())
    pearson, d_prime = figure.axes
    assert pearson.get_title() == "Pearson's r"
    places, heights = drawn(pearson, "value")
    np.testing.assert_allclose(heights, [0.8, 0.4])
    for kind in ("units", "phase"):
        beside, null = drawn(pearson, kind)
        assert (beside > places).all()
        assert (beside - places < 0.5).all()
        np.testing.assert_array_equal(null, [0, 0])
    (ceiling,) = (each for each in pearson.collections if each.get_gid() == "ceiling")
    assert [segment[0][1] for segment in ceiling.get_segments()] == [0.95, 0.95]
    assert pearson.get_ylim()[1] > 1
    assert d_prime.get_ylim()[1] < 1.2
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == [
        "units: median, 95 %", "null: other units", "null: random phases",
        "float32 against float64",
    ]  # fmt: skip


def test_layers_without_a_value_say_so():
    table = summary(("pearson",))
    numbers = ["value", "ci_low", "ci_high", "null", "null_low", "null_high", "ceiling"]
    table.loc[table["layer"] == "conv2", numbers] = np.nan
    (axis,) = statistics_by_layer(table).axes
    assert [text.get_text() for text in axis.texts] == ["none"]


@pytest.mark.parametrize(("columns", "width"), [(2, style.SINGLE_COLUMN), (4, style.DOUBLE_COLUMN)])
def test_figures_are_one_or_two_columns_of_a_paper_wide(columns: int, width: float):
    figure = statistics_by_layer(summary(), columns=columns)
    assert figure.get_figwidth() == width


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="no statistic ssim; it has pearson, d_prime"):
        statistics_by_layer(summary(), ["ssim"])
    both = pd.concat([summary(), summary().assign(init_b="noise")])
    with pytest.raises(ValueError, match="several values of init_b"):
        statistics_by_layer(both)
