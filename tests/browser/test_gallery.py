"""The gallery and the overview in Chromium: on a small run, and where things are missing."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from pipeline.pages.site import build_site
from tests.browser.conftest import Serve
from tests.conftest import RunPipeline
from tests.pages.sites import HTML, HTML_LAYER, INITS, little_site

pytestmark = pytest.mark.browser

SMALL = (
    "layers=[conv1,conv2]", "units=0:12", "images.limit=30", "optimizer.steps=4", "search.keep=6",
    "figures.formats=[png]",
)  # fmt: skip
LAYER = "conv2"
UNIT = "#miniature/conv2/7"


@pytest.fixture(scope="module")
def site(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of a small run of the embedded network."""
    out = tmp_path_factory.mktemp("gallery")
    return run_pipeline(*SMALL, f"out={out}").paths.site


@pytest.fixture(scope="module")
def url(site: Path, serve: Serve) -> str:
    return serve(site)


@pytest.fixture(scope="module")
def little(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> str:
    """A site where names are markup and something is missing everywhere."""
    folder = tmp_path_factory.mktemp("little") / "site"
    build_site(little_site(), {}, folder)
    return serve(folder)


def read(path: Path) -> Any:
    """Return the value of a data script."""
    text = path.read_text(encoding="utf-8")
    return json.loads("[" + text.removeprefix("artiphys.put(").removesuffix(");\n") + "]")[1]


def heading(page: Page, text: str) -> None:
    expect(page.locator("#heading")).to_have_text(text)


def units_shown(page: Page) -> list[int]:
    shown = page.locator(".grid a").evaluate_all("found => found.map((a) => a.dataset.unit)")
    return [int(unit) for unit in shown]


def widths_of_images(page: Page) -> list[int]:
    """Return the natural widths of all images, once they have come or failed."""
    # Not wait_for_function, which the policy of the pages forbids.
    page.evaluate(
        """Promise.all([...document.images].map((image) => image.complete
        || new Promise((done) => { image.onload = image.onerror = done; })))"""
    )
    return page.evaluate("[...document.images].map((image) => image.naturalWidth)")


def test_deep_link_menu_field_and_history_lead_to_what_they_name(page: Page, url: str):
    page.goto(f"{url}/gallery.html{UNIT}")
    heading(page, "conv2, unit 7")
    expect(page.locator("#unit")).to_have_value("7")
    page.evaluate("location.hash = '#miniature/conv1/3'")
    heading(page, "conv1, unit 3")
    expect(page.locator("#layer")).to_have_value("conv1")
    page.locator("#unit").fill("11")
    page.locator("#unit").press("Enter")
    heading(page, "conv1, unit 11")
    assert page.url.endswith("#miniature/conv1/11")
    expect(page.locator("#next")).to_be_disabled()
    page.locator("#layer").select_option("conv2")
    heading(page, "conv2")
    assert page.url.endswith("#miniature/conv2")
    assert len(units_shown(page)) == 12
    page.go_back()
    heading(page, "conv1, unit 11")
    assert page.title().startswith("conv1, unit 11")


def test_without_a_link_the_first_layer_is_shown(page: Page, url: str):
    page.goto(f"{url}/gallery.html")
    heading(page, "conv1")
    page.goto(f"{url}/gallery.html#main")  # the link that skips the menus
    page.reload()
    heading(page, "conv1")


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("#miniature/conv2/99", "conv2 shows units 0 to 11; 99 is not among them."),
        ("#miniature/conv2/x", "conv2 shows units 0 to 11; x is not among them."),
        ("#miniature/conv9/1", "There is no layer conv9 here; there are conv1, conv2."),
        ("#vgg16/conv1/1", "This site shows miniature, not vgg16."),
        ("#%/%3Cb%3E/1", "This site shows miniature, not %."),
    ],
)
def test_a_link_to_what_is_not_there_is_told(page: Page, url: str, link: str, words: str):
    page.goto(f"{url}/gallery.html{link}")
    expect(page.get_by_role("alert")).to_have_text(words)
    page.get_by_text("Show the first layer").click()
    heading(page, "conv1")


def test_keys_lead_through_units_and_the_grid(page: Page, url: str):
    page.goto(f"{url}/gallery.html{UNIT}")
    heading(page, "conv2, unit 7")
    page.keyboard.press("ArrowRight")
    heading(page, "conv2, unit 8")
    assert page.url.endswith("#miniature/conv2/8")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    heading(page, "conv2, unit 6")  # no key is lost, however fast
    page.keyboard.press("Escape")
    heading(page, "conv2")
    focused = "document.activeElement.dataset.unit"
    assert page.evaluate(focused) == "6"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "7"
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "11"
    page.keyboard.press("Home")
    assert page.evaluate(focused) == "0"
    page.keyboard.press("Enter")
    heading(page, "conv2, unit 0")
    page.keyboard.press("ArrowLeft")
    heading(page, "conv2, unit 0")
    assert page.locator(".grid a[tabindex='0']").count() == 0


def test_all_controls_can_be_reached_with_the_tab_key(page: Page, url: str):
    page.goto(f"{url}/gallery.html{UNIT}")
    heading(page, "conv2, unit 7")
    reached = set()
    for _ in range(13):
        page.keyboard.press("Tab")
        name, outlines = page.evaluate(
            """() => { const at = document.activeElement;
            const outline = (element) => element && getComputedStyle(element).outlineStyle;
            return [at.id || at.name, [outline(at), outline(at.nextElementSibling)]]; }"""
        )
        reached.add(name)
        assert "solid" in outlines
    assert {"theme", "model", "layer", "previous", "unit", "next", "all", "scaling"} <= reached


@pytest.mark.parametrize("descending", [False, True])
def test_grid_is_sorted_by_what_is_chosen(page: Page, site: Path, url: str, descending: bool):
    data = read(site / "assets" / "data" / LAYER / "layer.js")
    values = {
        "r (zeros, top_patch)": data["pairs"][0]["r"],
        "top patch response": data["top_response"],
        "final response from top_patch": data["final"]["top_patch"],
        "index": data["units"],
    }
    page.goto(f"{url}/gallery.html#miniature/{LAYER}")
    heading(page, LAYER)
    if descending:
        page.locator("#descending").click()
    for name, of_units in values.items():
        page.locator("#order").select_option(name)
        expected = sorted(data["units"], key=lambda unit: of_units[unit], reverse=descending)
        assert units_shown(page) == expected
    expect(page.locator("#descending")).to_have_attribute("aria-pressed", str(descending).lower())


def test_units_without_a_value_come_last_either_way(page: Page, little: str):
    page.goto(f"{little}/gallery.html")
    heading(page, "conv1")
    page.locator("#order").select_option("r (zeros, noise)")
    assert units_shown(page) == [0, 1, 5, 2]
    page.locator("#descending").click()
    assert units_shown(page) == [5, 1, 0, 2]


@pytest.mark.parametrize("mode", ["image", "shared", "clip"])
def test_pixels_on_the_screen_follow_the_scaling(page: Page, site: Path, url: str, mode: str):
    page.goto(f"{url}/gallery.html{UNIT}")
    heading(page, "conv2, unit 7")
    page.locator(f"#scaling input[value={mode}]").check(force=True)
    panels = read(site / "assets" / "data" / LAYER / "7.js")["panels"]
    assert len(panels) == 5
    for panel in panels:
        stored = Image.open(io.BytesIO(base64.b64decode(panel["png"].partition(",")[2])))
        step = (panel["high"] - panel["low"]) / 255
        values = panel["low"] + np.asarray(stored).astype(float) * step
        alike = [other for other in panels if other["kind"] == panel["kind"]]
        black, white = {
            "image": (panel["low"], panel["high"]),
            "shared": (min(p["low"] for p in alike), max(p["high"] for p in alike)),
            "clip": (-0.5, 0.5) if panel["kind"] == "added" else (0.0, 1.0),
        }[mode]
        expected = (255 * (values - black) / (white - black)).clip(0, 255)
        drawn = canvas_pixels(page, f"canvas[data-panel='{panel['name']}']")
        assert np.abs(drawn - expected).max() <= 0.51
    if mode == "clip":
        expect(page.locator("#scaling-text")).to_contain_text("clipped to black and white")


def canvas_pixels(page: Page, selector: str) -> np.ndarray:
    """Return the RGB bytes that a canvas shows."""
    code = """(canvas) => [canvas.width, canvas.height,
        [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]]"""
    width, height, data = page.locator(selector).evaluate(code)
    return np.array(data, float).reshape(height, width, 4)[:, :, :3]


def test_thumbnails_are_the_images_with_all_their_contrast(page: Page, site: Path, url: str):
    page.goto(f"{url}/gallery.html#miniature/{LAYER}")
    page.locator("#sheet").select_option("added to top_patch")
    expect(page.locator(".grid")).to_have_attribute("data-sheet", "added to top_patch")
    for unit in (0, 5, 11):
        panel = read(site / "assets" / "data" / LAYER / f"{unit}.js")["panels"][3]
        assert panel["name"] == "added to top_patch"
        stored = Image.open(io.BytesIO(base64.b64decode(panel["png"].partition(",")[2])))
        small = canvas_pixels(page, f".grid a[data-unit='{unit}'] canvas")
        r = np.corrcoef(small.ravel(), np.asarray(stored, float).ravel())[0, 1]
        assert r > 0.95
        # The largest magnitude is black or white.
        assert small.min() == 0 or small.max() == 255


def test_patches_are_cut_from_their_source_images(page: Page, site: Path, url: str):
    page.goto(f"{url}/gallery.html{UNIT}")
    patches = read(site / "assets" / "data" / LAYER / "7.js")["patches"]
    figures = page.locator("figure.patch")
    expect(figures).to_have_count(12)
    assert len(patches) == 12
    assert all(width > 0 for width in widths_of_images(page))
    for index, patch in enumerate(patches):
        top, left, bottom, right = patch["box"]
        crop = figures.nth(index).locator(".crop").bounding_box()
        image = figures.nth(index).locator(".crop img").bounding_box()
        assert crop is not None
        assert image is not None
        scale = crop["width"] / (right - left)
        assert crop["height"] == pytest.approx(scale * (bottom - top), abs=1)
        assert image["x"] - crop["x"] == pytest.approx(-left * scale, abs=1)
        assert image["y"] - crop["y"] == pytest.approx(-top * scale, abs=1)
        assert image["width"] == pytest.approx(96 * scale, abs=1)
        expect(figures.nth(index)).to_contain_text(patch["image"])


def test_curves_have_axes_and_places_are_told(page: Page, url: str):
    page.goto(f"{url}/gallery.html{UNIT}")
    heading(page, "conv2, unit 7")
    curves = page.get_by_role("img", name="Response over 4 steps.")
    expect(curves.locator(".title")).to_have_text(["step", "response"])
    assert curves.locator("path.curve").count() == len(INITS)
    assert page.locator(".strip svg").count() == 5
    expect(page.locator("li", has_text="r = ")).to_contain_text("between zeros and top_patch")


def test_responses_to_the_images_themselves_are_points_apart_from_the_curve(
    page: Page, little: str
):
    page.goto(f"{little}/index.html")
    page.get_by_role("link", name="conv3").first.click()
    page.locator(".grid a").first.click()
    heading(page, "conv3, the layer as a whole")
    expect(page.locator(".plot circle.point")).to_have_count(2)
    path = page.locator(".plot path.curve").get_attribute("d")
    assert path is not None
    assert (path.count("M"), path.count("L")) == (1, 1)  # two of four responses


def test_pages_work_from_a_folder(page: Page, site: Path):
    page.goto(f"file://{site}/index.html")
    assert all(width > 0 for width in widths_of_images(page))
    page.locator(".layers a").first.click()
    heading(page, "conv1")
    page.locator(".grid a").nth(4).click()
    heading(page, "conv1, unit 4")
    assert all(width > 0 for width in widths_of_images(page))
    assert page.locator("canvas.pixels").count() == 5


def test_every_image_has_words(page: Page, url: str):
    for address in ("index.html", f"gallery.html{UNIT}"):
        page.goto(f"{url}/{address}")
        page.wait_for_load_state("networkidle")
        wordless = "img:not([alt]), img[alt=''], canvas:not([aria-label], [aria-hidden])"
        assert page.locator("img").count() > 0
        assert page.locator(wordless).count() == 0


def test_names_that_are_markup_are_shown_as_text(page: Page, little: str):
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(f"{little}/index.html")
    expect(page.locator("h1")).to_have_text(f"little: {HTML}")
    page.get_by_role("link", name=HTML_LAYER).first.click()
    heading(page, HTML_LAYER)
    page.locator(".grid a").first.click()
    heading(page, f"{HTML_LAYER}, unit 0")
    page.locator("#layer").select_option("conv1")
    page.locator(".grid a").first.click()
    heading(page, "conv1, unit 0")
    expect(page.locator("figure.patch").first).to_contain_text(f"{HTML}.jpg")
    expect(page.locator("#model")).to_have_value(f"model {HTML}")
    assert page.locator("img[src=x], main b").count() == 0
    assert dialogs == []


def test_what_is_missing_is_said_in_words(page: Page, little: str):
    page.goto(f"{little}/gallery.html")
    page.locator(".grid a[data-unit='2']").click()
    heading(page, "conv1, unit 2")
    expect(page.get_by_text("has a zero gradient at the start")).to_have_count(2)
    expect(page.locator("li", has_text="r = undefined")).to_contain_text("no defined correlation")
    expect(page.get_by_text("cannot be read (No such file)")).to_have_count(2)
    assert all(width > 0 for width in widths_of_images(page))

    page.locator("#layer").select_option(HTML_LAYER)
    expect(page.locator("#about")).to_contain_text("not climbed from noise; not searched")
    expect(page.locator(".grid .missing")).to_have_text(["none"])
    page.locator(".grid a").nth(1).click()
    expect(page.get_by_text("its pixels are not finite")).to_be_visible()
    expect(page.get_by_text("Not climbed from noise in this run.")).to_be_visible()
    expect(page.get_by_text("No top patches: this layer was not searched")).to_be_visible()
    expect(page.get_by_text("No correlations")).to_be_visible()


def test_a_layer_climbed_as_a_whole_is_shown(page: Page, little: str):
    page.goto(f"{little}/gallery.html")
    page.locator("#layer").select_option("conv3")
    expect(page.locator(".grid .name").first).to_contain_text("layer")
    page.locator(".grid a").first.click()
    heading(page, "conv3, the layer as a whole")
    assert page.url.endswith("/-1")
    page.keyboard.press("ArrowRight")
    heading(page, "conv3, unit 0")
    expect(page.get_by_text("There are no ascents of it")).to_be_visible()


def test_data_that_is_gone_is_told(page: Page, site: Path, tmp_path: Path, url: str):
    page.route(
        "**/conv2/7.js", lambda route: route.fulfill(body="", content_type="text/javascript")
    )
    page.goto(f"{url}/gallery.html{UNIT}")
    expect(page.get_by_role("alert")).to_contain_text("holds no data called conv2/7")


def test_colors_follow_the_system_and_the_switch_and_are_kept(page: Page, url: str):
    background = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="dark")
    page.goto(f"{url}/gallery.html")
    dark = page.evaluate(background)
    page.emulate_media(color_scheme="light")
    light = page.evaluate(background)
    assert dark != light
    page.get_by_role("button", name="Switch to dark colors").click()
    page.goto(f"{url}/index.html")
    assert page.evaluate(background) == dark
    expect(page.get_by_role("button", name="Switch to light colors")).to_be_visible()


@pytest.mark.parametrize("address", ["index.html", "gallery.html", f"gallery.html{UNIT}"])
def test_nothing_sticks_out_on_a_phone(page: Page, url: str, address: str):
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{url}/{address}")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
