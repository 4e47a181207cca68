"""Tables: tidy DataFrames, whose column names are a contract of the stage that writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pyarrow import ArrowException

from pipeline.errors import StoreError
from pipeline.store.files import write_whole

FORMULA = tuple("=+-@\t\r")  # first characters of spreadsheet formulas

# Columns of tables that were written before they had their present name.
FORMER_COLUMNS = {
    "correlation_summary": {"floor": "noise_ceiling"},
    "sweep_summary": {"floor": "noise_ceiling"},
}


def write_table(
    folder: Path, name: str, columns: Sequence[str], table: pd.DataFrame, csv: bool = False
) -> None:
    """Write a table as Parquet, and optionally as CSV.

    Args:
        folder: folder of a run's tables.
        name: name of the table.
        columns: column names in the contract.
        table: the table to write.
        csv: whether it is written as CSV too.

    Raises:
        StoreError: the columns differ from the contract, or the file cannot be written.
    """
    if list(table.columns) != list(columns):
        raise StoreError(f"table '{name}' has columns {list(table.columns)}, not {list(columns)}")
    write_whole(folder / f"{name}.parquet", lambda path: table.to_parquet(path, index=False))
    if csv:
        write_whole(folder / f"{name}.csv", lambda path: _plain(table).to_csv(path, index=False))


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with an apostrophe before texts that a spreadsheet would read as a formula.

    Layers and files may have any name, and opening a table must not execute it. Numbers, which may
    begin with a minus, are unchanged, and so is the table in Parquet.
    """
    plain = table.copy(deep=False)
    for name in plain.columns:
        if not pd.api.types.is_numeric_dtype(plain[name]):
            plain[name] = plain[name].map(_as_text, na_action="ignore")
    return plain


def _as_text(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in FORMULA else value


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """Return a table of a run; columns of earlier versions have their present names.

    Raises:
        StoreError: the run has no such table, or it is damaged.
    """
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise StoreError(f"'{folder}' has no table '{name}'; run the stage that makes it")
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError, ArrowException) as error:
        reason = str(error).strip().splitlines()[0]
        raise StoreError(
            f"'{path}' is damaged ({reason}); run the stage that makes it again"
        ) from error
    return table.rename(columns=FORMER_COLUMNS.get(name, {}))


def table_names(folder: Path) -> list[str]:
    """Return the names of the tables that a run has."""
    return sorted(path.stem for path in folder.glob("*.parquet"))
