"""``artiphys store``: what it finds in a store, and its exit status."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.store import main as store
from pipeline.errors import StoreError
from pipeline.store.checksummed import write_document
from pipeline.store.layout import Layout
from pipeline.store.results import Result, find_result
from pipeline.store.verification import verify


@pytest.fixture
def results(tmp_path: Path) -> list[Result]:
    """Two results of two items each."""
    layout, made = Layout(tmp_path), []
    for layer in ("conv1", "conv2"):
        result = find_result(layout, ("ascent", "net-1", layer), {"x": layer}, ["a", "b"], 3)
        result.begin("run", {"device": "cpu"})
        for item in result.items:
            result.write(item, {"x": np.arange(4.0)}, {"status": ["ok"]})
        made.append(result)
    note = layout.finished("0123")
    write_document(note, {"run": "runs/main/1", "files": {}}, layout.place(note))
    return made


def checked(tmp_path: Path, capsys: pytest.CaptureFixture[str], *command: str) -> tuple[int, str]:
    status = store([*(command or ("verify",)), str(tmp_path)])
    return status, capsys.readouterr().out


def test_a_whole_store_is_whole(results, tmp_path: Path, capsys):
    assert checked(tmp_path, capsys) == (
        0,
        "9 files intact, 0 damaged, 0 missing, 0 orphaned, 0 set aside\n",
    )


def test_every_file_in_the_place_of_every_other_is_found(results, tmp_path: Path):
    files = sorted(path for path in Layout(tmp_path).store.rglob("*") if path.is_file())
    assert len(files) == 9
    for place in files:
        whole = place.read_bytes()
        for other in files:
            if other != place:
                place.write_bytes(other.read_bytes())
                assert list(verify(Layout(tmp_path), {}).damaged) == [place], (place, other)
        place.write_bytes(whole)
    assert verify(Layout(tmp_path), {}).damaged == {}


def test_a_result_under_the_key_of_another_is_found(results, tmp_path: Path):
    first, second = results
    shutil.rmtree(first.folder)
    shutil.copytree(second.folder, first.folder)
    found = verify(Layout(tmp_path), {})
    assert len(found.damaged) == 4
    assert {path.parents[-len(first.folder.parts)] for path in found.damaged} == {first.folder}


@pytest.mark.parametrize("content", [{"x": 1}, {"settings": 1, "items": None}])
def test_manifests_of_other_keys_are_found(results, tmp_path: Path, capsys, content):
    paths = results[0].paths
    write_document(paths.metadata, content, paths.place(paths.metadata))
    status, said = checked(tmp_path, capsys)
    assert status == 1
    assert "metadata.json: it does not say what determines the result, and of what it" in said
    assert checked(tmp_path, capsys, "status")[1].splitlines()[1].split() == [
        *("ascent", "1", "0", "2", "0"),
    ]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize("name", ["a.safetensors", "metadata.json"])
def test_what_is_no_regular_file_is_named_as_not_checked(
    results, tmp_path: Path, capsys, name: str, make
):
    path = results[0].folder / name
    path.unlink()
    make(path)
    status, said = checked(tmp_path, capsys)
    assert status == 1
    assert "not checked, because they cannot be read; check their permissions:\n" in said
    assert f"{name}: it is no regular file\n" in said
    assert " 0 damaged, 1 not checked, 0 missing" in said
    assert checked(tmp_path, capsys, "status")[0] == 0


def test_folders_that_may_not_be_listed_are_named_as_not_checked(
    results, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    closed, scan = results[0].folder, os.scandir

    def scandir(path: str | Path) -> object:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    status, said = checked(tmp_path, capsys)
    assert status == 1
    assert f"  {closed.relative_to(tmp_path)}: Permission denied\n" in said
    assert " 1 not checked," in said


def test_what_earlier_versions_have_written_is_left_alone(results, tmp_path: Path, capsys):
    folder = tmp_path / "store" / "ascent" / "net-1" / "conv1" / "0123456789abcdef"
    old = {"store_format": 2, "result_version": 2, "items": [], "settings": {}}
    write_document(folder / "metadata.json", old)
    write_document(folder / "provenance" / "run.json", {})
    write_document(Layout(tmp_path).finished("4567"), {"run": "", "files": {}})
    status, said = checked(tmp_path, capsys)
    assert status == 0
    assert "of another version; they are kept but not used:\n" in said
    assert "store/ascent/net-1/conv1/0123456789abcdef\n" in said
    assert "store/finished/4567.json\n" in said


def test_a_store_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(StoreError, match="there is no store in"):
        verify(Layout(tmp_path), {})


def test_an_output_that_is_full_is_told(results, tmp_path: Path):
    command = [sys.executable, "-m", "pipeline", "store", "status", str(tmp_path)]
    root = Path(__file__).parents[2]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=root
        )
    assert done.returncode == 1
    assert done.stderr == "error: standard output cannot be written (No space left on device)\n"
