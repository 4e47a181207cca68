"""Records of runs: written, read again, and which files they name."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.store import records
from pipeline.store.layout import Layout
from pipeline.store.records import (
    changed_files,
    read_checksummed_record,
    read_record,
    recorded_files,
    write_record,
)
from pipeline.store.results import find_result


def test_a_record_names_the_files_of_its_results_where_they_are(tmp_path: Path):
    layout = Layout(tmp_path)
    paths = layout.new_run("main", datetime(2030, 1, 1))
    result = find_result(layout, ("ascent", "net", "conv1"), {}, ["block-0000", "block-0001"], 3)
    place = {"folder": result.folder.relative_to(tmp_path).as_posix(), "items": [*result.items]}
    write_record(paths, {"results": {"ascent": {"conv1/zeros": place}, "correlations": {}}})
    result.write("block-0001", {})
    first, second = recorded_files(paths)
    assert not first.exists()
    assert second.is_file()
    assert (first.parent, first.name) == (second.parent, "block-0000.safetensors")


def test_what_is_no_plain_data_is_recorded_as_text(tmp_path: Path):
    paths = Layout(tmp_path).new_run("main", datetime(2030, 1, 1))
    write_record(paths, {"where": Path("a/b"), "count": 3})
    assert read_record(paths) == {"where": "a/b", "count": 3, "files": {}}


def test_a_record_lists_the_files_of_its_run_and_finds_what_has_changed(tmp_path: Path):
    paths = Layout(tmp_path).new_run("main", datetime(2030, 1, 1))
    names = ("config.yaml", "tables/a.csv", "figures/a.png", "site/index.html", "site/assets/a.js")
    for name in names:
        (paths.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.folder / name).write_text(name)
    write_record(paths, {"state": "finished"})
    record = read_checksummed_record(paths)
    assert record["files"]["tables/a.csv"] == hashlib.sha256(b"tables/a.csv").hexdigest()
    assert list(record["files"]) == ["config.yaml", "figures/a.png", "tables/a.csv", "site"]
    assert changed_files(paths, record) == []
    for name in names:
        path = paths.folder / name
        shown = "site" if name.startswith("site") else name
        path.write_text("x" * len(name))
        assert changed_files(paths, record) == [shown]
        path.unlink()
        assert changed_files(paths, record) == [shown]
        path.write_text(name)
    (paths.site / "assets" / "a.js").rename(paths.site / "a.js")
    assert changed_files(paths, record) == ["site"]


def test_a_record_that_was_edited_is_damaged(tmp_path: Path):
    paths = Layout(tmp_path).new_run("main", datetime(2030, 1, 1))
    write_record(paths, {"state": "failed"})
    assert read_checksummed_record(paths)["state"] == "failed"
    paths.record.write_text(paths.record.read_text().replace("failed", "finished"))
    assert read_record(paths)["state"] == "finished"
    with pytest.raises(ValueError, match="its checksum does not fit its content"):
        read_checksummed_record(paths)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", ValueError),
        ("{}", KeyError),
        (None, OSError),
        ("[]", ValueError),
        ('{"results": []}', ValueError),
        ('{"results": {"ascent": {"a": 1}}}', ValueError),
        ("[" * 100_000, ValueError),
    ],
)
def test_a_record_that_is_damaged_or_gone_is_told(tmp_path: Path, text, error):
    paths = Layout(tmp_path).new_run("main", datetime(2030, 1, 1))
    if text is not None:
        paths.record.write_text(text)
    with pytest.raises(error):
        recorded_files(paths)


BOMB = 'a: &a ["x","x"]\nb: &b [*a,*a]\nc: [*b,*b]\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "it refers to other parts of itself"),
        ("[" * 100_000, "it is nested too deeply"),
        ("[" * 60 + "]" * 60, "it holds a list, and no configuration"),
        ("a: [", "it is no YAML"),
        ("#" * (records.LARGEST_CONFIG + 1), "it has 4194305 bytes, of 4194304 at most"),
    ],
)
def test_a_configuration_that_no_run_has_written_is_not_loaded(tmp_path: Path, text, words):
    paths = Layout(tmp_path).new_run("main", datetime(2030, 1, 1))
    paths.config.write_text(text)
    with pytest.raises(ValueError, match=words):
        records.read_config(paths)


def test_a_pipe_in_place_of_a_record_is_not_waited_for(tmp_path: Path):
    paths = Layout(tmp_path).new_run("main", datetime(2030, 1, 1))
    os.mkfifo(paths.record)
    with pytest.raises(ValueError, match="it is no regular file"):
        read_record(paths)
