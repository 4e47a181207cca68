"""The card of a unit: numbers with intervals, pixels and flags, and its curves."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.pages.tuning_section import tuning_section
from tests.figures.test_tuning_curves import X, Y


def table(**values: tuple[float, str]) -> pd.DataFrame:
    columns = {"low": np.nan, "high": np.nan, "flag": "", "value_px": np.nan}
    rows = [
        {"property": name, "value": value, "unit_of_measure": unit, **columns}
        for name, (value, unit) in values.items()
    ]
    return pd.DataFrame(rows).set_index("property", drop=False)


def curves(*names: str) -> pd.DataFrame:
    parts = [pd.DataFrame({"curve": name, "x": X[name], "rate": Y[name]}) for name in names]
    return pd.concat(parts, ignore_index=True)


def number(name: str, value: float | str, unit: str = "", note: str = "") -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "note": note}


def parts(properties: pd.DataFrame, drawn: pd.DataFrame) -> list[dict[str, Any]]:
    section = tuning_section(properties, drawn, "how")
    return json.loads(json.dumps(section.data(), allow_nan=False))["parts"]


def test_numbers_say_interval_pixels_flag_and_words():
    properties = table(
        circular_variance=(0.3, ""), summation_field_interpolated=(1.5, "deg"), simple=(0.0, ""),
        peak_frequency_interpolated=(np.nan, "c/deg"),
    )  # fmt: skip
    properties.loc["circular_variance", ["low", "high"]] = [0.25, 0.4]
    properties.loc["summation_field_interpolated", ["value_px", "flag"]] = [42.0, "at the edge"]
    properties.loc["peak_frequency_interpolated", "flag"] = "the unit does not respond"
    orientation, frequency, size = parts(properties, curves("contrast").iloc[:0])
    assert [part["title"] for part in (orientation, frequency, size)] == [
        "Orientation", "Spatial frequency", "Size",
    ]  # fmt: skip
    assert orientation["numbers"] == [
        number("circular variance", 0.3, note="95 % interval 0.25 to 0.4"),
        number("simple or complex", "complex"),
    ]
    assert size["numbers"] == [number("summation field", 1.5, "°", "42 px; at the edge")]
    assert frequency["text"] == "The unit does not respond."


def test_every_curve_has_a_plot_and_circles_are_rings():
    found = parts(table(hue_selectivity=(0.5, "")), curves(*X))
    plots = {part["title"]: part for part in found if part["kind"] in ("plot", "ring")}
    assert list(plots) == ["Orientation", "Phase", "Spatial frequency", "Size", "Contrast", "Hue"]
    assert [part["kind"] for part in plots.values()] == ["ring", *["plot"] * 4, "ring"]
    assert plots["Orientation"]["clockwise"]
    assert plots["Orientation"]["curves"][0]["x"] == [15.0 * n for n in range(24)]
    assert not plots["Hue"]["clockwise"]
    red, green, blue = (int(plots["Hue"]["rim"][0][at : at + 2], 16) for at in (1, 3, 5))
    assert red > max(green, blue)  # L - M
    assert plots["Size"]["log"]
    assert len(plots["Contrast"]["curves"]) == 1  # no fit is known


def test_the_fit_is_drawn_where_there_is_one():
    fit = table(
        half_contrast=(0.2, ""), contrast_exponent=(2.0, ""), contrast_gain=(3.0, "rate"),
        contrast_offset=(1.0, "rate"),
    )  # fmt: skip
    (plot,) = [part for part in parts(fit, curves("contrast")) if part["kind"] == "plot"]
    measured, fitted = plot["curves"]
    assert fitted["name"] == "Naka-Rushton fit"
    np.testing.assert_allclose(
        np.interp(measured["x"], fitted["x"], fitted["y"]), measured["y"], atol=0.01
    )
    fit.loc["contrast_gain", "value"] = np.nan
    (plot,) = [part for part in parts(fit, curves("contrast")) if part["kind"] == "plot"]
    assert len(plot["curves"]) == 1


@pytest.mark.parametrize("rate", [0.0, np.nan])
def test_a_silent_unit_has_the_reason_in_the_place_of_numbers_and_no_plots(rate: float):
    properties = table(circular_variance=(np.nan, ""), orientation_index=(np.nan, ""))
    properties["flag"] = "the unit does not respond"
    (said,) = parts(properties, curves(*X).assign(rate=rate))
    assert (said["kind"], said["title"]) == ("words", "Orientation")
    assert said["text"] == "The unit does not respond."
    properties.loc["orientation_index", "flag"] = "another reason"
    (numbers,) = parts(properties, curves(*X).assign(rate=rate))
    assert [each["value"] for each in numbers["numbers"]] == [None, None]
