from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import StoreError
from pipeline.store.tables import read_table, write_table
from tests.conftest import table_columns


def trajectories() -> pd.DataFrame:
    row = ("m", "conv1", 0, 0, "zeros", 0, False, 1.5)
    return pd.DataFrame([row], columns=list(table_columns()["trajectories"]))


def test_columns_are_the_public_contract():
    assert table_columns()["trajectories"] == (
        "model", "layer", "unit", "copy", "init", "step", "transformed", "response",
    )  # fmt: skip
    assert table_columns()["correlation_summary"][:4] == ("model", "layer", "init_a", "init_b")


def test_table_is_read_as_written(tmp_path: Path):
    write_table(tmp_path, "trajectories", table_columns()["trajectories"], trajectories())
    pd.testing.assert_frame_equal(read_table(tmp_path, "trajectories"), trajectories())
    assert not (tmp_path / "trajectories.csv").exists()  # long tables are Parquet alone


@pytest.mark.parametrize("name", ["correlation_summary", "sweep_summary"])
def test_the_noise_ceiling_of_earlier_runs_is_read_by_its_present_name(tmp_path: Path, name: str):
    columns = table_columns()[name]
    assert columns[-1] == "noise_ceiling"
    row = pd.DataFrame([range(len(columns))], columns=list(columns))
    row.rename(columns={"noise_ceiling": "floor"}).to_parquet(tmp_path / f"{name}.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path, name), row)


def test_a_column_of_that_name_in_another_table_is_left_alone(tmp_path: Path):
    pd.DataFrame({"floor": [2]}).to_parquet(tmp_path / "my_lab.rooms.parquet")
    assert list(read_table(tmp_path, "my_lab.rooms").columns) == ["floor"]


def test_wrong_columns_are_refused(tmp_path: Path):
    with pytest.raises(StoreError, match=r"^table 'trajectories' has columns \['model'\], not"):
        write_table(
            tmp_path, "trajectories", table_columns()["trajectories"], trajectories()[["model"]]
        )
    assert list(tmp_path.iterdir()) == []


def test_missing_table_is_refused(tmp_path: Path):
    with pytest.raises(StoreError) as caught:
        read_table(tmp_path, "ascents")
    assert str(caught.value) == (
        f"'{tmp_path}' has no table 'ascents'; run the stage that makes it"
    )


def test_no_text_of_a_csv_is_taken_for_a_formula_and_numbers_stay_numbers(tmp_path: Path):
    row = dict.fromkeys(table_columns()["correlations"], "@x") | {"unit": 0, "copy": 1, "r": -0.5}
    row |= {"layer": "=cmd|' /C calc'!A0", "status": "ok", "null_r": None}
    table = pd.DataFrame([row]).astype({"null_r": float})
    write_table(tmp_path, "correlations", table_columns()["correlations"], table, csv=True)
    pd.testing.assert_frame_equal(read_table(tmp_path, "correlations"), table)
    read = pd.read_csv(tmp_path / "correlations.csv")
    assert read["layer"][0] == "'=cmd|' /C calc'!A0"
    assert read["model"][0] == "'@x"
    assert (read["r"][0], read["status"][0], read["null_r"].isna()[0]) == (-0.5, "ok", True)


def test_a_damaged_table_is_refused(tmp_path: Path):
    (tmp_path / "ascents.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match=r"ascents.parquet' is damaged \(.*\); run the stage"):
        read_table(tmp_path, "ascents")
