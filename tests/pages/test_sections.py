"""Sections: a page shows the numbers of the stage, and says what is missing."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.analysis.field_maps import summarize_maps
from pipeline.analysis.gaussian_fit import gaussian
from pipeline.pages.bar_section import bar_section
from pipeline.pages.colored_maps import colored_png
from pipeline.pages.map_section import MethodMaps, map_section
from pipeline.pages.sections import Curve, Map, Outline, Outlines, Plot, Section, Words
from pipeline.pages.shape_section import ShownShapes, shape_section

SIZE = (41, 51)
# Amplitude, x and y of the center from the upper left pixel, sigmas, orientation, offset.
BUMP = np.array([3.0, 30.0, 15.0, 8.0, 4.0, 30.0, 1.0])


def rgb(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(float)


def parts_of(section: Section) -> list[dict[str, Any]]:
    """Return the parts as a page reads them."""
    return json.loads(json.dumps(section.data(), allow_nan=False))["parts"]


def method(name: str, raising: np.ndarray, lowering: np.ndarray) -> MethodMaps:
    maps = np.stack([raising, lowering])
    table = summarize_maps(maps)
    rows = dict(zip((1, -1), table.to_dict("records"), strict=True))
    return MethodMaps(name, maps, rows)


# Maps.


def test_colors_become_lighter_with_the_value_so_that_no_hue_is_needed():
    colors = rgb(colored_png(np.arange(256.0).reshape(1, 256)[:, ::2]))[0]
    lightness = colors @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()
    assert lightness[-1] - lightness[0] > 150


def test_a_large_map_is_averaged_not_sampled():
    stripes = np.tile([0.0, 1.0], (256, 128))  # every second column: half in any average
    stripes[:, :4] = 0
    stripes[:, -4:] = 1
    colors = rgb(colored_png(stripes))
    assert colors.shape == (128, 128, 3)
    assert np.ptp(colors[:, 4:-4], axis=(0, 1)).max() == 0


def test_a_map_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="not finite cannot be shown; say so in words"):
        colored_png(np.array([[0.0, np.nan]]))


def test_the_outline_is_where_the_gaussian_has_half_its_height_on_every_map():
    noise = np.random.default_rng(0).normal(size=SIZE)
    parts = parts_of(
        map_section(
            [method("bars", gaussian(SIZE, BUMP), noise), method("gratings", noise, noise)], 0.5
        )
    )
    outlines = [each["image"]["outline"] for part in parts for each in part["maps"]]
    assert len(outlines) == 4
    assert all(outline == outlines[0] for outline in outlines)
    for x, y in outlines[0]:  # corners of pixels are whole numbers, so centers are halves
        shifted = BUMP.copy()
        shifted[1:3] -= x - 0.5, y - 0.5
        assert gaussian((1, 1), shifted)[0, 0] == pytest.approx(1.0 + 3.0 / 2, abs=0.01)


def test_captions_give_center_size_and_fit_in_pixels_and_degrees():
    section = map_section([method("bars", gaussian(SIZE, BUMP), np.zeros(SIZE))], 0.5)
    raising, lowering = parts_of(section)[0]["maps"]
    # The center of the map is at x = 25, y = 20; half height is 2.3548 sigmas wide.
    assert [caption.replace("\u00a0", " ") for caption in raising["captions"]] == [
        "center 5.0, \u22125.0 px (2.50, \u22122.50°)",
        "diameters at half height 18.8, 9.4 px (9.42, 4.71°)",
        "explained variance 1.00",
    ]
    assert lowering == {
        "name": "lowers the response", "captions": ["The map is flat."], "image": None,
    }  # fmt: skip
    assert "that fits best, to the map by bars (raises the response)." in section.about


def test_the_outline_is_of_the_best_fit_inside_the_map_of_what_raises_the_response():
    noisy = gaussian(SIZE, BUMP) + np.random.default_rng(2).normal(0, 0.3, SIZE)
    outside = gaussian(SIZE, np.array([3.0, 45.0, 15.0, 9.0, 5.0, 0.0, 1.0]))  # fits perfectly
    methods = [method("outside", outside, outside), method("noisy", noisy, gaussian(SIZE, BUMP))]
    assert [each.rows[1]["leaves_map"] for each in methods] == [True, False]
    assert methods[1].rows[1]["fxvar"] < 0.95
    assert "map by noisy (raises the response)" in map_section(methods, 0.5).about
    assert "map by outside (raises" in map_section(methods[:1], 0.5).about


def test_without_a_fit_there_is_no_outline_and_the_mass_is_described():
    noise = np.random.default_rng(1).normal(size=SIZE)
    found = method("noise", noise, noise)
    section = map_section([found], 0.5)
    first = parts_of(section)[0]["maps"][0]
    assert first["image"]["outline"] is None
    assert section.about.endswith("No Gaussian fits any of these maps, so there is no outline.")
    diameter = 2 * np.sqrt(found.rows[1]["half_area"] / np.pi)
    assert first["captions"][1].endswith(f"{diameter:.1f}\u00a0px ({diameter / 2:.2f}°)")
    assert first["captions"][2].startswith(found.rows[1]["reason"][:1].upper())


def test_a_map_keeps_its_shape_and_its_outline_is_thinned():
    circle = np.stack([np.cos(np.arange(1000)), np.sin(np.arange(1000))], axis=1)
    image = Map("m", np.eye(3, 300), outline=circle).data()["image"]
    assert (image["width"], image["height"]) == (300, 3)
    assert rgb(base64.b64decode(image["png"].partition(",")[2])).shape[:2] == (1, 128)
    assert len(image["outline"]) == 96
    assert image["outline"][0] == [1.0, 0.0]


# Shapes.


def shown(responses: np.ndarray, positions: list[float], **row: Any) -> ShownShapes:
    missing = dict.fromkeys(
        ("apc_r", "mu_angle", "mu_curvature", "spread_angle", "spread_curvature", "null_r",
         "null_r_95", "translation_invariance", "kurtosis", "sparseness"), np.nan,
    )  # fmt: skip
    count = responses.shape[1]
    squares = np.arange(count)[:, None, None] + np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    return ShownShapes(
        missing | {"positions_inside": 0, "reason": ""} | row,
        responses.astype(np.float32), 0.5, np.array(positions), squares,
        [f"shape {n}" for n in range(count)],
    )  # fmt: skip


CENTRAL = np.array([3.0, -2.0, 7.0, 0.0, 1.0, 5.0, -4.0])


def test_best_and_worst_shapes_are_in_order_with_their_responses():
    parts = parts_of(shape_section(shown(CENTRAL[None], [0.0])))
    best, worst = (part for part in parts if part["kind"] == "outlines")
    assert [each["value"] for each in best["outlines"]] == [7, 5, 3, 1, 0]
    assert [each["value"] for each in worst["outlines"]] == [-4, -2, 0, 1, 3]
    assert best["outlines"][0]["name"] == "shape 2"
    assert best["outlines"][0]["points"][0] == [2.0, 2.0]
    assert not [part for part in parts if part["kind"] == "plot"]  # one position, no model


def test_model_curves_have_their_maxima_at_the_parameters_and_the_given_widths():
    fit = {
        "apc_r": 0.6, "mu_angle": 90.0, "mu_curvature": 0.25, "spread_angle": np.rad2deg(0.5),
        "spread_curvature": 0.25,
    }  # fmt: skip
    parts = parts_of(shape_section(shown(CENTRAL[None], [0.0], **fit)))
    angle, curvature = (part["curves"][0] for part in parts if part["kind"] == "plot")
    at = dict(zip(angle["x"], angle["y"], strict=True))
    assert at[90] == 1
    assert at[270] == pytest.approx(np.exp(-2 / 0.5), rel=1e-5)  # kappa is 2
    assert at[180] == pytest.approx(np.exp(-1 / 0.5), rel=1e-5)
    at = dict(zip(curvature["x"], curvature["y"], strict=True))
    assert at[0.25] == 1
    assert at[0.5] == pytest.approx(np.exp(-0.5), rel=1e-5)  # one standard deviation away


def test_positions_correlate_with_the_center_whatever_the_gain():
    responses = np.stack([0 * CENTRAL + 1, -2 * CENTRAL, CENTRAL, 0.1 * CENTRAL + 3])
    parts = parts_of(shape_section(shown(responses, [-4.0, -2.0, 0.0, 2.0])))
    by_position, r = (part for part in parts if part["kind"] == "plot")
    assert r["curves"][0]["y"] == pytest.approx([None, -1, 1, 1], abs=1e-6)
    curves = {curve["name"]: curve["y"] for curve in by_position["curves"]}
    assert curves["best shape"] == pytest.approx([1, -14, 7, 3.7], rel=1e-5)
    assert curves["worst shape"] == pytest.approx([1, 8, -4, 2.6], rel=1e-5)
    assert curves["no shape"] == [0.5] * 4


def test_a_unit_without_responses_has_the_reason_and_no_pictures():
    reason = "responses are constant"
    first, second, *others = parts_of(
        shape_section(shown(np.ones((1, 7)), [0.0], apc_r=np.nan, reason=reason))
    )
    assert first == {"kind": "words", "title": "", "text": "Responses are constant."}
    assert [number["value"] for number in second["numbers"]] == [None] * 8
    assert others == []
    broken = shape_section(shown(np.full((3, 7), np.nan), [-1.0, 0.0, 1.0], reason="not finite"))
    assert [part["kind"] for part in parts_of(broken)] == ["words", "numbers"]


# Bars and plots.


def test_bars_have_a_plot_for_each_parameter_and_polarities_have_names():
    curves = pd.DataFrame(
        [
            ("length", 8.0, 2.0, 0.5), ("length", 4.0, 1.0, 0.25), ("polarity", 1.0, 9.0, 1.0),
            ("polarity", -1.0, 3.0, 2.0), ("contrast", 0.5, 4.0, np.nan), ("hue", 1.0, 6.0, np.nan),
        ],
        columns=["parameter", "value", "response", "mean"],
    )  # fmt: skip
    rows = [{"parameter": "orientation", "value": 22.5, "response": 1.0, "mean": 1.0}]
    curves = pd.concat([curves, pd.DataFrame(rows)])
    length, polarity, contrast, hue, orientation = parts_of(bar_section(curves))
    assert orientation["x_ticks"] == [0, 45, 90, 135]
    assert [curve["x"] for curve in length["curves"]] == [[4, 8], [4, 8]]
    assert [curve["y"] for curve in length["curves"]] == [[1, 2], [0.25, 0.5]]
    assert polarity["names"] == ["dark on light", "light on dark"]
    assert polarity["curves"][0]["y"] == [3, 9]
    assert polarity["curves"][0]["x"] == [0, 1]
    assert [curve["name"] for curve in contrast["curves"]] == ["best bar"]
    assert (hue["title"], hue["x_name"]) == ("hue", "hue")


def test_a_unit_without_tuning_to_bars_has_the_reason():
    curves = pd.DataFrame(columns=["parameter", "value", "response"])
    (part,) = parts_of(bar_section(curves, "responds to all bars alike"))
    assert part["text"] == "Responds to all bars alike."


def test_a_curve_of_unequal_lengths_is_refused():
    plot = Plot("p", "x", "y", [Curve("c", [1.0, 2.0], [1.0])])
    with pytest.raises(ValueError, match="'c' has 2 x and 1 y; give one y for each x"):
        plot.data()


def test_data_are_plain_and_what_is_not_finite_is_missing():
    square = np.array([[0.0, 0.0], [1 / 3, 0.0], [1.0, 1.0]])
    plot = Plot("p", "x", "y", [Curve("c", np.arange(2.0), np.array([np.inf, 1.0]))])
    outlines = Outlines("o", [Outline(square, np.nan, "s")], 2.0)
    said, drawn, shapes = parts_of(Section("t", [Words("w"), plot, outlines]))
    assert said["text"] == "w"
    assert drawn["curves"][0]["y"] == [None, 1.0]
    assert shapes["outlines"][0] == {
        "points": [[0, 0], [0.333, 0], [1, 1]], "value": None, "name": "s",
    }  # fmt: skip
