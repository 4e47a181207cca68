from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.text import Text

from pipeline.figures import style
from pipeline.figures.receptive_fields import agreement_by_layer, field_sizes_by_layer

METHODS = ["bars_4a", "gradient", "occlusion"]


def agreement(medians: dict[str, list[float]], units: int = 5) -> pd.DataFrame:
    """Return a table of pairs (``first second``) whose medians by layer are given."""
    rows = []
    for pair, values in medians.items():
        first, second = pair.split()
        for number, median in enumerate(values):
            for unit in range(units):
                r = median + 0.02 * (unit - units // 2)
                rows.append((f"conv{number + 1}", 1, first, second, unit, r))
    columns = ["layer", "sign", "first", "second", "unit", "correlation"]
    return pd.DataFrame(rows, columns=columns)


TABLE = agreement(
    {
        "bars_4a gradient": [0.9, 0.8, 0.4],
        "bars_4a occlusion": [0.5, 0.3, 0.1],
        "gradient occlusion": [0.95, 0.6, 0.5],
    }
)


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def series(axis) -> dict[str, np.ndarray]:
    """Return the markers of each series of a panel."""
    found = [each for each in axis.containers if isinstance(each, ErrorbarContainer)]
    return {str(each.get_label()): np.asarray(each.lines[0].get_ydata()) for each in found}


def matrices(figure) -> list[np.ndarray]:
    images = [axis.get_images() for axis in figure.findobj(lambda a: hasattr(a, "get_images"))]
    return [np.ma.filled(each[0].get_array(), np.nan) for each in images if each]


def title(figure) -> str:
    return figure.get_suptitle().replace("\n", " ")


def test_the_gradient_map_is_compared_with_all_others():
    figure = agreement_by_layer(TABLE)
    found = series(figure.subfigs[0].axes[0])
    np.testing.assert_allclose(found["2  bars (4a)"], [0.9, 0.8, 0.4])
    np.testing.assert_allclose(found["3  occlusion"], [0.95, 0.6, 0.5])
    first, *_ = matrices(figure)
    np.testing.assert_allclose(
        first, [[np.nan, 0.9, 0.95], [0.9, np.nan, 0.5], [0.95, 0.5, np.nan]]
    )
    assert title(figure).endswith("against gradient: no method reaches 0.7 from conv3 on")


def test_the_order_of_the_pairs_does_not_matter():
    swapped = TABLE.rename(columns={"first": "second", "second": "first"})
    shown, other = (series(agreement_by_layer(t).subfigs[0].axes[0]) for t in (TABLE, swapped))
    for name in ("bars (4a)", "occlusion"):
        one, two = ([v for k, v in each.items() if k.endswith(name)] for each in (shown, other))
        np.testing.assert_allclose(one, two)


def test_where_agreement_ends():
    assert title(agreement_by_layer(TABLE[TABLE["layer"] != "conv3"])).endswith(
        "against gradient: 0.7 or more in the last layer: bars (4a)"
    )
    low = TABLE.assign(correlation=TABLE["correlation"] - 0.5)
    assert title(agreement_by_layer(low)).endswith("no method reaches 0.7 in any layer")


def test_without_a_gradient_map_the_first_method_is_the_reference():
    table = agreement({"bars_4a bars_4a_non_overlapping": [0.9], "bars_4a occlusion": [0.5]})
    figure = agreement_by_layer(table)
    # Another map from the same bars does not count as another method.
    assert title(figure).endswith("against bars (4a): no method reaches 0.7 in any layer")
    assert title(agreement_by_layer(TABLE, reference="occlusion")).startswith(
        "Maps of what raises the response, against occlusion"
    )


def test_intervals_enclose_the_median_and_undefined_units_are_left_out():
    rng = np.random.default_rng(0)
    noisy = agreement({"gradient occlusion": [0.5]}, units=40)
    noisy["correlation"] = rng.normal(0.5, 0.2, len(noisy))
    noisy.loc[3:5, "correlation"] = np.nan
    axis = agreement_by_layer(noisy).subfigs[0].axes[0]
    (bars,) = (each for each in axis.containers if isinstance(each, ErrorbarContainer))
    (low, high) = bars.lines[2][0].get_segments()[0][:, 1]
    median = float(noisy["correlation"].median())
    assert float(bars.lines[0].get_ydata()[0]) == pytest.approx(median)
    # Normal theory: the standard error of a median is 1.253 times that of a mean.
    expected = 2 * 1.96 * 1.253 * 0.2 / np.sqrt(37)
    assert low < median < high
    assert 0.5 * expected < high - low < 1.6 * expected


def test_a_layer_in_which_nothing_is_defined():
    table = TABLE.copy()
    table.loc[table["layer"] == "conv2", "correlation"] = np.nan
    found = series(agreement_by_layer(table).subfigs[0].axes[0])
    assert np.isnan(found["3  occlusion"]).tolist() == [False, True, False]


def test_thirty_layers_and_ten_methods():
    methods = ["gradient", *(f"method_{n}" for n in range(9))]
    pairs = {f"gradient {m}": list(np.linspace(0.9, 0.1, 30)) for m in methods[1:]}
    figure = agreement_by_layer(agreement(pairs, units=2))
    assert figure.get_figwidth() == style.DOUBLE_COLUMN
    assert figure.get_figheight() < 9.7
    assert len(matrices(figure)) == 30
    assert len(series(figure.subfigs[0].axes[0])) == 9


def test_what_agreement_does_not_take():
    with pytest.raises(ValueError, match="the table has no column correlation"):
        agreement_by_layer(TABLE.drop(columns="correlation"))
    with pytest.raises(ValueError, match=r"^the table has no rows of sign -1; it has \{1\}$"):
        agreement_by_layer(TABLE, sign=-1)
    with pytest.raises(
        ValueError, match=r"no method 'shapes' to compare with; it has bars_4a, gra"
    ):
        agreement_by_layer(TABLE, reference="shapes")


SUMMARY = pd.DataFrame(
    {
        "layer": ["conv1"] * 3 + ["conv2"] * 3,
        "method": "gradient",
        "sign": 1,
        "half_area": np.pi * np.array([1.0, 4.0, 9.0, 25.0, np.nan, 49.0]),
        "radius_50": [1.0, 2.0, 3.0, 4.0, np.nan, 6.0],
        "field_height": [11] * 3 + [40] * 3,
        "field_width": [11] * 3 + [90] * 3,
    }
)


def test_diameters_are_those_of_circles():
    (axis,) = field_sizes_by_layer(SUMMARY).axes
    np.testing.assert_allclose(series(axis)["gradient"], [4.0, 12.0])
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [11, 60])
    (axis,) = field_sizes_by_layer(SUMMARY, size="radius_50").axes
    np.testing.assert_allclose(series(axis)["gradient"], [4.0, 10.0])


def test_degrees_stand_on_an_axis_of_their_own():
    (axis,) = field_sizes_by_layer(SUMMARY, pixels_per_degree=10.0).axes
    (other,) = axis.child_axes
    figure = axis.figure
    figure.draw_without_rendering()
    np.testing.assert_allclose(other.get_ylim(), np.array(axis.get_ylim()) / 10.0)
    assert other.get_ylabel() == "degrees of visual angle"


def test_sizes_of_a_sign_that_is_not_there():
    with pytest.raises(ValueError, match=r"^the table has no rows of sign -1; it has \{1\}$"):
        field_sizes_by_layer(SUMMARY, sign=-1)
