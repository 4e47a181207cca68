from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import StoreError
from pipeline.store.tables import COLUMNS, read_table, write_table


def trajectories() -> pd.DataFrame:
    row = ("m", "conv1", 0, 0, "zeros", 0, False, 1.5)
    return pd.DataFrame([row], columns=list(COLUMNS["trajectories"]))


def test_columns_are_the_public_contract():
    assert COLUMNS["trajectories"] == (
        "model", "layer", "unit", "copy", "init", "step", "transformed", "response",
    )  # fmt: skip
    assert COLUMNS["correlation_summary"][:4] == ("model", "layer", "init_a", "init_b")


def test_table_is_read_as_written(tmp_path: Path):
    write_table(tmp_path, "trajectories", trajectories())
    pd.testing.assert_frame_equal(read_table(tmp_path, "trajectories"), trajectories())
    assert not (tmp_path / "trajectories.csv").exists()  # long tables are Parquet alone


def test_wrong_columns_are_refused(tmp_path: Path):
    with pytest.raises(StoreError, match=r"^table 'trajectories' has columns \['model'\], not"):
        write_table(tmp_path, "trajectories", trajectories()[["model"]])
    assert list(tmp_path.iterdir()) == []


def test_missing_table_is_refused(tmp_path: Path):
    with pytest.raises(StoreError) as caught:
        read_table(tmp_path, "ascents")
    assert str(caught.value) == (
        f"'{tmp_path}' has no table 'ascents'; run the stage that makes it"
    )
