"""The check of a job: all that is wrong at once, and what is counted."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path
from urllib import request

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from pipeline.cli.check import check_job
from pipeline.miniature.network import miniature
from pipeline.networks.loading import downloads
from pipeline.stages.catalog import all_stages
from pipeline.synthesis.objectives import Objective, Seen
from tests.conftest import Compose, RunPipeline
from tests.stages.conftest import SMALL

OFFLINE = ("tracking=none", "runner.accelerator=cpu")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of four small pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for number in range(4):
        pixels = rng.integers(0, 255, (100, 110, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def failing() -> Objective:
    """An objective that can be built and not be asked."""

    def score(seen: Seen):
        raise RuntimeError("out of luck")

    return Objective(score)


def test_job_that_is_right_has_no_fault_and_leaves_nothing(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    checked = check_job(composed(*OFFLINE, *SMALL, "stages=[check]"))
    assert checked.faults == []
    assert list(checked.stages) == ["top_patches", "ascent", "correlations", "figures", "pages"]
    assert checked.totals.seconds["search"]
    assert checked.totals.seconds["ascent"]
    assert list(tmp_path.iterdir()) == []


def test_everything_that_is_wrong_is_told_at_once(composed: Compose, tmp_path: Path):
    (tmp_path / "file").write_text("")
    config = composed(
        "stages=[check,ascend]",
        "layers=[conv9,conv1,features.2.x]",
        "units=0:100",
        "images=folder",
        f"images.root={tmp_path}/none",
        "init=[noise,zeros]",
        "init.noise.std=-1.0",
        "optimizer.steps=0",
        "optimizer.lr=-1.0",
        "tracking.mode=sometimes",
        "runner.threads=0",
        "precision=float16",
        "search.keep=0",
        "seed=-1",
        f"out={tmp_path}/file/out",
    )
    within = "which has conv1 (features.0) to conv5 (features.10)"
    assert set(check_job(config).faults) == {
        f"stages: 'ascend' is not a stage; the stages are check, {', '.join(all_stages())};"
        " nearest: ascent",
        f"layers: 'conv9' is not in miniature, {within}; nearest: conv5",
        f"layers: 'features.2.x' is not in miniature, {within}; nearest: features.2",
        "units: '0:100' goes beyond conv1, which has units 0 to 23",
        f"images.root: there is no folder '{tmp_path}/none'; give the path of one",
        "init.noise.std: -1.0 is not a positive number",
        "optimizer.steps: 0 is not positive; use 1 or more",
        "optimizer.lr: -1.0 is not a number of 0 or more, or two of them; write one value or"
        " [start, end]",
        "tracking.mode: 'sometimes' is not one of offline, online",
        "runner.threads: 0 is not null or a number from 1",
        "precision: 'float16' is not one of float32, tf32, bfloat16; nearest: bfloat16",
        "search.keep: 0 is not positive; use 1 or more",
        "seed: -1 is not from 0 to below 2^63",
        f"out: '{tmp_path}/file' is not a folder; choose another out",
    }


def test_what_is_animated_is_counted_and_its_faults_are_told(composed: Compose, tmp_path: Path):
    given = (*OFFLINE, *SMALL, "stages=[check,animate]", "layers=[conv2]", "init=[zeros]")
    given = (*given, f"out={tmp_path}")
    checked = check_job(composed(*given, "animate.units=[conv2/1,conv2/3]"))
    assert checked.faults == []
    (row,) = checked.rows
    # All five units are climbed, four steps and a last score; two are kept, five images each.
    assert checked.totals.operations["animate"] == 5 * (
        4 * row.operations["step"] + row.operations["step"] // 2
    )
    assert checked.totals.disk == 2 * 5 * 3 * 29 * 29 * 4
    assert list(tmp_path.iterdir()) == []
    (fault,) = check_job(composed(*given, "animate.units=[conv2/7]")).faults
    assert fault.startswith("animate.units: 'conv2/7' is not among the units of this run")


def test_unknown_model_does_not_hide_what_is_wrong_with_the_images(composed: Compose, photos: Path):
    for number in (1, 3):
        (photos / f"{number}.png").write_bytes(b"no picture")
    model = ("model=torchvision", "model.name=alexnit", "model.weights=random")
    images = ("images=folder", f"images.root={photos}", "images.crop=9000")
    checked = check_job(composed(*OFFLINE, *model, *images, "layers=[conv1]"))
    assert len(checked.faults) == 2
    assert checked.faults[0].startswith("model.name: 'alexnit' is not one of torchvision's")
    assert checked.faults[0].endswith("nearest: alexnet")
    assert checked.faults[1].startswith("images: 2 of 4 sampled images cannot be used, the first")


def test_missing_images_do_not_hide_the_layers(composed: Compose, tmp_path: Path):
    images = ("images=arrays", f"images.root={tmp_path}")
    checked = check_job(composed(*OFFLINE, *images, "layers=[conv1,conv2]"))
    assert checked.faults == [f"images.root: '{tmp_path}' holds no array ending in .npy"]
    assert [row.layer for row in checked.rows] == ["conv1", "conv2"]
    assert [row.field for row in checked.rows] == [(9, 9), (29, 29)]
    assert "ascent" not in checked.totals.seconds


def test_few_broken_images_are_set_aside(composed: Compose, photos: Path):
    (photos / "1.png").write_bytes(b"no picture")
    images = ("images=folder", f"images.root={photos}", "images.resize=null")
    checked = check_job(composed(*OFFLINE, *SMALL, *images, "images.limit=4"))
    assert checked.faults == []
    (note,) = checked.notes
    assert note.startswith("images: 1 of 4 sampled images would be left out, the first is '1.png'")


def test_pictures_that_are_too_small_are_told(composed: Compose, photos: Path):
    images = ("images=folder", f"images.root={photos}", "images.resize=null", "images.crop=105")
    checked = check_job(composed(*OFFLINE, *images, "layers=[conv1]"))
    assert checked.faults == [
        "images: 4 of 4 sampled images cannot be used, the first is '0.png', which is 110 x 100"
        " pixels, smaller than the crop of 105; lower images.crop or set images.resize; repair or"
        " remove them, or raise search.max_unreadable"
    ]


def test_size_at_which_the_network_does_not_run_is_told_and_the_layers_looked_at(
    composed: Compose,
):
    model = ("model=alexnet", "model.weights=random", "images.crop=20", "layers=[conv1]")
    checked = check_job(composed(*OFFLINE, *model))
    (fault,) = checked.faults
    assert fault.startswith("model: the network does not run at (20, 20) pixels")
    assert [row.operations["forward"] for row in checked.rows] == [2 * 363 * 64 * 55 * 55]


def test_weights_of_another_model_are_told_and_the_layers_looked_at(
    composed: Compose, tmp_path: Path
):
    save_file({"features.0.weight": torch.zeros(2, 3, 1, 1)}, tmp_path / "w.safetensors")
    weights = f"model.weights={tmp_path}/w.safetensors"
    checked = check_job(composed(*OFFLINE, weights, "layers=[conv1,conv7]"))
    other, layer = checked.faults
    assert other.startswith("model.weights: 'features.0.weight' in")
    assert other.endswith("has shape (2, 3, 1, 1), the network needs (24, 3, 9, 9); are they the"
                          " weights of another model?")  # fmt: skip
    assert layer.startswith("layers: 'conv7' is not in miniature")
    assert [row.layer for row in checked.rows] == ["conv1"]


def test_weights_that_do_not_cover_the_layers_are_told(composed: Compose, tmp_path: Path):
    whole = miniature().module.state_dict()
    first = {name: tensor for name, tensor in whole.items() if name.startswith("features.0.")}
    save_file(first, tmp_path / "first.safetensors")
    assert load_file(tmp_path / "first.safetensors").keys() == first.keys()
    weights = f"model.weights={tmp_path}/first.safetensors"
    fits = check_job(composed(*OFFLINE, weights, "layers=[conv1]"))
    assert fits.faults == []
    checked = check_job(composed(*OFFLINE, weights, "layers=[conv1,conv2,conv3]"))
    (fault,) = checked.faults
    assert fault.startswith("layers: conv2 (features.3), conv3 (features.6) of miniature cannot be")
    assert [row.layer for row in checked.rows] == ["conv1", "conv2", "conv3"]


def test_nothing_is_downloaded(composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_arguments: object, **_keywords: object):
        raise AssertionError("the network was asked")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(request, "urlopen", refuse)
    monkeypatch.setattr(downloads, "urlopen", refuse)
    monkeypatch.setattr(downloads, "download", refuse)
    layers = ("layers=[conv1,conv5]", "images.limit=2", "units=0:4")
    checked = check_job(composed(*OFFLINE, "model=alexnet", *layers))
    assert checked.faults == []
    assert checked.facts["weights"] == "will be downloaded (233 MB from download.pytorch.org)"
    url = "model.weights=https://example.org/mine.safetensors"
    checked = check_job(composed(*OFFLINE, "model=alexnet", url, *layers))
    assert checked.facts["weights"] == "not downloaded yet"
    assert list(tmp_path.iterdir()) == []


def test_objective_that_fails_when_it_is_asked_is_told(composed: Compose):
    config = composed(*OFFLINE, *SMALL)
    config.objective = {"failing": {"_target_": f"{__name__}.failing"}}
    (fault,) = check_job(config).faults
    assert fault.startswith("objective: images of 96 x 96 pixels cannot be scored for conv1")
    assert fault.endswith(" (out of luck)")


def test_rank_beyond_what_is_kept_is_told(composed: Compose):
    checked = check_job(composed(*OFFLINE, *SMALL, "init=[top_patch]", "init.top_patch.rank=6"))
    assert checked.faults == [
        "init.top_patch.rank: 6 is beyond the 6 patches kept per unit; ranks count from 0"
        " (search.keep sets how many are kept)"
    ]


def test_place_that_cannot_be_written_to_or_is_too_small_is_told(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 99, 1))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    checked = check_job(composed(*OFFLINE, *SMALL, f"out={tmp_path}/not/yet"))
    denied, small = checked.faults
    assert denied == f"out: '{tmp_path}' cannot be written to; choose another out"
    assert small.startswith("out: the results need 2.0 MB and")


def test_device_that_is_not_here_is_no_fault_of_a_job_that_runs_elsewhere(composed: Compose):
    config = composed("tracking=none", *SMALL, "runner.accelerator=mps", "precision=tf32")
    if torch.backends.mps.is_available():
        pytest.skip("this machine has the device")
    (fault,) = check_job(config).faults
    assert fault.startswith("runner.accelerator: ")
    checked = check_job(config, elsewhere=True)
    assert checked.faults == []
    assert checked.notes[0].startswith("times and memory are those of this machine (cpu")


def test_job_that_asks_no_network_is_checked_too(composed: Compose, tmp_path: Path):
    (tmp_path / "file").write_text("")
    training = ("training.steps=0", "training.network=decoders", f"training.out={tmp_path}/file")
    checked = check_job(composed(*OFFLINE, "stages=[check,train]", *training, "layers=[conv9]"))
    assert checked.faults == [
        "training.network: 'decoders' is neither 'classifier' nor 'decoder'; nearest: decoder",
        "training.steps: 0 is not positive; use 1 or more",
        f"training.out: '{tmp_path}/file' is not a folder; choose another training.out",
    ]
    assert checked.rows == []


def test_counts_of_the_first_layers_are_those_by_hand(composed: Compose):
    checked = check_job(composed(*OFFLINE, *SMALL))
    conv1, conv2, conv3 = checked.rows
    images, units, exact, inits, steps = 40, 5, 4, 2, 4
    # 24 kernels of 9 x 9 x 3 at 48 x 48 positions; forward and backward of one dot product.
    assert conv1.operations["forward"] == 2 * 243 * 24 * 48 * 48
    assert conv1.operations["step"] == 2 * 2 * 243
    assert conv1.operations["search"] == conv1.operations["forward"] * images
    assert conv1.operations["ascent"] == (units + exact) * inits * (
        conv1.operations["step"] * steps + conv1.operations["step"] // 2
    )
    assert (conv1.units, conv1.of) == (5, 24)
    # Each layer lies behind the one before it, so that one pass to the last serves all.
    assert checked.totals.operations["search"] == conv3.operations["search"]
    assert (
        checked.totals.operations["ascent"]
        == conv1.operations["ascent"] + conv2.operations["ascent"] + conv3.operations["ascent"]
    )


def test_disk_is_what_the_results_take(
    composed: Compose,
    run_pipeline: RunPipeline,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    job = (*OFFLINE, *SMALL, "stages=[top_patches,ascent]", f"out={tmp_path}")
    counted = check_job(composed(*job)).totals.disk
    run_pipeline(*job)
    stored = 0
    for path in tmp_path.glob("store/*/*/*/*/*.safetensors"):
        arrays = load_file(path)
        names = ("images", "starts") if "ascent" in path.parts[-5] else arrays.keys() - {"digests"}
        stored += sum(arrays[name].nbytes for name in names)
    assert stored == counted
    # What is there already needs no room.
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 100, 0))
    assert check_job(composed(*job)).faults == []
    (fault,) = check_job(composed(*job, "optimizer.steps=5")).faults
    assert fault.startswith("out: the results need ")
