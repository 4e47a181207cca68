"""Checkpoints: read as they were written, and kept when the disk is full."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from pipeline.errors import StoreError
from pipeline.store.checkpoints import Checkpoint
from pipeline.store.layout import Layout
from pipeline.store.results import Result, find_result
from pipeline.store.verification import verify


@pytest.fixture
def result(tmp_path: Path) -> Result:
    made = find_result(Layout(tmp_path), ("evolution", "net", "conv1"), {"a": 1}, ["unit"], 1)
    made.begin("run", {})
    return made


def test_arrays_keep_their_shapes(result: Result):
    arrays = {"generation": np.array(7), "codes": np.arange(6.0).reshape(2, 3)}
    Checkpoint(result, "unit").write(arrays)
    read = Checkpoint(result, "unit").read()
    assert read is not None
    assert {name: array.shape for name, array in read.items()} == {
        "generation": (),
        "codes": (2, 3),
    }
    assert all((read[name] == arrays[name]).all() for name in arrays)
    Checkpoint(result, "unit").remove()
    assert Checkpoint(result, "unit").read() is None


def test_a_full_disk_leaves_the_former_checkpoint(result: Result, monkeypatch: pytest.MonkeyPatch):
    Checkpoint(result, "unit").write({"generation": np.array(1)})

    def full(path: Path, _content: bytes) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(StoreError, match="free some space and repeat the command"):
            Checkpoint(result, "unit").write({"generation": np.array(2)})
    read = Checkpoint(result, "unit").read()
    assert read is not None
    assert int(read["generation"]) == 1
    assert [path.name for path in result.folder.glob(".*")] == []


def test_a_checkpoint_belongs_to_its_result(result: Result, tmp_path: Path):
    Checkpoint(result, "unit").write({"generation": np.array(1)})
    found = verify(Layout(tmp_path), {"evolution": 1})
    assert (found.orphaned, found.damaged) == ([], {})
    path = Checkpoint(result, "unit").path
    path.write_bytes(path.read_bytes()[:-1])
    assert list(verify(Layout(tmp_path), {"evolution": 1}).damaged) == [path]
