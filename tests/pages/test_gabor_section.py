"""The section of the best Gabor: all images with one factor, and reasons in words."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
from PIL import Image

from pipeline.analysis.gabor_index import DEAD
from pipeline.pages.gabor_section import ShownGabor, gabor_section

MEAN, STD = (0.5, 0.4, 0.4), (0.25, 0.2, 0.2)
ROW: dict[str, Any] = {
    "rms": 1.0, "blank": 0.5, "response": 4.0, "ascent_response": 8.0, "patch_response": 1.0,
    "gabor_over_ascent": 0.4667, "gabor_over_patch": 7.0, "gain": 1.2, "peak": 2.0,
    "ascent_peak": 1.0, "patch_peak": 0.5, "ascent_init": "noise", "ascent_copy": 1.0,
    "patch_rank": 3.0, "patch_inside": False, "at_bound": "sigma_along", "x": 1.0, "x_degrees": 0.1,
    "y": -2.0, "y_degrees": -0.2, "orientation": 30.0, "frequency": 0.1,
    "frequency_per_degree": 1.0, "phase": 90.0, "sigma_along": 4.0, "sigma_along_degrees": 0.4,
    "sigma_across": 6.0, "sigma_across_degrees": 0.6, "nx": 0.4, "ny": 0.6, "reason": "",
}  # fmt: skip


def parts_of(row: dict[str, Any], peak: float) -> list[dict[str, Any]]:
    """Return the parts as a page reads them; the first pixel of every image is at a peak."""
    image = np.zeros((3, 4, 5), np.float32)
    image[:, 0, 0] = 2 * peak
    shown = ShownGabor(row, {"": image, "ascent_": image / 2, "patch_": image / 4}, MEAN, STD)
    return json.loads(json.dumps(gabor_section(shown).data(), allow_nan=False))["parts"]


def pixels(image: dict[str, Any]) -> np.ndarray:
    png = base64.b64decode(image["png"].partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(png))) / 255


def test_all_images_are_drawn_with_the_factor_that_the_highest_peak_needs():
    pictures = parts_of(ROW, 1.0)[0]
    assert pictures["title"] == "At equal contrast, drawn at 50 % of it"
    drawn = [pixels(each["image"]) for each in pictures["maps"]]
    for image, value in zip(drawn, (1.0, 0.5, 0.25), strict=True):
        np.testing.assert_allclose(image[0, 0], np.add(MEAN, np.multiply(value, STD)), atol=0.003)
        np.testing.assert_allclose(image[1:], np.broadcast_to(MEAN, (3, 5, 3)), atol=0.003)
    captions = [each["captions"] for each in pictures["maps"]]
    assert captions[1][:2] == ["response 8", "from noise, copy 1"]
    assert captions[2][1] == "rank 3, not all inside its image"


def test_images_beyond_four_times_a_pixel_are_cut_off_and_say_so():
    pictures = parts_of(ROW | {"peak": 9.0}, 9.0)[0]
    assert pictures["title"] == (
        "At equal contrast, drawn at 25 % of it; what is still beyond pixels is cut off"
    )
    np.testing.assert_array_equal(pixels(pictures["maps"][0]["image"])[0, 0], 1.0)


def test_lengths_are_in_pixels_and_degrees():
    numbers = {each["name"]: each for each in parts_of(ROW, 1.0)[2]["numbers"]}
    along = numbers["standard deviation along"]
    assert (along["value"], along["unit"], along["note"]) == (4.0, "px", "0.4°; 0.40 cycles")
    assert numbers["center, down"]["note"] == "\u22120.2°"
    assert numbers["frequency"]["note"] == "1 cycles per degree"


def test_units_without_a_gabor_say_why_alone():
    row = ROW | {"response": np.nan, "reason": DEAD}
    (words,) = gabor_section(ShownGabor(row, {}, MEAN, STD)).data()["parts"]
    assert words["text"] == "Its responses to all Gabors of the grid are the same."
