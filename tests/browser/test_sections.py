"""Sections that stages add to a unit, in Chromium: their numbers, in both themes and on a phone."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import pipeline
from pipeline.pages.site import build_site
from pipeline.run.active_run import ActiveRun
from tests.browser.conftest import Serve
from tests.browser.test_gallery import heading, read
from tests.conftest import RunPipeline
from tests.pages.sites import HTML, little_site

pytestmark = pytest.mark.browser

SMALL = (
    "stages=[shape_tuning,pages]", "layers=[conv1,conv2]", "units=[2,5]", "images.limit=4",
    "shape_tuning.width=12", "shape_tuning.positions=[-26,-24,-12,-10,-8,0,8,10,12,24,26]",
    "shape_tuning.shuffles=2", "figures.formats=[png]",
)  # fmt: skip
TITLE = "Tuning to shapes"


@pytest.fixture(scope="module")
def run(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    return run_pipeline(*SMALL, f"out={tmp_path_factory.mktemp('sections')}")


@pytest.fixture(scope="module")
def tuned(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    return run_pipeline(
        "stages=[tuning,pages]", "layers=[conv1]", "units=[2,5]", "images.limit=4",
        "tuning.properties=[orientation,hue]", "figures.formats=[png]",
        f"out={tmp_path_factory.mktemp('tuned')}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def url(run: ActiveRun, serve: Serve) -> str:
    return serve(run.paths.site)


@pytest.fixture(scope="module")
def little(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> str:
    """A site of made-up sections with parts of every kind, whose names are markup."""
    folder = tmp_path_factory.mktemp("little") / "site"
    build_site(little_site(), {}, folder)
    return serve(folder)


def number(text: str) -> float:
    return float(text.replace("\u2212", "-"))


def test_tuning_to_shapes_is_that_of_the_table(page: Page, run: ActiveRun, url: str):
    table = pipeline.open_run(run.paths.folder).shape_tuning
    row = table.query("layer == 'conv2' and unit == 5").iloc[0]
    page.goto(f"{url}/gallery.html#miniature/conv2/5")
    heading(page, "conv2, unit 5")
    section = page.get_by_role("region", name=TITLE)
    values = [number(text) for text in section.locator("dd strong").all_inner_texts()[:2]]
    expected = [row["apc_r"], row["translation_invariance"]]
    assert values == pytest.approx(expected, rel=0.006)  # three digits
    responses = [number(text) for text in section.locator("figcaption").all_inner_texts()]
    assert responses[:5] == sorted(responses[:5], reverse=True)
    assert responses[5:] == sorted(responses[5:])
    best = f"Best shapes: shape {row['best_shape']}, rotated by {row['best_rotation']}°"
    label = section.locator(".shapes svg").first.get_attribute("aria-label")
    assert label is not None
    assert label.startswith(best)
    assert section.locator(".small-plot svg.plot").count() == 4


def test_the_next_unit_has_its_own_numbers_and_a_small_field_the_reason(page: Page, url: str):
    page.goto(f"{url}/gallery.html#miniature/conv2/2")
    heading(page, "conv2, unit 2")
    section = page.get_by_role("region", name=TITLE)
    first = section.locator("dd strong").all_inner_texts()
    page.keyboard.press("ArrowRight")
    heading(page, "conv2, unit 5")
    assert section.locator("dd strong").all_inner_texts() != first
    page.goto(f"{url}/gallery.html#miniature/conv1/2")
    heading(page, "conv1, unit 2")
    expect(section.locator(".missing").first).to_contain_text("smaller than shapes of 12")


def test_every_kind_of_part_is_shown_and_markup_is_text(page: Page, little: str):
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(f"{little}/gallery.html")
    page.locator(".grid a").nth(1).click()
    heading(page, "conv1, unit 1")
    section = page.get_by_role("region", name="Made up")
    expect(section.locator("h2")).to_have_text(f"Made up {HTML}")
    expect(section.locator(".said")).to_have_text(f"Something is missing {HTML}.")
    assert section.locator("dd strong").all_inner_texts() == ["2.5 px", "none"]
    assert section.locator(".shapes path.shape").count() == 2
    plots = section.locator(".small-plot")
    curve = plots.nth(0).locator("path.curve").first.get_attribute("d")
    assert curve is not None
    assert (curve.count("M"), curve.count("L")) == (2, 1)  # the third of four values is missing
    assert plots.nth(0).locator("circle").count() == 3
    label = plots.nth(0).locator("svg.plot").get_attribute("aria-label")
    assert label is not None
    assert f"first {HTML}: highest 11 at 3, lowest 0 at 0." in label
    expect(plots.nth(1).locator("text", has_text="onerror")).to_have_text(HTML)
    expect(plots.nth(2)).to_contain_text("There are no values.")
    images = section.locator(".map img")
    expect(images).to_have_count(1)
    alt = images.get_attribute("alt")
    assert alt == f"bars {HTML}: what raises {HTML}; center 1, 2 px"
    expect(section.locator(".map .missing")).to_have_text(f"The map is flat {HTML}.")
    assert dialogs == []
    page.locator("#next").click()  # the dead unit
    heading(page, "conv1, unit 2")
    expect(page.locator("section.added")).to_have_count(0)


def numbers_of(path: str | None) -> list[float]:
    assert path is not None
    return [float(part) for part in re.findall(r"-?[\d.]+", path)]


def test_octaves_are_equally_wide_on_a_logarithmic_axis(page: Page, little: str):
    page.goto(f"{little}/gallery.html")
    page.locator(".grid a").nth(1).click()
    heading(page, "conv1, unit 1")
    plot = page.get_by_role("region", name="Made up").locator(".small-plot").nth(3)
    across = numbers_of(plot.locator("path.curve").get_attribute("d"))[::2]
    steps = [b - a for a, b in itertools.pairwise(across)]
    assert steps == pytest.approx([steps[0]] * 3, abs=0.2)
    assert plot.locator("text").all_text_contents()[-6:-2] == ["1", "2", "4", "8"]


def test_a_ring_goes_around_clockwise_and_has_its_colors(page: Page, little: str):
    page.goto(f"{little}/gallery.html")
    page.locator(".grid a").nth(1).click()
    heading(page, "conv1, unit 1")
    ring = page.get_by_role("region", name="Made up").locator(".small-plot.ring")
    places = numbers_of(ring.locator("path.curve").get_attribute("d"))
    # The highest, 4, is 72 pixels out, to the right; then down, as y is down; below 0 is 0; up.
    assert places == pytest.approx([178, 106, 106, 142, 106, 106, 106, 88], abs=0.1)
    colors = [mark.get_attribute("stroke") for mark in ring.locator("path.rim").all()]
    assert colors == ["#ff0000", "#00ff00", "#0000ff"]
    label = ring.locator("svg.plot").get_attribute("aria-label")
    assert label == f"Ring {HTML}: rate around degrees. two: highest 4 at 0, lowest \u22121 at 180."
    expect(ring.locator("figcaption")).to_have_text("rate, 0 to 4, around degrees")


def test_an_outline_lies_on_its_map_in_the_pixels_of_the_map(page: Page, little: str):
    page.goto(f"{little}/gallery.html")
    page.locator(".grid a").nth(1).click()
    heading(page, "conv1, unit 1")
    frame, line = (
        page.locator(f".map .frame {which}").bounding_box() for which in ("img", "path.line")
    )
    assert frame is not None
    assert line is not None
    side = frame["width"] / 8  # of a pixel of the map
    assert frame["height"] / 6 == pytest.approx(side, abs=0.1)
    assert line["x"] - frame["x"] == pytest.approx(2 * side, abs=2)
    assert line["y"] - frame["y"] == pytest.approx(2 * side, abs=2)
    assert line["width"] == pytest.approx(2 * side, abs=3)  # with the width of the line


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_card_of_a_unit_is_that_of_the_table(
    page: Page, tuned: ActiveRun, serve: Serve, scheme: str, width: int
):
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{serve(tuned.paths.site)}/gallery.html#miniature/conv1/5")
    heading(page, "conv1, unit 5")
    section = page.get_by_role("region", name="Tuning", exact=True)
    table = pipeline.open_run(tuned.paths.folder).tuning
    row = table.query("unit == 5 and at == 'post' and rate_map == 'identity'")
    expected = row.set_index("property")["value"]
    first = section.locator("dd strong").first.inner_text()
    angle = expected["preferred_orientation_interpolated"]
    assert number(first.removesuffix("°")) == pytest.approx(angle, rel=0.006)
    around, hues = section.locator(".small-plot.ring svg.plot").all()
    label = around.get_attribute("aria-label")
    assert label is not None
    assert "rate around direction of modulation on the screen" in label
    assert hues.locator("path.rim").count() == 24
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for drawn in section.locator("svg.plot").all():
        box = drawn.bounding_box()
        assert box is not None
        assert 0 <= box["x"] < box["x"] + box["width"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 390, 1280])
def test_nothing_sticks_out_or_vanishes_in_either_theme(
    page: Page, url: str, little: str, scheme: str, width: int
):
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{little}/gallery.html")
    page.locator(".grid a").nth(1).click()
    heading(page, "conv1, unit 1")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.goto(f"{url}/gallery.html#miniature/conv2/5")
    heading(page, "conv2, unit 5")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    behind = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for selector, of in ((".curve", "stroke"), (".plot text", "fill"), ("dd strong", "color")):
        mark = page.locator(f"section.added {selector}").first
        color = mark.evaluate(f"(element) => getComputedStyle(element).{of}")
        assert contrast(color, behind) >= 3
        box = mark.bounding_box()
        assert box is not None
        assert 0 <= box["x"] < box["x"] + box["width"] <= width


def contrast(first: str, second: str) -> float:
    def luminance(color: str) -> float:
        channels = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_the_page_works_from_a_folder(page: Page, run: ActiveRun):
    site: Path = run.paths.site
    page.goto(f"file://{site}/gallery.html#miniature/conv2/5")
    heading(page, "conv2, unit 5")
    assert read(site / "assets" / "data" / "conv2" / "5.js")["sections"][0]["title"] == TITLE
    expect(page.get_by_role("region", name=TITLE)).to_be_visible()
