"""Records of runs, which are read without loading pandas.

A record is checksummed, and lists the files of its run with their digests. Repeats and collections
only use files that match the record.

Run folders are passed around, and may be damaged or come from others: only regular files of limited
size are read, and their content must be of the kind that a run writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from pipeline.errors import StoreError
from pipeline.store.checksummed import DamagedError, read_document, write_document
from pipeline.store.files import read_regular
from pipeline.store.layout import ResultPaths, RunPaths

LARGEST_RECORD = 2**28  # bytes; a record that lists 100,000 unreadable images has 2^24
LARGEST_CONFIG = 2**22
DEEPEST = 100  # largest nesting depth of a configuration
# In C, if PyYAML was built with it: ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def write_record(paths: RunPaths, record: Mapping[str, Any]) -> None:
    """Write the record of a run: state, provenance, digests, and places of its results.

    Raises:
        StoreError: the record cannot be written, or files of the run disappear meanwhile.
    """
    try:
        files = file_digests(paths)
    except OSError as error:
        message = f"out: '{error.filename}' cannot be read ({error.strerror or error})"
        raise StoreError(f"{message}; give the same command again") from error
    write_document(paths.record, {**record, "files": files})


def read_record(paths: RunPaths) -> dict[str, Any]:
    """Return the record of a run, written by any version.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a record.
    """
    try:
        return _plain(json.loads(_text(paths.record, LARGEST_RECORD)))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


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


def read_checksummed_record(paths: RunPaths) -> dict[str, Any]:
    """Return the record of a run after checking its checksum.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged, or of an earlier version, whose records have no checksum.
    """
    try:
        return _plain(read_document(paths.record))
    except DamagedError as error:
        raise ValueError(str(error)) from error


def _plain(record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise ValueError("it is no record of a run")
    known = cast("dict[str, Any]", record)
    known.pop("file_sha256", None)
    return known


def file_digests(paths: RunPaths) -> dict[str, str]:
    """Return the SHA-256 of the files in a run's folder, by path; all pages have a common one.

    The record itself and logs, which are still being written, are left out.
    """
    single = [paths.config, *_below(paths.tables, paths.figures, paths.networks, paths.weights)]
    found = {
        path.relative_to(paths.folder).as_posix(): _digest(path)
        for path in single
        if path.is_file()
    }
    site = hashlib.sha256()
    pages = _below(paths.site)
    for path in pages:
        name = os.fsencode(path.relative_to(paths.site))
        site.update(name + b"\n" + _digest(path).encode())
    return found | ({paths.site.name: site.hexdigest()} if pages else {})


def changed_files(paths: RunPaths, record: Mapping[str, Any]) -> list[str]:
    """Return the files of a run that do not match its record.

    Raises:
        OSError: one cannot be read.
    """
    there = file_digests(paths)
    return [name for name, digest in record["files"].items() if there.get(name) != digest]


def is_as_recorded(paths: RunPaths, record: Mapping[str, Any], path: Path) -> bool:
    """Return whether one file of a run matches its record.

    Raises:
        OSError: it cannot be read.
    """
    return record["files"].get(path.relative_to(paths.folder).as_posix()) == _digest(path)


def _digest(path: Path) -> str:
    return hashlib.sha256(read_regular(path)).hexdigest()


def _below(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


def recorded_files(paths: RunPaths) -> list[Path]:
    """Return the files of all results that a run needed, whether or not they exist.

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
    if not stat.S_ISREG(found.st_mode):  # reading a pipe could block forever
        raise ValueError("it is no regular file")
    if found.st_size > largest:
        raise ValueError(f"it has {found.st_size} bytes, of {largest} at most")
    return path.read_text(encoding="utf-8")


def _check_yaml(text: str) -> None:
    """Reject YAML that no run writes and that could overwhelm a loader: aliases and deep nesting.

    Raises:
        ValueError: it contains these.
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
