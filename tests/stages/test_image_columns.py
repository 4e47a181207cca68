"""A list of pictures in a run: its columns in every table with images, and what it answers anew."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import pipeline
from pipeline.cli.run import run_fingerprint
from pipeline.errors import ConfigError
from tests.conftest import RunPipeline, compose_config

LITTLE = (
    "stages=[top_patches,responses]", "layers=[conv1]", "units=[1,5]", "search.keep=2",
    "images.resize=null",
)  # fmt: skip


def listed(folder: Path) -> Path:
    """Write three pictures and a list of them."""
    rng = np.random.default_rng(0)
    for name in "abc":
        pixels = rng.integers(0, 256, (96, 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return relisted(folder, "cat")


def relisted(folder: Path, first: str) -> Path:
    file = folder / "list.csv"
    file.write_text(f"file,class,trial\nc.png,{first},3\na.png,-x,\nb.png,,5\n")
    return file


def test_a_list_is_known_by_its_pictures_and_its_columns_are_read_anew(
    run_pipeline: RunPipeline, tmp_path: Path
):
    options = (*LITTLE, "images=list", f"images.file={listed(tmp_path)}", f"out={tmp_path}/out")
    config = compose_config(*options)
    first = run_pipeline(*options)
    key = run_fingerprint(config)
    assert first.done == 2  # blocks of images
    run = pipeline.open_run(first.paths.folder)
    table = run.response_images
    assert list(table.columns) == ["row", "image", "read", "image_class", "image_trial"]
    assert table["image"].tolist() == ["c.png", "a.png", "b.png"]
    assert table["image_class"].fillna("missing").tolist() == ["cat", "-x", "missing"]
    assert table["image_trial"].tolist() == [3, pd.NA, 5]
    patches = run.top_patches
    known = table.set_index("image")["image_class"]
    assert patches["image_class"].equals(known.loc[patches["image"]].reset_index(drop=True))
    # What a spreadsheet would take for a formula is none in the CSV.
    assert ",'-x," in (first.paths.tables / "response_images.csv").read_text()
    assert run.patches("conv1", 1).shape == (9, 9, 3)

    relisted(tmp_path, "dog")  # no number depends on the columns
    assert run_fingerprint(config) != key
    again = run_pipeline(*options)
    assert again.done == 0
    assert pipeline.open_run(again.paths.folder).response_images["image_class"][0] == "dog"

    key = run_fingerprint(config)
    os.utime(tmp_path / "b.png", (1, 1))  # the same contents
    assert run_fingerprint(config) != key
    touched = run_pipeline(*options)
    assert touched.done == 0

    with Image.open(tmp_path / "b.png") as picture:
        changed = picture.copy()
    changed.putpixel((50, 50), (1, 2, 3))
    changed.save(tmp_path / "b.png")
    assert run_pipeline(*options).done == 2


def test_several_sets_are_composed_from_options(run_pipeline: RunPipeline, tmp_path: Path):
    file = listed(tmp_path)
    options = (
        *LITTLE[:-1],
        "images=several",
        "+images@images.sets.mine=list",
        f"images.sets.mine.file={file}",
        "+images@images.sets.bundled=photographs",
        "images.sets.bundled.limit=4",
        f"out={tmp_path}/out",
    )
    active = run_pipeline(*options)
    run = pipeline.open_run(active.paths.folder)
    table = run.response_images
    assert table["image"][:3].tolist() == ["mine/c.png", "mine/a.png", "mine/b.png"]
    assert table["image_set"].tolist() == ["mine"] * 3 + ["bundled"] * 4
    assert table["image_trial"].tolist()[2:4] == [5, pd.NA]
    assert run.patches("conv1", 5, rank=1).shape == (9, 9, 3)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["+images@images.sets.one=folder", "images.sets.one.root=/none"],
            "images.sets.one.root: there is no folder '/none'; give the path of one",
        ),
        (
            ["+images@images.sets.one=photographs", "+images.sets.one.limt=3"],
            "images.sets.one.limt: pipeline.images.photographs.photographs takes no such argument;"
            " it takes preprocessing, crop, stride, scales, limit, seed; nearest: limit",
        ),
        (["+images@images.sets.one=list"], "images.sets.one.file: must be given; add images.sets"),
    ],
)
def test_faults_of_one_of_several_sets_are_told_with_its_name(run_pipeline, options, sentence):
    with pytest.raises(ConfigError) as caught:
        run_pipeline(*LITTLE[:-1], "images=several", *options)
    assert str(caught.value).startswith(sentence)
