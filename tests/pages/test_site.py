"""A site is whole, small, and says in words what is missing."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.pages.contents import Networks
from pipeline.pages.data_scripts import folder_name
from pipeline.pages.site import build_site
from tests.pages.sites import (
    FIELD,
    HTML,
    NAMES,
    SIDE,
    UNITS,
    UNREADABLE,
    little_site,
    picture,
)

LIMIT = 500_000  # bytes of the pages, without images and networks


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "site"
    networks = {"conv1": Networks(b"onnx", b"more", 6, (FIELD, FIELD)), "conv3": None}
    build_site(little_site(), networks, folder)
    return folder


def data(path: Path) -> tuple[str, Any]:
    """Return key and value of a data script."""
    text = path.read_text(encoding="utf-8")
    key, value = json.loads("[" + text.removeprefix("artiphys.put(").removesuffix(");\n") + "]")
    return key, value


def test_every_unit_has_its_data_and_every_key_is_the_plain_name(site: Path):
    assert data(site / "assets" / "data" / "site.js")[0] == "site"
    for layer in little_site().layers:
        folder = site / "assets" / "data" / folder_name(layer.name)
        key, rows = data(folder / "layer.js")
        assert key == layer.name
        for number in range(len(rows["thumbnails"])):
            assert data(folder / f"thumbnails-{number}.js")[0] == f"{key}/thumbnails-{number}"
        for unit in layer.units:
            assert data(folder / f"{unit}.js")[0] == f"{key}/{unit}"


def test_a_unit_shows_ascents_then_the_top_patch(site: Path):
    _, unit = data(site / "assets" / "data" / "conv1" / "5.js")
    assert [panel["name"] for panel in unit["panels"]] == [
        "climbed from zeros", "added to zeros", "climbed from noise", "added to noise", "top patch",
    ]  # fmt: skip
    assert [len(curve["responses"]) for curve in unit["curves"]] == [4, 4]
    assert [curve["status"] for curve in unit["curves"]] == ["ok", "ok"]
    assert [curve["transformed"] for curve in unit["curves"]] == [False, False]
    (curve,) = data(site / "assets" / "data" / "conv3" / "-1.js")[1]["curves"]
    assert curve["transformed"]
    top = unit["panels"][-1]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(top["png"].partition(",")[2]))))
    np.testing.assert_array_equal(pixels, picture(2).pixels[20:28, 10:18])


def test_source_images_are_there_and_the_unreadable_one_is_told(site: Path):
    images = site / "assets" / "images"
    assert {path.stem for path in images.glob("*.jpg")} == {"0", "1", "2"}
    _, unit = data(site / "assets" / "data" / "conv1" / "0.js")
    for patch in unit["patches"]:
        if patch["rank"] == 2:
            assert patch["number"] is None
            assert patch["fault"] == f"images: '{NAMES[UNREADABLE]}' cannot be read (No such file)"
        else:
            assert unit["images"][str(patch["number"])] == {"height": SIDE, "width": SIDE}


def test_networks_are_described_and_written_where_there_are_any(site: Path):
    layers = {layer["name"]: layer for layer in data(site / "assets/data/site.js")[1]["layers"]}
    assert layers["conv1"]["network"]["forward_bytes"] == 4
    assert layers["conv3"]["network"] is None
    assert (site / "assets/data/conv1/gradient.js").is_file()
    assert not (site / "assets/data/conv3/gradient.js").exists()


def test_names_that_are_markup_are_text(site: Path):
    for page in site.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<img src=x" not in text
        assert "&lt;img src=x onerror=alert(1)&gt;&amp;amp;" in text
    for script in (site / "assets" / "data").rglob("*.js"):
        assert not set("<>&") & set(script.read_text(encoding="utf-8"))
    assert HTML in data(site / "assets" / "data" / "site.js")[1]["title"]


def test_pages_ask_for_nothing_elsewhere(site: Path):
    for page in site.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        for address in re.findall(r'(?:src|href)="([^"]*)"', text):
            assert not re.match(r"(?!data:)[a-z]+:|//", address), address
            target = address.partition("#")[0]
            assert target == "" or address.startswith("data:") or (site / target).is_file()


def test_pages_are_small(site: Path):
    code = [*site.glob("*.html"), *site.glob("assets/*.css"), *site.glob("assets/*.js")]
    size = sum(path.stat().st_size for path in code if path.name != "ort.js")
    assert 0 < size < LIMIT


def test_words_stand_for_what_is_missing(site: Path):
    index = (site / "index.html").read_text(encoding="utf-8")
    assert "this run has not drawn one" in index
    assert "not correlated" in index
    assert "1 ok, 1 not finite; not searched" in index


def test_building_again_leaves_nothing_of_what_was_there(tmp_path: Path):
    (tmp_path / "site" / "assets").mkdir(parents=True)
    (tmp_path / "site" / "assets" / "old.js").touch()
    build_site(little_site(), {}, tmp_path / "site")
    assert not (tmp_path / "site" / "assets" / "old.js").exists()
    assert (
        len(list((tmp_path / "site" / "assets" / "data" / "conv1").glob("*.js")))
        == 1 + len(UNITS) + 5
    )


def test_sections_are_those_of_the_unit_and_none_is_left_over_from_another_layer(site: Path):
    folder = site / "assets" / "data"
    (section,) = data(folder / "conv1" / "5.js")[1]["sections"]
    assert section["parts"][1]["numbers"][0]["value"] == 6.5
    assert data(folder / "conv1" / "2.js")[1]["sections"] == []
    assert data(folder / "conv3" / "0.js")[1]["sections"] == []  # written after conv1
