"""Ascents and patches as pictures for a rig: what is shown, and what units respond to it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import pipeline
from pipeline.config.screen import StimuliConfig
from pipeline.errors import ArtiphysError
from pipeline.run.active_run import ActiveRun
from tests.conftest import RunPipeline

UNITS = ("layers=[conv2]", "units=[1,7]", "images.limit=9", "search.keep=2", "seed=3")
CLIMB = ("init=[zeros,noise]", "init.copies=2", "optimizer.steps=6", "optimizer.lr=100.0")
SHOWN = (
    "stimulus=[]",
    "stimuli.images=[ascent,top_patches,bottom_patches]",
    "stimuli.ranks=[0,1]",
    "stimuli.canvas=[40,51]",
    "stimuli.margin=2",
    "stimuli.magnify=2",
    "screen.colors=bounds",
    "screen.background=0.6",
    "screen.visual_degrees=6",
)
NET = pipeline.network("miniature")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shown")


@pytest.fixture(scope="module")
def shown(run_pipeline: RunPipeline, out: Path) -> ActiveRun:
    return run_pipeline(
        *(*UNITS, *CLIMB, *SHOWN, "stages=[top_patches,ascent,stimuli]", f"out={out}")
    )


@pytest.fixture(scope="module")
def table(shown: ActiveRun) -> pd.DataFrame:
    return pipeline.open_run(shown.paths.folder).stimulus_images


def pictures(run: ActiveRun, table: pd.DataFrame) -> np.ndarray:
    """Return the pictures with one pixel for each of the network, [n, 3, height, width]."""
    names = zip(table["folder"], table["file"], strict=True)
    files = [run.paths.folder / folder / file for folder, file in names]
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    small = pixels[:, ::2, ::2]
    np.testing.assert_array_equal(pixels, small.repeat(2, 1).repeat(2, 2))
    return small.transpose(0, 3, 1, 2)


def test_responses_are_those_to_the_pictures_that_were_written(
    shown: ActiveRun, table: pd.DataFrame
):
    assert len(table) == 2 * (4 + 2 + 2)
    read_back = torch.from_numpy(pictures(shown, table)[:, :, 7:36, 13:42])
    answers = NET.unit_network("conv2")(
        NET.preprocessing.normalize(read_back / 255), torch.tensor(table["unit"].tolist())
    )
    np.testing.assert_allclose(table["picture_response"], answers.numpy(), rtol=1e-5, atol=1e-5)
    lost = np.abs((table["response"] - table["picture_response"]).to_numpy())
    assert lost[table["clipped"].to_numpy() > 0.02].min() > 0.1  # beyond black and white
    assert lost[table["kind"].to_numpy() != "ascent"].max() < 0.02


def test_responses_to_the_images_are_those_of_the_stages_that_made_them(
    shown: ActiveRun, table: pd.DataFrame
):
    run = pipeline.open_run(shown.paths.folder)
    climbed = table.merge(run.ascents, on=["layer", "unit", "init", "copy"])
    assert len(climbed) == 8
    np.testing.assert_allclose(climbed["response"], climbed["final_response"], rtol=1e-4)
    patches = table.assign(sign=np.where(table["kind"] == "top_patch", 1, -1))
    patches = patches.query("kind != 'ascent'")
    patches = patches.merge(run.top_patches, on=["layer", "unit", "sign", "rank"])
    assert len(patches) == 8
    for name in ("image", "inside"):
        assert patches[f"{name}_x"].tolist() == patches[f"{name}_y"].tolist()
    within = patches[patches["inside_x"].astype(bool)]
    assert len(within) >= 4
    np.testing.assert_allclose(within["response_x"], within["response_y"], rtol=1e-4, atol=1e-5)


def test_images_are_at_the_center_of_a_gray_canvas(shown: ActiveRun, table: pd.DataFrame):
    found = pictures(shown, table)
    assert found.shape[1:] == (3, 44, 55)
    around = np.ones((44, 55), bool)
    around[7:36, 13:42] = False
    assert np.unique(found[:, :, around]).tolist() == [153]  # 0.6 of 255
    assert set(table["gray"]) == {"153 153 153"}
    sizes = table[["top", "left", "height", "width", "canvas_height", "canvas_width"]]
    assert sizes.drop_duplicates().to_numpy().tolist() == [[7, 13, 29, 29, 44, 55]]
    assert table["canvas_width_degrees"].iloc[0] == 55 * 6 / 96
    run = pipeline.open_run(shown.paths.folder)
    row = table.query("kind == 'bottom_patch' and unit == 7 and rank == 1").iloc[0]
    patch = run.patches("conv2", 7, rank=1, sign=-1)
    picture = found[row.name][:, 7:36, 13:42].transpose(1, 2, 0)
    assert np.abs(picture / 255 - patch).max() < 0.51 / 255


def test_the_store_and_the_library_give_the_same_pictures(
    run_pipeline: RunPipeline, shown: ActiveRun, table: pd.DataFrame, out: Path
):
    again = run_pipeline(*UNITS, *CLIMB, *SHOWN, "stages=[stimuli]", f"out={out}")
    files = sorted(path.relative_to(shown.paths.stimuli) for path in shown.paths.stimuli.rglob("*"))
    assert len(files) == 1 + 3 + 3 + 16
    for file in files:
        if file.suffix:
            made = (again.paths.stimuli / file).read_bytes()
            assert made == (shown.paths.stimuli / file).read_bytes()
    images = pipeline.open_run(again.paths.folder).images("conv2", "noise")
    library = pipeline.stimulus_images(
        *(NET, "conv2", images.units, images.image),
        canvas=(44, 55),
        background=0.6,
        visual_degrees=6.0,
    )
    own = table.query("init == 'noise'")
    np.testing.assert_array_equal(library.pixels.transpose(0, 3, 1, 2), pictures(shown, own))
    for name in ("response", "picture_response", "clipped", "width_degrees"):
        np.testing.assert_allclose(library.table[name], own[name], rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ("stimuli.images=[ascent]",),
            "stimuli.images: the store holds no ascents of conv2 for these settings; add ascent to"
            " stages",
        ),
        (
            ("stimuli.images=[bottom_patches]",),
            "stimuli.images: the store holds no patches of conv2 for these settings; add"
            " top_patches to stages",
        ),
        (
            ("stimuli.images=[top_patches]", "stimuli.ranks=[2]"),
            "stimuli.ranks: 2 is beyond the 2 patches kept per unit; ranks count from 0"
            " (search.keep sets how many are kept)",
        ),
        (
            ("stimuli.images=[ascent]", "stimuli.canvas=[28,40]"),
            "stimuli.canvas: 28 x 40 pixels are too few for images of 29 x 29, the receptive"
            " field; give a larger canvas, or none",
        ),
        (
            ("stimuli.images=[ascent]", "objective=[channel_mean]"),
            "stimuli.images: ascents by this objective are not of the receptive fields of single"
            " units; leave ascent out, or use objective=[unit_response]",
        ),
        (
            (
                *("stimuli.images=[ascent]", "stimuli.scaling=contrast"),
                *("screen.colors=bounds", "screen.background=0"),
            ),
            "stimuli.scaling: contrast is fitted about the gray of the canvas, and 0, 0, 0 is"
            " black or white in some channel; give another background, or use clip",
        ),
    ],
)
def test_faults_of_images_are_told_before_anything_is_written(
    run_pipeline: RunPipeline, tmp_path: Path, given: tuple[str, ...], message: str
):
    with pytest.raises(ArtiphysError, match=re.escape(message)):
        run_pipeline(*UNITS, "stimulus=[]", "stages=[stimuli]", *given, f"out={tmp_path}")
    assert not list(tmp_path.rglob("*.png"))


def test_settings_of_images_out_of_range_are_told():
    found = StimuliConfig(
        images=["ascents", "ascents"], ranks=[0, 0], canvas=[9], scaling="contrasts"
    ).faults()
    assert list(dict.fromkeys(found)) == [
        "stimuli.images: 'ascents' is not one of ascent, top_patches, bottom_patches; nearest:"
        " ascent",
        "stimuli.images: ['ascents', 'ascents'] names images twice",
        "stimuli.ranks: [0, 0] is not a list of different ranks from 0, as in"
        " stimuli.ranks=[0,1,2]",
        "stimuli.canvas: [9] is not a height and a width from 1 to 4096 pixels, as in"
        " stimuli.canvas=[224,224]; or null",
        "stimuli.scaling: 'contrasts' is not one of clip, contrast; nearest: contrast",
    ]
