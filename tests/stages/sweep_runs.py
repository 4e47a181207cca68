"""Small run folders, written as the pipeline writes them."""

from __future__ import annotations

import zlib
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from pipeline.analysis.statistics import summarize
from pipeline.config.schema import Config
from pipeline.stages.correlations import STAGE
from pipeline.store.jobs import identity, job_settings
from pipeline.store.layout import Layout, RunPaths
from pipeline.store.records import read_record, write_record
from pipeline.store.tables import write_table
from tests.conftest import table_columns

START = datetime(2030, 1, 1)
LAYERS = ("conv1", "conv10", "conv2")
PAIRS = (("zeros", "noise"), ("zeros", "image"))


def make_run(
    out: Path, config: Config, minute: int = 0, state: str = "finished", **record: Any
) -> RunPaths:
    """Write a run whose numbers follow from its configuration alone."""
    now = START + timedelta(minutes=minute)
    paths = Layout(out).new_run(config.name, now)
    values = asdict(config) | {"out": str(out)}
    paths.config.write_text(OmegaConf.to_yaml(values), encoding="utf-8")
    tables = correlations(config)
    write_table(paths.tables, "correlations", table_columns()["correlations"], tables)
    write_table(
        paths.tables, "correlation_summary", table_columns()["correlation_summary"], summary(tables)
    )
    known = {"state": state, "stage_versions": {STAGE.name: STAGE.version}, "time": now.isoformat()}
    write_record(paths, {**known, "results": {}, **record})
    return paths


def record_again(paths: RunPaths) -> None:
    """Have the record of a run list its files as they are now."""
    write_record(paths, read_record(paths))


def correlations(config: Config) -> pd.DataFrame:
    """Return three units of every layer and pair; the last one is undefined."""
    text = identity(job_settings(asdict(config)))
    rng = np.random.default_rng(zlib.crc32(text.encode()))
    rows = [
        (config.model.get("name", "miniature"), layer, unit, 0, *pair, *rng.uniform(-1, 1, 2), "ok")
        for layer in LAYERS
        for pair in PAIRS
        for unit in (0, 5, 7)
    ]
    table = pd.DataFrame(rows, columns=list(table_columns()["correlations"]))
    table.loc[2::3, ["r", "null_r"]] = np.nan
    table.loc[2::3, "status"] = "zero_gradient"
    return table


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return the summary of a table of correlations."""
    keys = ["model", "layer", "init_a", "init_b"]
    rows = [
        dict(zip(keys, key, strict=True))
        | summarize(rows["r"].to_numpy(), rows["null_r"].to_numpy(), np.random.default_rng(0))
        | {"noise_ceiling": 0.9}
        for key, rows in table.groupby(keys, sort=False)
    ]
    return pd.DataFrame(rows, columns=list(table_columns()["correlation_summary"]))
