"""The pages of a run say what its tables and its store say."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline.run.active_run import ActiveRun
from pipeline.stages.pages import STAGE
from tests.conftest import RunPipeline

LAYER = "conv2"


def read(path: Path) -> Any:
    """Return the value of a data script."""
    text = path.read_text(encoding="utf-8")
    return json.loads("[" + text.removeprefix("artiphys.put(").removesuffix(");\n") + "]")[1]


def unit_data(session: ActiveRun, unit: int, layer: str = LAYER) -> Any:
    return read(session.paths.site / "assets" / "data" / layer / f"{unit}.js")


def pixels(panel: dict[str, Any]) -> np.ndarray:
    """Return the pixels that a stored panel stands for."""
    content = base64.b64decode(panel["png"].partition(",")[2])
    stored = np.asarray(Image.open(io.BytesIO(content))) / 255.0
    return panel["low"] + stored * (panel["high"] - panel["low"])


def test_numbers_are_those_of_the_tables(small_run: ActiveRun):
    run = pipeline.open_run(small_run.paths.folder)
    data = read(small_run.paths.site / "assets" / "data" / LAYER / "layer.js")
    ascents = run.ascents.query("layer == @LAYER and init == 'zeros'")
    top = run.top_patches.query("layer == @LAYER and sign == 1 and rank == 0")
    r = run.correlations.query("layer == @LAYER")
    assert data["units"] == list(range(5))
    np.testing.assert_allclose(data["final"]["zeros"], ascents["final_response"], rtol=1e-5)
    np.testing.assert_allclose(data["top_response"], top["response"], rtol=1e-5)
    np.testing.assert_allclose(data["pairs"][0]["r"], r["r"], rtol=1e-5)
    np.testing.assert_allclose(data["pairs"][0]["null_r"], r["null_r"], rtol=1e-5)


def test_panels_are_the_climbed_images_in_pixels(small_run: ActiveRun):
    images = pipeline.open_run(small_run.paths.folder).images(LAYER, "top_patch")
    preprocessing = small_run.parts.network.preprocessing
    mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
    panels = {panel["name"]: panel for panel in unit_data(small_run, 3)["panels"]}
    image = np.moveaxis(images.image[3], 0, -1) * std + mean
    added = np.moveaxis(images.added[3], 0, -1) * std
    for name, expected in (("climbed from top_patch", image), ("added to top_patch", added)):
        panel = panels[name]
        error = np.abs(pixels(panel) - expected).max()
        assert error <= (panel["high"] - panel["low"]) / 510 + 1e-6


def test_top_patch_is_what_its_ascent_started_from(small_run: ActiveRun):
    images = pipeline.open_run(small_run.paths.folder).images(LAYER, "top_patch")
    preprocessing = small_run.parts.network.preprocessing
    for unit in range(5):
        panel = unit_data(small_run, unit)["panels"][-1]
        start = np.moveaxis(images.start[unit], 0, -1) * preprocessing.std + preprocessing.mean
        assert np.abs(pixels(panel) - start).max() <= 1 / 510 + 1e-6


def test_source_images_are_the_searched_ones(small_run: ActiveRun):
    patch = unit_data(small_run, 0)["patches"][0]
    assert small_run.images.names[patch["number"]] == patch["image"]
    path = small_run.paths.site / "assets" / "images" / f"{patch['number']}.jpg"
    shown = np.asarray(Image.open(path)) / 255
    preprocessing = small_run.parts.network.preprocessing
    image = np.moveaxis(small_run.images.read(patch["number"]).numpy(), 0, -1)
    error = shown - (image * preprocessing.std + preprocessing.mean)
    assert np.sqrt((error**2).mean()) < 0.02


def test_as_many_patches_are_shown_as_were_kept_or_asked_for(
    small_run: ActiveRun, run_pipeline: RunPipeline
):
    assert len(unit_data(small_run, 0)["patches"]) == 2 * 6
    config = small_run.parts.config
    again = run_pipeline(
        f"out={config.out}", "stages=[pages]", "pages.ranks=2", "layers=[conv1]", "units=0:5",
        "images.limit=40", "optimizer.steps=4", "search.keep=6",
    )  # fmt: skip
    assert len(unit_data(again, 0, "conv1")["patches"]) == 2 * 2
    assert again.done == 0


def test_what_is_not_in_the_store_is_left_out_and_told(
    run_pipeline: RunPipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    common = (f"out={tmp_path}", "layers=[conv1]", "units=0:2", "images.limit=5")
    short = ("optimizer.steps=1", "search.keep=2", "figures.formats=[png]")
    run_pipeline(*common, *short, "init=[zeros]", "stages=[ascent]")
    session = run_pipeline(*common, *short, "init=[zeros,noise]", "stages=[pages]")
    assert "pages: there are no ascents of conv1 from noise\n" in capsys.readouterr().out
    site = read(session.paths.site / "assets" / "data" / "site.js")
    assert site["layers"][0]["climbed"] == {"zeros": True, "noise": False}
    assert not site["layers"][0]["searched"]
    assert unit_data(session, 0, "conv1")["patches"] == []


def test_picture_that_changed_since_the_search_is_told_and_not_shown(
    run_pipeline: RunPipeline, tmp_path: Path
):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 256, (100, 100, 3), dtype=np.uint8)
        Image.fromarray(noise).save(photos / f"{number}.png")
    common = (
        "images=folder", f"images.root={photos}", "images.resize=null", f"out={tmp_path}",
        "layers=[conv1]", "units=0:3", "search.keep=2",
    )  # fmt: skip
    first = run_pipeline(*common, "stages=[top_patches,pages]")
    broken = unit_data(first, 0, "conv1")["patches"][0]
    assert (first.paths.site / "assets" / "images" / f"{broken['number']}.jpg").is_file()

    # The list is not looked at again in a session that runs, so the picture goes under its feet.
    (photos / broken["image"]).unlink()
    STAGE.write(first, STAGE.plan(first))
    patch = unit_data(first, 0, "conv1")["patches"][0]
    assert patch["number"] is None
    assert patch["fault"].startswith(f"images: '{broken['image']}' cannot be read")


@pytest.mark.parametrize(
    ("overrides", "unit", "panels"),
    [
        (("objective=[layer_mean_square]", "layers=[conv2]"), -1, 2),
        (("objective=[class_logit]", "layers=[output]", "units=[3]"), 3, 4),
    ],
)
def test_whole_layers_and_classes_have_pages(
    run_pipeline: RunPipeline, tmp_path: Path, overrides: tuple[str, ...], unit: int, panels: int
):
    copies = "init.copies=2" if unit == 3 else "init.copies=1"
    session = run_pipeline(
        *overrides, f"out={tmp_path}", "init=[noise]", copies, "optimizer.steps=1",
        "images.limit=5", "stages=[ascent,pages]",
    )  # fmt: skip
    data = unit_data(session, unit, overrides[1].strip("layers=[]"))
    assert len(data["panels"]) == panels
    assert {panel["width"] for panel in data["panels"]} == {96}
