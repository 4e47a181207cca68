"""Records of runs: what each run has written down of itself; read without loading pandas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.store.files import write_whole
from pipeline.store.layout import ResultPaths, RunPaths


def write_record(paths: RunPaths, record: Mapping[str, Any]) -> None:
    """Write the record of a run: state, provenance, digests, where its results lie.

    Raises:
        StoreError: the disk refuses.
    """
    text = json.dumps(record, indent=2, default=str) + "\n"
    write_whole(paths.record, lambda path: path.write_text(text, encoding="utf-8"))


def read_record(paths: RunPaths) -> dict[str, Any]:
    """Return the record of a run.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged.
    """
    return json.loads(paths.record.read_text(encoding="utf-8"))


def recorded_files(paths: RunPaths) -> list[Path]:
    """Return the files of all results that a run has asked for, whether they are there or not.

    Raises:
        OSError: its record cannot be read.
        ValueError: its record is damaged.
        KeyError: likewise.
    """
    places = [place for stage in read_record(paths)["results"].values() for place in stage.values()]
    return [
        ResultPaths(paths.out / place["folder"]).item(item)
        for place in places
        for item in place["items"]
    ]
