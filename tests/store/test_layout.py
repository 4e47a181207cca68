from __future__ import annotations

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


@pytest.mark.parametrize("name", ["../../etc", "a/b", "..", "", "<b>x</b>", "sp ace"])
def test_run_names_stay_below_out(tmp_path: Path, name: str):
    run = Layout(tmp_path / "out").new_run(name, NOW)
    assert run.folder.resolve().is_relative_to((tmp_path / "out" / "runs").resolve())
    assert run.out == tmp_path / "out"


def test_out_that_is_a_file_is_refused(tmp_path: Path):
    (tmp_path / "out").write_text("")
    with pytest.raises(
        StoreError, match=r"^out: '.*' cannot be created \(.*\); choose another out$"
    ):
        Layout(tmp_path / "out").new_run("main", NOW)
