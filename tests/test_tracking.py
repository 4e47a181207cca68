"""The offline W&B run is read back from its own file, without an account or a network."""

from __future__ import annotations

import json
import math
import struct
import time
from pathlib import Path

import pandas as pd
import pytest
from wandb.proto import wandb_internal_pb2

from pipeline.errors import ConfigError
from pipeline.tracking import wandb
from tests.conftest import RunPipeline

BLOCK = 32768
HEADER = 7  # bytes, of the file and of every chunk


def records(path: Path) -> list[wandb_internal_pb2.Record]:
    """Read W&B's log: LevelDB's format, chunks in blocks, with a header of its own."""
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    found, parts, position = [], b"", HEADER
    while position + HEADER <= len(data):
        if BLOCK - position % BLOCK < HEADER:
            position += BLOCK - position % BLOCK
            continue
        length, kind = struct.unpack("<HB", data[position + 4 : position + 7])
        parts += data[position + HEADER : position + HEADER + length]
        position += HEADER + length
        if kind in (1, 4):  # a whole record, or its last chunk
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            found.append(record)
            parts = b""
    return found


def whole(path: Path) -> list[wandb_internal_pb2.Record]:
    """Read W&B's log once its own process, which outlives the run by a moment, has ended it."""
    for _ in range(100):
        read = records(path)
        if any(record.HasField("exit") for record in read):
            return read
        time.sleep(0.1)
    raise AssertionError(f"'{path}' was not ended")


def test_offline_run_holds_configuration_summary_table_figures_and_progress(
    run_pipeline: RunPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    session = run_pipeline(
        "tracking=wandb",
        "layers=conv1",
        "units=0:2",
        "images.limit=5",
        "optimizer.steps=2",
        "figures.formats=[png]",
        "stages=[top_patches,ascent,correlations,figures,animate]",
        "animate.units=[conv1/1]",
        "animate.formats=[gif]",
        f"out={tmp_path}",
    )
    (folder,) = (session.paths.folder / "wandb").glob("offline-run-*")
    (log,) = folder.glob("*.wandb")
    read = whole(log)
    (config,) = [record.run.config.update for record in read if record.HasField("run")]
    values = {item.key: json.loads(item.value_json) for item in config}
    assert values["layers"] == "conv1"
    assert values["optimizer"]["lr"] == 0.1
    history: dict[str, object] = {}
    for record in read:
        if record.HasField("history"):
            for item in record.history.item:
                name = item.key or "/".join(item.nested_key)
                history[name] = json.loads(item.value_json)
    assert history["ascent/share"] == 1.0
    picture = history["figures/correlations_zeros_top_patch/path"]
    assert (folder / "files" / str(picture)).is_file()
    video = history["videos/animation_conv1_zeros_unit1.gif/path"]
    assert (folder / "files" / str(video)).is_file()
    place = history["correlation_summary/path"]
    table = json.loads((folder / "files" / str(place)).read_text())
    row = dict(zip(table["columns"], table["data"][0], strict=True))
    assert row["layer"] == "conv1"
    assert row["median"] == pytest.approx(1, abs=1e-6)
    pictures = list((folder / "files" / "media" / "images").rglob("*.png"))
    assert len(pictures) == len(list(session.paths.figures.glob("*.png")))


def test_unknown_mode_is_refused():
    with pytest.raises(ConfigError) as caught:
        wandb(mode="onlin")
    assert str(caught.value) == "tracking.mode: 'onlin' is not one of offline, online"


def test_online_without_an_account_is_one_sentence(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"^tracking: W&B cannot start in mode 'online'"):
        wandb(mode="online")(tmp_path, {}, None, "0123456789abcdef")


def test_missing_whole_numbers_can_be_tracked(tmp_path: Path):
    tracker = wandb()(tmp_path, {}, None, "0123456789abcdef")
    table = pd.DataFrame({"best_shape": pd.array([3, None], dtype="Int64"), "unit": [0, 1]})
    tracker.table("shape_tuning", table)
    tracker.finish(failed=False)
    (file,) = tmp_path.glob("wandb/**/shape_tuning*.table.json")
    (first, unit), (missing, _) = json.loads(file.read_text())["data"]
    assert (first, unit) == (3, 0)
    assert math.isnan(missing)


def test_empty_table_can_be_tracked(tmp_path: Path):
    tracker = wandb()(tmp_path, {}, None, "0123456789abcdef")
    tracker.table("correlations", pd.DataFrame(columns=["r"]))
    tracker.finish(failed=False)


def test_a_job_that_is_run_again_goes_on_with_its_own_tracked_run(
    run_pipeline: RunPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    job = ["tracking=wandb", "layers=conv1", "images.limit=2", "stages=[top_patches]"]
    ids = []
    for more in ([], ["runner.threads=1"], ["seed=1"], ["name=other"]):
        session = run_pipeline(*job, f"out={tmp_path}", *more)
        (folder,) = (session.paths.folder / "wandb").glob("offline-run-*")
        ids.append(folder.name.rpartition("-")[2])
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_wandb_is_off_where_its_own_variable_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    tracker = wandb()(tmp_path, {}, None, "name")
    tracker.log({"x": 1.0})
    tracker.finish(failed=False)
    assert list(tmp_path.iterdir()) == []
