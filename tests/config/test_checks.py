from __future__ import annotations

import shutil
from collections import namedtuple
from contextlib import nullcontext
from pathlib import Path

import pytest

from pipeline.config.checks import check_values
from pipeline.errors import ConfigError, StoreError
from pipeline.run.room import check_disk
from tests.conftest import Compose, RunPipeline


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("search.keep=0", "search.keep: 0 is not positive; use 1 or more"),
        ("search.batch_size=-1", "search.batch_size: -1 is not positive; use 1 or more"),
        ("search.max_unreadable=2", "search.max_unreadable: 2.0 is not a share from 0 to 1"),
        (
            "figures.triptychs=[conv2]",
            "figures.triptychs: 'conv2' is not a layer and a unit, such as conv2/7",
        ),
        ("pages.ranks=0", "pages.ranks: 0 is not positive; use 1 or more"),
        ("dream.frames=1000000000", "dream.frames: 1000000000 are too many; use 100000 or fewer"),
        ("optimizer.lr=1e308", "optimizer.lr: 1e+308 is too large; use a number up to 1e+30"),
        (
            "init=[noise] init.noise.std=-1e31",
            "init.noise.std: -1e+31 is too large; use a number up to 1e+30",
        ),
        (
            "dream.translate=[0,1e40]",
            "dream.translate: 1e+40 is too large; use a number up to 1e+30",
        ),
        ("figures.formats=[gif]", "figures.formats: 'gif' is not one of png, pdf, svg"),
    ],
)
def test_bad_value_is_refused(composed: Compose, override: str, message: str):
    with pytest.raises(ConfigError) as caught:
        check_values(composed(*override.split()))
    assert str(caught.value) == message


@pytest.mark.parametrize(("free", "enough"), [(1, False), (116_639, False), (116_640, True)])
def test_a_disk_too_small_is_found_before_work_starts(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, enough: bool
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 99, free))
    # Two inits: 24 units x 9 x 9 x 3 pixels x 4 bytes x start and image, and 4 units in float64.
    with nullcontext() if enough else pytest.raises(StoreError) as caught:
        check_disk(tmp_path / "not" / "yet", 116_640)
    if not enough:
        assert str(caught.value) == (
            f"out: the results need 117 kB and '{tmp_path}' has {round(free / 1000)} kB free;"
            " choose another out, fewer layers or fewer units"
        )


def test_only_what_is_missing_must_fit_on_the_disk(
    run_pipeline: RunPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    job = ["layers=conv1", "images.limit=1", "optimizer.steps=1", f"out={tmp_path}/out"]
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage(100, 99, 116_639))
        with pytest.raises(StoreError, match="the results need 117 kB"):
            run_pipeline(*job)
        assert not (tmp_path / "out").exists()
    run_pipeline(*job)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 99, 0))
    assert run_pipeline(*job).done == 0
