"""Files: written whole, watched, and refused in a sentence that says why."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import StoreError
from pipeline.store.files import lost_below, read_regular, watch, write_bytes


@pytest.mark.parametrize(
    ("number", "inodes", "sentence"),
    [
        (
            errno.ENOSPC,
            10,
            "out: the disk is full: '{}' needs 7 kB or more and 104.0 MB are free; free some ",
        ),
        (
            errno.ENOSPC,
            0,
            "out: the disk holds as many files as it can: '{}' is one too many; free",
        ),
        (
            errno.EDQUOT,
            0,
            "out: your quota is used up: '{}' needs 7 kB or more and 104.0 MB are free; free some ",
        ),
        (errno.EROFS, 10, "out: '{}' cannot be written (Read-only file system)"),
    ],
)
def test_a_disk_that_refuses_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, inodes: int, sentence: str
):
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    found = SimpleNamespace(f_favail=inodes, f_files=100)
    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(os, "statvfs", lambda _path: found)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=104_000_000))
    with pytest.raises(StoreError) as caught:
        write_bytes(tmp_path / "file", b"content" * 1000)
    assert str(caught.value).startswith(sentence.format(tmp_path / "file"))


def test_what_was_written_and_is_gone_or_another_is_known(tmp_path: Path):
    watch(tmp_path / "run")
    names = ("run/kept", "run/gone", "run/inner/changed", "beside")
    for name in names:
        write_bytes(tmp_path / name, name.encode())
    (tmp_path / "run" / "gone").unlink()
    (tmp_path / "run" / "inner" / "changed").write_bytes(b"another")
    (tmp_path / "run" / "kept").chmod(0o600)
    (tmp_path / "beside").unlink()
    lost = lost_below(tmp_path / "run")
    assert [path.name for path in lost] == ["gone", "changed"]
    assert lost_below(tmp_path / "run") == []


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_regular_files_alone_are_read(tmp_path: Path, make):
    make(tmp_path / "file")
    with pytest.raises(OSError, match="it is no regular file"):
        read_regular(tmp_path / "file")
