"""Runs that repeat a finished one: found without loading torch, and answered from its folder.

A run is known by its fingerprint: its configuration, the code, and the size and time of every file
and folder that the configuration names. The fingerprint only saves work that would find every
result in the store; what is in the store is still known by its contents alone.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pipeline
from pipeline.config.schema import Config
from pipeline.errors import ConfigError
from pipeline.store.code import code_digest, own_targets
from pipeline.store.layout import Layout, RunPaths
from pipeline.store.records import read_record, recorded_files
from pipeline.store.sealed import DamagedError, read_document, write_document

log = logging.getLogger(__name__)

# What does not change any table or figure of a run.
_WITHOUT_EFFECT = ("out", "name", "runner")


def fingerprint(config: Config) -> str:
    """Return a digest of all that a run depends on."""
    settings = {key: value for key, value in asdict(config).items() if key not in _WITHOUT_EFFECT}
    if "pages" in config.stages:  # which show it
        settings["name"] = config.name
    # The order of what is chosen decides what is applied first, and what is balanced against what.
    settings["order"] = {key: [*v] for key, v in settings.items() if isinstance(v, dict)}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for path in (Path(pipeline.__file__).parent, *_files(settings)):
        for line in _stamps(path):
            digest.update(line.encode("utf-8", "surrogateescape"))
    with suppress(ConfigError):  # what cannot be found cannot be run either
        digest.update(code_digest(own_targets(settings)).encode())
    return digest.hexdigest()[:16]


def remember(layout: Layout, key: str, paths: RunPaths) -> None:
    """Note that the run of a fingerprint has finished, if the store held all that it asks for.

    A run of some stages alone shows what is there; the same command later may find more.
    """
    items = recorded_files(paths)
    if all(_has_content(item) for item in items):
        looked_for = [paths.out / name for name in read_record(paths).get("looked_for", [])]
        files = [*_drawn(paths), *items, *looked_for]
        note = {
            "run": paths.folder.relative_to(layout.out).as_posix(),
            "files": {path.relative_to(layout.out).as_posix(): _size_time(path) for path in files},
        }
        write_document(layout.finished(key), note)


def find_finished(layout: Layout, key: str) -> RunPaths | None:
    """Return a finished run of a fingerprint, if its files and results are still what they were."""
    try:
        note = read_document(layout.finished(key))
        paths = RunPaths(layout.out / note["run"])
        finished = read_record(paths)["state"] == "finished"
        changed = [
            name for name, stamp in note["files"].items() if _size_time(layout.out / name) != stamp
        ]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DamagedError):
        return None  # moved away or damaged: the run is done in the usual way
    if changed:
        log.info("%s is not as this run left it, so it is run again", changed[0])
    return paths if finished and not changed else None


def _size_time(path: Path) -> list[int]:
    try:
        stat = path.stat()
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns]


def repeat(former: RunPaths, paths: RunPaths) -> dict[str, Any]:
    """Copy what a former run has drawn and written, and return its record for the new one."""
    for path in _drawn(former):
        copy = paths.folder / path.relative_to(former.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    return read_record(former)


def _drawn(paths: RunPaths) -> list[Path]:
    folders = (paths.tables, paths.figures, paths.networks, paths.site)
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _files(settings: Any) -> Iterator[Path]:
    """Yield the files and folders that a configuration names."""
    if isinstance(settings, Mapping):
        for value in settings.values():
            yield from _files(value)
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from _files(value)
    elif isinstance(settings, str) and settings and len(settings) < 4096:
        with suppress(OSError, RuntimeError):  # too long for a path, or not ours to see
            path = Path(settings).expanduser()
            if path.exists():
                yield path


def _stamps(path: Path) -> Iterator[str]:
    """Yield name, size and time of a file, or of all files below a folder."""
    if path.is_file():
        yield _stamp(path)
        return
    seen: set[str] = set()
    for parent, folders, names in os.walk(path, followlinks=True):
        seen.add(os.path.realpath(parent))
        # Links are followed, but not in circles.
        folders[:] = sorted(
            name
            for name in folders
            if name != "__pycache__" and os.path.realpath(Path(parent, name)) not in seen
        )
        for name in sorted(names):
            yield _stamp(Path(parent, name))


def _stamp(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return f"{path} unreadable\n"
    return f"{path} {stat.st_size} {stat.st_mtime_ns}\n"
