"""Tables: tidy DataFrames whose column names are a public contract."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pyarrow import ArrowException

from pipeline.errors import StoreError
from pipeline.store.files import write_whole

_COLUMNS = {
    "top_patches": "model layer unit sign rank image row column response top left bottom right"
    " inside",
    "ascents": "model layer unit copy init objective parameterization constraint optimizer steps"
    " start_response final_response start_norm final_norm start_contrast final_contrast budget"
    " status",
    "trajectories": "model layer unit copy init step transformed response",
    "correlations": "model layer unit copy init_a init_b r null_r status",
    "correlation_summary": "model layer init_a init_b units undefined median mean q25 q75"
    " ci_low ci_high null_median floor",
    "animations": "model layer unit copy init objective optimizer step transformed response",
    "dreams": "model layer init unit objective frame octave height width steps start_score"
    " final_score status",
    "dream_features": "model layer init unit objective frame octave step feature_layer feature"
    " mean_response",
    # Of several runs; a job is named by the settings in which they differ.
    "sweep_correlations": "job model weights objective optimizer seed precision layer unit copy"
    " init_a init_b r null_r status",
    "sweep_summary": "job model weights objective optimizer seed precision layer init_a init_b"
    " units undefined median mean q25 q75 ci_low ci_high null_median floor",
}
COLUMNS = {name: tuple(columns.split()) for name, columns in _COLUMNS.items()}
# Written as CSV too: short enough to be opened in a spreadsheet.
FORMULA = tuple("=+-@\t\r")  # what a spreadsheet calculates begins with one of them
SHORT = ("ascents", "dreams", "correlations", "correlation_summary", "sweep_summary")


def write_table(folder: Path, name: str, table: pd.DataFrame) -> None:
    """Write a table as Parquet, and as CSV where it is short.

    Raises:
        StoreError: the columns are not those of the contract, or the disk refuses.
    """
    if tuple(table.columns) != COLUMNS[name]:
        raise StoreError(f"table '{name}' has columns {list(table.columns)}, not {COLUMNS[name]}")
    write_whole(folder / f"{name}.parquet", lambda path: table.to_parquet(path, index=False))
    if name in SHORT:
        write_whole(folder / f"{name}.csv", lambda path: _plain(table).to_csv(path, index=False))


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts no spreadsheet takes for a formula: an apostrophe goes before it.

    Layers and files may be called anything, and opening a table must not run it. Numbers, which
    may begin with a minus, stay as they are; so does the table in Parquet.
    """
    plain = table.copy(deep=False)
    for name in plain.columns:
        if not pd.api.types.is_numeric_dtype(plain[name]):
            plain[name] = plain[name].map(_as_text, na_action="ignore")
    return plain


def _as_text(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in FORMULA else value


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """Return a table of a run.

    Raises:
        StoreError: the run has no such table, or it is damaged.
    """
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise StoreError(f"'{folder}' has no table '{name}'; run the stage that makes it")
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError, ArrowException) as error:
        reason = str(error).strip().splitlines()[0]
        raise StoreError(
            f"'{path}' is damaged ({reason}); run the stage that makes it again"
        ) from error
