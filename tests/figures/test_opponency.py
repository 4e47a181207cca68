from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from pipeline.figures.opponency import HueCurve, hue_curves, opponency_by_layer


def rows(layer: str, classes: list[str], **rule: object) -> pd.DataFrame:
    named = {
        "kind": "spectral",
        "at": "pre",
        "baseline": "black",
        "require_positive_baseline": True,
    }
    return pd.DataFrame({"model": "own", "layer": layer, **named, **rule, "class": classes})


HALF, NONE = ["opponent", "opponent", "non-opponent", "unresponsive"], ["non-opponent"] * 4
TABLE = pd.concat(
    [
        rows("conv1", HALF),
        rows("conv2", NONE),
        rows("conv1", ["opponent"] * 4, require_positive_baseline=False),
        rows("conv2", NONE, require_positive_baseline=False),
        rows("conv1", HALF, kind="spatial", at="post"),
        rows("conv2", ["undefined"] * 4, kind="spatial", at="post"),
        rows("conv1", HALF, kind="spatial", at="post", require_positive_baseline=False),
        rows("conv1", NONE, kind="spatial"),
    ],
    ignore_index=True,
)


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def heights(axis) -> list[list[float]]:
    return [bars.lines[0].get_ydata().tolist() for bars in axis.containers]


def test_a_panel_for_each_kind_at_the_published_stage():
    spectral, spatial = opponency_by_layer(TABLE).axes
    assert spectral.get_title() == "spectral, before the nonlinearity"
    assert spatial.get_title() == "spatial, after the nonlinearity"
    assert heights(spectral) == [[50, 0], [100, 0]]
    # Without the demand nothing changes, and conv2 has no nonlinearity.
    np.testing.assert_equal(heights(spatial), [[50, np.nan]])
    assert words(spatial).count("undefined") == 1
    bars = spectral.containers[0].lines[2][0].get_segments()
    # Wilson's interval of 2 of 4: (1/2 ± z sqrt(1/16 + z²/64) / (1 + z²/4)).
    np.testing.assert_allclose(bars[0][:, 1], [15.0, 85.0], atol=0.05)


def test_the_legend_names_baselines_and_demands():
    found = words(opponency_by_layer(TABLE))
    assert {"black baseline above 0", "any black baseline"} <= set(found)


def test_conditions_are_compared_by_one_rule():
    figure = opponency_by_layer({"trained": TABLE, "shuffled": rows("conv1", NONE)})
    spectral = figure.axes[0]
    np.testing.assert_equal(heights(spectral), [[50, 0], [0, np.nan]])
    assert {"trained", "shuffled", "own: opponent units (95 % intervals);"} <= {
        line for text in words(figure) for line in text.split("\n")
    } | {"own: opponent units (95 % intervals);"}
    assert any("black baseline above 0" in text.replace("\n", " ") for text in words(figure))


def test_tables_that_cannot_be_drawn():
    with pytest.raises(ValueError, match="no table is given"):
        opponency_by_layer({})
    with pytest.raises(ValueError, match="several values of model"):
        opponency_by_layer(TABLE.assign(model=["a"] * 4 + ["b"] * (len(TABLE) - 4)))


def test_curves_are_closed_and_baselines_are_named():
    hues = np.sin(np.deg2rad(np.arange(0.0, 360.0, 10.0)))
    curve = HueCurve("conv1/3: opponent", hues, {"black": 0.1, "gray": 0.2, "white": 0.3})
    figure = hue_curves([curve, curve], "own")
    (axis, _) = figure.axes
    drawn, *levels = axis.get_lines()
    assert drawn.get_xdata()[-1] == 360
    assert drawn.get_ydata()[-1] == drawn.get_ydata()[0]
    assert [line.get_ydata()[0] for line in levels] == [0.1, 0.2, 0.3]
    (strip,) = axis.get_images()
    colors = strip.get_array()
    np.testing.assert_allclose(colors[0, [0, 120, 240]], np.eye(3))
    assert strip.get_extent()[3] < hues.min()  # below the curve
    assert {"hues", "black field", "white field"} <= set(words(figure))
