"""Records of runs: written, read again, and which files they name."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from pipeline.store.layout import Layout
from pipeline.store.records import read_record, recorded_files, write_record
from pipeline.store.results import find_result


def test_a_record_names_the_files_of_its_results_where_they_are(tmp_path: Path):
    layout = Layout(tmp_path)
    paths = layout.new_run("main", datetime(2030, 1, 1))
    result = find_result(layout, ("ascent", "net", "conv1"), {}, ["block-0000", "block-0001"])
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
    assert read_record(paths) == {"where": "a/b", "count": 3}


@pytest.mark.parametrize(("text", "error"), [("{", ValueError), ("{}", KeyError), (None, OSError)])
def test_a_record_that_is_damaged_or_gone_is_told(tmp_path: Path, text, error):
    paths = Layout(tmp_path).new_run("main", datetime(2030, 1, 1))
    if text is not None:
        paths.record.write_text(text)
    with pytest.raises(error):
        recorded_files(paths)
