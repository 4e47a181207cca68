"""The section about evolution: images, numbers by method, curves, and generations."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.figures.evolution_pictures import FilmStrip, FinalImage
from pipeline.pages.encoded_images import display_url
from pipeline.pages.evolution_section import ShownEvolution, evolution_section
from tests.figures.evolution_tables import CROSSED, RIVALS, gain, tables, without_reference


def data(shown: ShownEvolution) -> dict[str, Any]:
    """Return the section as a page reads it."""
    return json.loads(json.dumps(evolution_section(shown).data(), allow_nan=False))


def parts(shown: ShownEvolution, kind: str) -> list[dict[str, Any]]:
    return [part for part in data(shown)["parts"] if part["kind"] == kind]


def of_unit(**options: Any) -> ShownEvolution:
    return ShownEvolution(*tables(units=(2,), **options))


def pixels(url: str) -> np.ndarray:
    content = base64.b64decode(url.split(",", 1)[1])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_numbers_are_the_levels_and_then_each_method_rivals_last():
    (numbers,) = parts(of_unit(methods=(*RIVALS, *CROSSED[:2])), "numbers")
    assert [(each["name"], each["value"]) for each in numbers["numbers"]] == [
        ("top patch", 10), ("ascent image", 80), ("genetic, grid", 40), ("genetic, decoder", 50),
        ("natural images", 20), ("gradient ascent", 160),
    ]  # fmt: skip
    assert numbers["numbers"][2]["note"] == (
        "4.0 times the top patch; 0.50 times the ascent image;"
        " 90\u00a0% of it after 60 of 60 queries"
    )


def test_restarts_are_averaged_and_noise_is_said():
    (numbers,) = parts(of_unit(methods=CROSSED[:1], restarts=3, noise=5.0), "numbers")
    number = numbers["numbers"][2]
    assert number["value"] == pytest.approx(20 * (gain(CROSSED[0]) + 0.25))
    assert "mean of 3 searches, 40 to 50; observed with noise 50;" in number["note"]
    assert number["note"].startswith("4.5 times the top patch")


def test_a_top_patch_that_is_not_above_0_has_no_multiples():
    rows, history = tables(units=(2,))
    shown = ShownEvolution(without_reference(rows, 2), history, (), [_final(30.0)])
    text = json.dumps(data(shown))
    assert "times the top patch" not in text
    assert "times the ascent image" in text
    assert "no multiples of the top patch, whose response is not above 0" in text


def test_curves_are_means_over_restarts_with_levels_in_every_plot_of_at_most_six():
    shown = of_unit(restarts=2)
    first, second = parts(shown, "plot")
    assert [first["title"], second["title"]] == [
        "Response to the best image so far (1 of 2)", "Response to the best image so far (2 of 2)",
    ]  # fmt: skip
    for plot in (first, second):
        levels = [(each["name"], each["y"]) for each in plot["curves"][:2]]
        assert levels == [("top patch", [10, 10]), ("ascent image", [80, 80])]
        assert len(plot["curves"]) <= 6
    curves = {each["name"]: each for plot in (first, second) for each in plot["curves"][2:]}
    assert list(curves)[-2:] == ["natural images", "gradient ascent"]
    own = curves["genetic, grid"]
    assert own["x"] == [20, 40, 60]
    mean = 20 * (gain(CROSSED[0], 0) + gain(CROSSED[0], 1)) / 2
    np.testing.assert_allclose(own["y"], mean * np.array([1, 2, 3]) / 3, rtol=1e-5)


def test_what_is_unknown_is_left_out():
    rows, history = tables(units=(2,), methods=CROSSED[:1])
    rows[["noise_free", "response", "top_patch", "over_patch", "queries_to_90"]] = np.nan
    rows["reason"] = "the responses are not finite"
    history["noise_free"] = np.nan
    shown = ShownEvolution(rows, history)
    assert [part["kind"] for part in data(shown)["parts"]] == ["numbers", "words"]
    assert parts(shown, "words")[0]["text"] == "The responses are not finite."
    (numbers,) = parts(shown, "numbers")
    assert [each["value"] for each in numbers["numbers"]] == [None, 80, None]


def test_the_contrast_is_said_only_if_it_is_known():
    rows, history = tables(units=(2,))
    said = [
        data(ShownEvolution(rows.assign(contrast=contrast), history))["about"].split("noise.")[1]
        for contrast in (0.6, np.linspace(0.5, 1.5, len(rows)), np.nan)
    ]
    assert said == [
        " All images have the same contrast (0.6).",
        " Contrasts differ (0.5 to 1.5), and responses with them.",
        "",
    ]


def _final(response: float, image: bool = True) -> FinalImage:
    gray = np.linspace(0, 1, 12).reshape(3, 4, 1)
    return FinalImage("genetic, grid", gray if image else None, response)


def test_images_come_first_and_generations_last_with_captions():
    rows, history = tables(units=(2,))
    images = np.zeros((2, 3, 4, 3))
    strip = FilmStrip("genetic, grid", images, [1, 1200], [0.5, np.nan])
    shown = ShownEvolution(rows, history, [strip], [_final(30.0), _final(np.nan, image=False)])
    first, last = parts(shown, "maps")
    assert [part["title"] for part in (first, last)] == [
        "Best images",
        "Generations: genetic, grid",
    ]
    found, missing = first["maps"]
    assert found["captions"] == ["response 30", "3.0 times the top patch"]
    levels = np.rint(np.linspace(0, 255, 12)).reshape(3, 4, 1)
    np.testing.assert_array_equal(pixels(found["image"]["png"]), levels.repeat(3, 2))
    assert missing["image"] is None
    assert missing["captions"] == ["There is no such image."]
    assert [(each["name"], each["captions"]) for each in last["maps"]] == [
        ("1 query", ["response 0.5"]), ("1,200 queries", ["no response known"]),
    ]  # fmt: skip
    assert data(shown)["parts"][-1] == last


def test_large_images_are_reduced_by_averaging_and_missing_pixels_are_gray():
    stripes = np.tile([0.0, 1.0], (512, 256))[..., None]
    url, width, height = display_url(stripes)
    assert (width, height) == (256, 256)
    assert np.abs(pixels(url).astype(int) - 128).max() <= 2
    url, *_ = display_url(np.full((2, 2, 3), np.nan))
    assert (pixels(url) == 224).all()
