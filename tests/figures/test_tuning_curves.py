from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from pipeline.figures.tuning_curves import unit_tuning

X = {
    "orientation": np.arange(12) * 15.0,
    "spatial_frequency": 2.0 ** np.arange(-1, 4),
    "size": 2.0 ** np.arange(-2, 4),
    "contrast": np.geomspace(0.01, 1, 12),
    "phase": np.arange(8) * 45.0,
    "hue": np.arange(24) * 15.0,
}
TURN = np.deg2rad(X["orientation"])
Y = {
    "orientation": 1 + np.cos(2 * (TURN - np.pi / 6)),  # prefers 30 degrees
    "spatial_frequency": np.array([1.0, 2, 4, 3, 0]),
    "size": np.array([0.0, 1, 3, 4, 2, 2]),
    "contrast": 1 + 3 * X["contrast"] ** 2 / (X["contrast"] ** 2 + 0.2**2),
    "phase": np.maximum(np.cos(np.deg2rad(X["phase"])), 0),
    "hue": 1 + np.cos(np.deg2rad(X["hue"])),
}
PROPERTIES = {
    "preferred_orientation_interpolated": 30.0,
    "orientation_bandwidth_interpolated": 32.8,
    "circular_variance": 0.5,
    "modulation_ratio": 1.57,
    "simple": 1.0,
    "peak_frequency_interpolated": 2.1,
    "summation_field_interpolated": 1.5,
    "surround_diameter_interpolated": np.nan,
    "suppression_index": 0.5,
    "half_contrast": 0.2,
    "contrast_exponent": 2.0,
    "contrast_gain": 3.0,
    "contrast_offset": 1.0,
    "preferred_hue": 0.0,
    "hue_selectivity": 0.5,
}


def curves(units: int = 1) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"layer": "conv1", "unit": unit, "curve": name, "x": X[name], "rate": Y[name]})
        for unit in range(units)
        for name in X
    ]
    return pd.concat(parts, ignore_index=True)


def properties(units: int = 1, **others: float) -> pd.DataFrame:
    rows = [
        ("conv1", unit, name, value, 28 * value, value - 0.1, value + 0.1, "")
        for unit in range(units)
        for name, value in (PROPERTIES | others).items()
    ]
    columns = ["layer", "unit", "property", "value", "value_px", "low", "high", "flag"]
    return pd.DataFrame(rows, columns=columns)


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def lines(axis, gid: str) -> list[np.ndarray]:
    found = [each for each in axis.lines if each.get_gid() == gid]
    return [np.stack([np.asarray(each, np.float64) for each in one.get_data()]) for one in found]


def test_a_row_for_each_unit_and_a_panel_for_each_curve_orientation_twice():
    figure = unit_tuning(curves(2), properties(2), "title")
    assert [axis.name for axis in figure.axes] == 2 * [
        "polar", "rectilinear", "rectilinear", "rectilinear", "rectilinear", "rectilinear", "polar",
    ]  # fmt: skip
    assert {"conv1\nunit 0", "conv1\nunit 1", "title"} <= set(words(figure))
    flat = [axis for axis in figure.axes[:7] if axis.name == "rectilinear"]
    assert len({axis.get_ylim() for axis in flat}) == 1
    assert [axis.get_xscale() for axis in flat] == ["linear", "log", "log", "log", "linear"]
    for axis, name in zip(flat[1:4], ("spatial_frequency", "size", "contrast"), strict=True):
        np.testing.assert_allclose(lines(axis, "response")[0], [X[name], Y[name]])


def test_orientation_goes_around_twice_clockwise_as_on_the_screen():
    axis = unit_tuning(curves(), properties()).axes[0]
    ((turns, response),) = lines(axis, "response")
    np.testing.assert_allclose(np.rad2deg(turns), np.arange(25) * 15)
    np.testing.assert_allclose(
        response, np.append(np.tile(Y["orientation"], 2), Y["orientation"][0])
    )
    assert axis.get_theta_direction() == -1
    preferred = sorted(float(np.rad2deg(line[0, 0])) for line in lines(axis, "preferred"))
    assert preferred == pytest.approx([30, 210])


def test_the_bar_is_as_wide_as_the_curve_at_its_height():
    axis = unit_tuning(curves(), properties()).axes[1]
    (((left, right), height),) = lines(axis, "bandwidth")
    np.testing.assert_allclose(height, 0.707 * 2)
    half = np.rad2deg(np.arccos(2 * 0.707 - 1) / 2)  # where 1 + cos 2x is 0.707 x 2
    assert (left, right) == pytest.approx((30 - half, 30 + half), abs=0.05)
    (series,) = lines(axis, "series")
    np.testing.assert_allclose(series[1], 1 + np.cos(2 * np.deg2rad(series[0] - 30)), atol=1e-9)
    assert axis.get_xlim() == (-60, 120)  # the peak in the middle


def test_an_untuned_unit_has_no_bar_and_its_flag_is_a_note():
    table = properties(orientation_bandwidth_interpolated=np.nan)
    is_width = table["property"] == "orientation_bandwidth_interpolated"
    table.loc[is_width, "flag"] = "the response does not fall"
    table.loc[table["property"] == "suppression_index", "flag"] = "another thing"
    figure = unit_tuning(curves(), table)
    assert lines(figure.axes[1], "bandwidth") == []
    said = words(figure)
    assert "half width: none (a)" in said
    assert "SSI 0.50 [0.40, 0.60] (b)" in said
    assert "(a) the response does not fall   (b) another thing" in said


def test_numbers_have_intervals_and_sizes_in_pixels_and_degrees():
    said = words(unit_tuning(curves(), properties()))
    assert {"CV 0.50 [0.40, 0.60]", "field 1.5° [1.4, 1.6]", "= 42 px", "simple"} <= set(said)


def test_the_fit_goes_through_the_points_and_marks_are_where_the_properties_are():
    figure = unit_tuning(curves(), properties())
    frequency, size, contrast = figure.axes[2:5]
    (fit,) = lines(contrast, "fit")
    np.testing.assert_allclose(np.interp(X["contrast"], *fit), Y["contrast"], atol=0.01)
    assert [lines(contrast, "c50")[0][0, 0], lines(frequency, "peak")[0][0, 0]] == [0.2, 2.1]
    assert lines(size, "summation field")[0][0, 0] == 1.5
    assert lines(size, "surround") == []
    unsaturated = unit_tuning(curves(), properties(contrast_gain=np.nan)).axes[4]
    assert lines(unsaturated, "fit") == []


def test_hues_have_their_colors_around():
    axis = unit_tuning(curves(), properties()).axes[-1]
    bars = [patch for patch in axis.patches if patch.get_gid() == "hues"]
    assert len(bars) == 24
    red, green, blue, _ = bars[0].get_facecolor()  # L - M: reddish
    assert red > max(green, blue)
    _, green, blue, _ = bars[6].get_facecolor()  # S: bluish
    assert blue > green
    assert axis.get_theta_direction() == 1


def test_intervals_of_curves_are_shaded():
    given = curves().assign(
        low=lambda table: table["rate"] - 0.5, high=lambda table: table["rate"] + 1
    )
    axis = unit_tuning(given, properties()).axes[2]
    (shade,) = [each for each in axis.collections if each.get_gid() == "interval"]
    reach = shade.get_paths()[0].vertices[:, 1]
    assert (reach.min(), reach.max()) == (-0.5, 5.0)


def test_a_unit_without_a_curve_says_so():
    given = curves(2)
    given.loc[(given["unit"] == 1) & (given["curve"] == "hue"), "rate"] = np.nan
    known = properties(2).assign(flag="")
    silent = (known["unit"] == 1) & (known["property"] == "preferred_hue")
    known.loc[silent, ["value", "flag"]] = np.nan, "the unit does not respond"
    said = words(unit_tuning(given, known))
    assert said.count("no curve") == 1
    assert {"prefers: none (a)", "(a) the unit does not respond"} <= set(said)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match=r"^8 units do not fit on a page; select up to 7$"):
        unit_tuning(curves(8), properties(8))
    with pytest.raises(ValueError, match="several values of a property of one unit"):
        unit_tuning(curves(), pd.concat([properties(), properties()]))
    with pytest.raises(ValueError, match="none of the curves orientation, spatial_frequency, size"):
        unit_tuning(curves().assign(curve="tilt"), properties())
