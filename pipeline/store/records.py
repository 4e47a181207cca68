"""Records of runs: what each run has written down of itself; read without loading pandas.

Run folders are handed around, and may have been damaged or made by others: what is read is a
regular file of bounded size, and its content of the kind that a run writes.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from pipeline.store.files import write_whole
from pipeline.store.layout import ResultPaths, RunPaths

LARGEST_RECORD = 2**28  # bytes; one that names a hundred thousand unreadable images has 2^24
LARGEST_CONFIG = 2**22
DEEPEST = 100  # levels of a configuration
# In C, if PyYAML was built with it: ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
    try:
        record = json.loads(_text(paths.record, LARGEST_RECORD))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(record, dict):
        raise ValueError(f"it holds a {type(record).__name__}, and no record")
    return cast("dict[str, Any]", record)


def read_config(paths: RunPaths) -> dict[str, Any]:
    """Return the configuration of a run.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged.
    """
    text = _text(paths.config, LARGEST_CONFIG)
    try:
        _check_yaml(text)
        config = yaml.load(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise ValueError("it is no YAML") from error
    if not isinstance(config, dict):
        raise ValueError(f"it holds a {type(config).__name__}, and no configuration")
    return cast("dict[str, Any]", config)


def recorded_files(paths: RunPaths) -> list[Path]:
    """Return the files of all results that a run has asked for, whether they are there or not.

    Raises:
        OSError: its record cannot be read.
        ValueError: its record is damaged.
        KeyError: likewise.
    """
    stages = read_record(paths)["results"]
    try:
        places = [place for stage in stages.values() for place in stage.values()]
        return [
            ResultPaths(paths.out / place["folder"]).item(item)
            for place in places
            for item in place["items"]
        ]
    except (TypeError, AttributeError) as error:
        raise ValueError("its results are not what a run writes") from error


def _text(path: Path, largest: int) -> str:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # reading a pipe would wait forever
        raise ValueError("it is no regular file")
    if found.st_size > largest:
        raise ValueError(f"it has {found.st_size} bytes, of {largest} at most")
    return path.read_text(encoding="utf-8")


def _check_yaml(text: str) -> None:
    """Refuse what no run writes and a loader would choke on: aliases that multiply, deep nesting.

    Raises:
        ValueError: there is any.
        YAMLError: it is no YAML.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it refers to other parts of itself")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")
