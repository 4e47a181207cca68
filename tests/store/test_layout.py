from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.errors import StoreError
from pipeline.store.layout import Layout

NOW = datetime(2030, 1, 2, 3, 4, 5)


def test_runs_of_the_same_second_do_not_share_a_folder(tmp_path: Path):
    layout = Layout(tmp_path)
    names = [layout.new_run("main", NOW).folder.name for _ in range(3)]
    assert names == ["2030-01-02_03-04-05", "2030-01-02_03-04-05_2", "2030-01-02_03-04-05_3"]


@pytest.mark.parametrize("name", ["../../etc", "a/b", "..", ".", "", " a", "a\n", "\udcff", "5%"])
def test_names_that_no_folder_can_have_are_refused(tmp_path: Path, name: str):
    words = re.escape(f"name: {name!r} cannot be the name of a folder; use letters")
    with pytest.raises(StoreError, match=words):
        Layout(tmp_path / "out").new_run(name, NOW)
    with pytest.raises(StoreError, match=r"^sweep: "):
        Layout(tmp_path / "out").sweep(name)


def test_every_other_name_has_a_folder_of_its_own(tmp_path: Path):
    names = ["run 1", "run_1", "run,1", "a=b", "été", "🧠", "🔬", "it's"]
    folders = [Layout(tmp_path).runs(name) for name in names]
    assert [folder.name for folder in folders] == names
    assert {folder.parent for folder in folders} == {tmp_path / "runs"}


def test_out_that_is_a_file_is_refused(tmp_path: Path):
    (tmp_path / "out").write_text("")
    with pytest.raises(
        StoreError, match=r"^out: '.*' cannot be created \(.*\); choose another out$"
    ):
        Layout(tmp_path / "out").new_run("main", NOW)
