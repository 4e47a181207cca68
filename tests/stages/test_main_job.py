"""The main job on the embedded network: what it leaves, and what it does when asked again."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import pipeline
from pipeline.analysis.similarity import pearson
from pipeline.config.schema import DEFAULT_STAGES
from pipeline.errors import ConfigError, ImageError, NetworkError, StoreError
from pipeline.miniature import decoder_training
from pipeline.miniature.decoder import trained_decoder
from pipeline.miniature.training import TrainingSettings
from pipeline.networks.loading.weights import digest_weights
from pipeline.run.active_run import ActiveRun
from pipeline.stages.catalog import all_stages
from pipeline.stages.top_patches import work
from pipeline.store.records import recorded_files
from tests.conftest import RunPipeline, table_columns
from tests.stages.conftest import SMALL

ASCENT_ONLY = ("stages=[ascent]", "layers=conv1", "images.limit=5", "optimizer.steps=2")

TABLES = sorted(table.name for name in DEFAULT_STAGES for table in all_stages()[name].tables)


def test_every_table_has_the_columns_of_the_contract(small_run: ActiveRun):
    run = pipeline.open_run(small_run.paths.folder)
    assert run.tables == TABLES
    for name in run.tables:
        assert tuple(getattr(run, name).columns) == table_columns()[name]


def test_rows_are_complete(small_run: ActiveRun):
    run = pipeline.open_run(small_run.paths.folder)
    layers, units, inits, signs, ranks, steps = 3, 5, 2, 2, 6, 4
    assert len(run.top_patches) == layers * units * signs * ranks
    assert len(run.ascents) == layers * units * inits
    assert len(run.trajectories) == layers * units * inits * (steps + 1)
    assert len(run.correlations) == layers * units
    assert list(run.correlation_summary["layer"]) == ["conv1", "conv2", "conv3"]


def test_top_patches_are_ordered_and_one_per_image(small_run: ActiveRun):
    table = pipeline.open_run(small_run.paths.folder).top_patches
    for (_, _, sign), rows in table.groupby(["layer", "unit", "sign"]):
        assert list(rows["rank"]) == list(range(6))
        assert rows["image"].is_unique
        assert (np.diff(rows["response"]) * sign <= 0).all()


def test_box_of_a_patch_is_the_receptive_field(small_run: ActiveRun):
    table = pipeline.open_run(small_run.paths.folder).top_patches
    sides = {"conv1": 9, "conv2": 29, "conv3": 53}
    strides = {"conv1": 2, "conv2": 4, "conv3": 8}
    # conv1 at (0, 0) of a map padded by 4 sees rows -4 to 4; each later window widens that.
    starts = {"conv1": -4, "conv2": -12, "conv3": -20}
    for row in table.itertuples():
        layer = str(row.layer)
        assert row.bottom - row.top == row.right - row.left == sides[layer]
        assert row.top == starts[layer] + strides[layer] * row.row
        assert row.left == starts[layer] + strides[layer] * row.column
        inside = min(row.top, row.left) >= 0 and max(row.bottom, row.right) <= 96
        assert row.inside == inside


def test_patch_inside_its_image_drives_the_unit_network_as_recorded(small_run: ActiveRun):
    run = pipeline.open_run(small_run.paths.folder)
    top = run.top_patches.query("sign == 1 and rank == 0")
    starts = run.ascents.query("init == 'top_patch'")
    both = top.merge(starts, on=["layer", "unit"]).query("inside")
    assert len(both) >= 5
    np.testing.assert_allclose(both["start_response"], both["response"], rtol=1e-4)


def test_first_layer_adds_steps_times_lr_times_its_kernel(small_run: ActiveRun):
    run = pipeline.open_run(small_run.paths.folder)
    kernels = small_run.parts.network.module.state_dict()["features.0.weight"][:5].numpy()
    for init in ("zeros", "top_patch"):
        added = run.images("conv1", init).added
        np.testing.assert_allclose(added, 4 * 0.1 * kernels, atol=2e-6)


def test_correlations_are_of_what_was_added(small_run: ActiveRun):
    run = pipeline.open_run(small_run.paths.folder)
    for layer, rows in run.correlations.groupby("layer"):
        added = [run.images(str(layer), init).added for init in ("zeros", "top_patch")]
        ok = (rows["status"] == "ok").to_numpy()
        np.testing.assert_allclose(pearson(*added)[ok], rows["r"][ok])
    assert (run.correlations.query("layer == 'conv1'")["r"] > 1 - 1e-6).all()


def test_trajectories_begin_and_end_where_the_ascents_say(small_run: ActiveRun):
    run = pipeline.open_run(small_run.paths.folder)
    keys = ["layer", "unit", "init"]
    both = run.trajectories.merge(run.ascents, on=keys)
    first, last = both.query("step == 0"), both.query("step == 4")
    np.testing.assert_array_equal(first["response"], first["start_response"])
    np.testing.assert_array_equal(last["response"], last["final_response"])


def test_record_says_what_was_done_with_what(small_run: ActiveRun):
    record = json.loads(small_run.paths.record.read_text())
    assert record["state"] == "finished"
    assert record["model"]["digest"] == small_run.parts.network.digest
    assert record["images"]["count"] == 40
    assert record["versions"]["torch"] == torch.__version__.split("+")[0]
    assert record["layers"]["conv2"] == "features.3"
    assert small_run.paths.config.read_text().startswith("model:\n")


def test_figures_are_whole_pictures(small_run: ActiveRun):
    names = {path.stem for path in small_run.paths.figures.glob("*.png")}
    expected = {"correlations_zeros_top_patch", "histograms_zeros_top_patch", "ascent_curves"}
    for layer in ("conv1", "conv2", "conv3"):
        expected |= {f"triptychs_{layer}", f"top_patches_{layer}", f"bottom_patches_{layer}"}
        expected |= {f"ascents_{layer}_zeros", f"ascents_{layer}_top_patch"}
    assert names == expected
    for path in small_run.paths.figures.glob("*.png"):
        with Image.open(path) as picture:
            picture.load()
            assert min(picture.size) > 100


def test_the_record_of_a_run_at_work_names_what_will_be_searched_and_climbed(
    run_pipeline: RunPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    early: list[Path] = []
    searching = work.search

    def search(run: ActiveRun, plan: Any) -> Any:
        early.extend(recorded_files(run.paths))
        return searching(run, plan)

    monkeypatch.setattr(work, "search", search)
    session = run_pipeline(*SMALL, f"out={tmp_path}", "stages=[top_patches,ascent]")
    assert {*early} == set(tmp_path.rglob("block-*.safetensors"))
    assert {*early} <= {*recorded_files(session.paths)}


def test_same_command_again_computes_nothing_and_gives_the_same_tables(
    small_run: ActiveRun, run_pipeline: RunPipeline
):
    again = run_pipeline(*SMALL, f"out={small_run.layout.out}", "stages=[top_patches,ascent]")
    assert again.done == 0
    first, second = (pipeline.open_run(s.paths.folder) for s in (small_run, again))
    for name in ("top_patches", "ascents", "trajectories"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name))


def test_run_of_one_stage_has_every_table_that_the_store_can_give(
    small_run: ActiveRun, run_pipeline: RunPipeline
):
    again = run_pipeline(*SMALL, f"out={small_run.layout.out}", "stages=[correlations]")
    first, second = (pipeline.open_run(s.paths.folder) for s in (small_run, again))
    assert second.tables == TABLES
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name))


def test_other_process_settings_give_the_same_bits(
    small_run: ActiveRun, run_pipeline: RunPipeline, tmp_path: Path
):
    stages = "stages=[top_patches,ascent,correlations]"
    other = run_pipeline(*SMALL, f"out={tmp_path}", stages, "runner.threads=1")
    assert other.done > 0
    first, second = (pipeline.open_run(s.paths.folder) for s in (small_run, other))
    for name in ("top_patches", "ascents", "correlations", "correlation_summary"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name))


def test_top_patches_do_not_depend_on_the_batch_size(
    small_run: ActiveRun, run_pipeline: RunPipeline, tmp_path: Path
):
    stages = "stages=[top_patches]"
    other = run_pipeline(*SMALL, f"out={tmp_path}", stages, "search.batch_size=7")
    first, second = (pipeline.open_run(s.paths.folder).top_patches for s in (small_run, other))
    exact = [name for name in first if name != "response"]
    pd.testing.assert_frame_equal(first[exact], second[exact])
    np.testing.assert_allclose(first["response"], second["response"], rtol=1e-5)


def test_ascent_without_a_search_says_what_to_add(run_pipeline: RunPipeline, tmp_path: Path):
    with pytest.raises(StoreError) as caught:
        run_pipeline(*ASCENT_ONLY, "units=0", f"out={tmp_path}")
    assert str(caught.value) == (
        "top_patches: the store holds no patches of conv1 for these weights and images;"
        " add top_patches to stages"
    )


def test_correlations_without_ascents_say_what_to_add(run_pipeline: RunPipeline, tmp_path: Path):
    with pytest.raises(StoreError) as caught:
        run_pipeline("stages=[correlations]", "layers=conv1", "images.limit=5", f"out={tmp_path}")
    assert str(caught.value) == (
        "correlations: the store does not hold all ascents of conv1 from 'zeros' for this"
        " configuration; add ascent to stages"
    )


def test_rank_beyond_what_was_kept_is_refused(run_pipeline: RunPipeline, tmp_path: Path):
    with pytest.raises(ConfigError, match=r"^init.top_patch.rank: 5 is beyond the 3 "):
        run_pipeline(
            *ASCENT_ONLY,
            "stages=[top_patches,ascent]",
            "search.keep=3",
            "init.top_patch.rank=5",
            f"out={tmp_path}",
        )


def test_unit_that_cannot_climb_is_reported_and_kept(
    run_pipeline: RunPipeline, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    # A network whose biases silence every unit of the first layer at zeros.
    first = run_pipeline(*ASCENT_ONLY, "init=[zeros]", "units=0", f"out={tmp_path}")
    state = first.parts.network.module.state_dict()
    state["features.0.bias"] = torch.full_like(state["features.0.bias"], -1e3)
    torch.save(state, tmp_path / "silent.pth")
    with caplog.at_level(logging.WARNING), pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger("pipeline"), "propagate", True)
        patch.setattr("pipeline.cli.run.log_to_console", lambda leads=True: None)
        session = run_pipeline(
            "stages=[ascent,correlations]",
            "layers=conv2",
            "units=0:3",
            "init=[zeros,noise]",
            "images.limit=5",
            "optimizer.steps=2",
            f"model.weights={tmp_path}/silent.pth",
            f"out={tmp_path}",
        )
    run = pipeline.open_run(session.paths.folder)
    assert set(run.ascents["status"]) == {"zero_gradient"}
    assert set(run.correlations["status"]) == {"zero_gradient"}
    assert run.correlations["r"].isna().all()
    assert run.correlation_summary["undefined"].tolist() == [3]
    assert (
        "conv2: unit 0, 1, 2 cannot climb from 'zeros': the gradient there is zero (every path to"
        " the unit has an inactive nonlinearity); try init=[top_patch] or init=[noise] with"
        " a larger std"
    ) in caplog.text


def test_truncated_picture_among_good_ones_is_set_aside_by_name(
    run_pipeline: RunPipeline, tmp_path: Path
):
    rng = np.random.default_rng(0)
    images = tmp_path / "images"
    images.mkdir()
    for number in range(5):
        pixels = rng.integers(0, 255, (96, 96, 3), np.uint8)
        Image.fromarray(pixels).save(images / f"{number}.jpg")
    cut = images / "2.jpg"
    cut.write_bytes(cut.read_bytes()[:-1500])
    options = ("stages=[top_patches]", "layers=conv1", "images=folder", f"images.root={images}")
    session = run_pipeline(*options, f"out={tmp_path}/out")
    table = pipeline.open_run(session.paths.folder).top_patches
    assert set(table["image"]) == {"0.jpg", "1.jpg", "3.jpg", "4.jpg"}
    record = json.loads(session.paths.record.read_text())
    assert list(record["unreadable"]) == ["2.jpg"]
    assert record["unreadable"]["2.jpg"].startswith("cannot be decoded (image file is truncated")
    (images / "3.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match=r"^images: 2 of 5 images cannot be used"):
        run_pipeline(*options, f"out={tmp_path}/out")


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (
            ["layers=[conv6]"],
            ConfigError,
            "layers: 'conv6' is not in miniature, which has conv1 (features.0) to conv5"
            " (features.10); nearest: conv5",
        ),
        (
            ["units=[24]", "layers=conv1"],
            ConfigError,
            "units: [24] goes beyond conv1, which has units 0 to 23",
        ),
        (
            ["model.weights=/no/such.pth"],
            NetworkError,
            "model.weights: there is no file '/no/such.pth'; give the path of one",
        ),
        (
            ["model=torchvision", "model.name=alexnt"],
            ConfigError,
            "model.name: 'alexnt' is not one of torchvision's 80 classification networks;"
            " nearest: alexnet",
        ),
        (
            ["runner.accelerator=tpu9"],
            ConfigError,
            None,
        ),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    run_pipeline: RunPipeline, tmp_path: Path, overrides: list[str], error: type, message: str
):
    with pytest.raises(error) as caught:
        run_pipeline(*overrides, f"out={tmp_path}/out")
    if message:
        assert str(caught.value) == message
    else:
        assert str(caught.value).startswith(
            "runner.accelerator: 'tpu9' cannot be used for 1 process ("
        )
    assert not (tmp_path / "out").exists()


def test_empty_folder_is_refused_before_anything_is_written(
    run_pipeline: RunPipeline, tmp_path: Path
):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no picture"):
        run_pipeline("images=folder", f"images.root={tmp_path}/empty", f"out={tmp_path}/out")
    assert not (tmp_path / "out").exists()


def test_training_stage_writes_weights_that_can_be_used(
    run_pipeline: RunPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    few = partial(TrainingSettings, test_images=20)  # drawing thousands takes seconds
    monkeypatch.setattr("pipeline.stages.train.work.TrainingSettings", few)
    trained = run_pipeline(
        "stages=[train]", "training.steps=2", "training.batch=4", f"out={tmp_path}"
    )
    weights = trained.paths.weights / "miniature.safetensors"
    session = run_pipeline(
        "stages=[top_patches]",
        "layers=conv1",
        "images.limit=5",
        f"model.weights={weights}",
        f"out={tmp_path}",
    )
    assert session.done == 1


def test_training_stage_writes_a_decoder_that_can_be_used(
    run_pipeline: RunPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(decoder_training, "STATISTICS_IMAGES", 100)
    trained = run_pipeline(
        "stages=[train]",
        "training.network=decoder",
        "training.steps=2",
        "training.batch=4",
        f"out={tmp_path}",
    )
    decoder = trained_decoder(str(trained.paths.weights / "decoder.safetensors"))
    record = json.loads((trained.paths.weights / "decoder.json").read_text())
    assert record["weights"] == digest_weights(decoder)
    assert record["settings"]["steps"] == 2


@pytest.mark.parametrize(
    "overrides",
    [
        ["layers=[avgpool]"],  # adaptive pooling
        [
            *("model=efficientnet_b0", "model.weights=random"),
            *("layers=[features.1,conv4]", "images.crop=64"),
        ],
    ],
)
def test_unit_behind_a_global_operation_is_climbed_where_it_was_searched(
    run_pipeline: RunPipeline, tmp_path: Path, overrides: list[str]
):
    session = run_pipeline(
        "stages=[top_patches,ascent]",
        "init=[top_patch]",
        "units=0:4",
        "images.limit=4",
        "optimizer.steps=1",
        *overrides,
        f"out={tmp_path}",
    )
    run = pipeline.open_run(session.paths.folder)
    top = run.top_patches.query("sign == 1 and rank == 0")
    both = top.merge(run.ascents, on=["layer", "unit"])
    for _, units in both.groupby("layer"):
        assert units["row"].nunique() == units["column"].nunique() == 1
    np.testing.assert_allclose(both["start_response"], both["response"], rtol=1e-4, atol=1e-6)
