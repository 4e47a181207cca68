"""Runs that repeat a finished one: found without loading torch, and answered from its folder.

A run is known by its fingerprint: its configuration, the code, and the stamps of every file and
folder that the configuration names, which no program can set as they were. The fingerprint only
saves work that would find every result in the store; what is in the store is still known by its
contents alone.
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

from pipeline.config.schema import Config
from pipeline.errors import ConfigError, StoreError
from pipeline.store.checksummed import DamagedError, read_document, write_document
from pipeline.store.code import code_digest, is_own, own_targets
from pipeline.store.files import file_stamp, refusal
from pipeline.store.identity import PATHS, WORDS, Effect, with_effect
from pipeline.store.layout import Layout, RunPaths
from pipeline.store.records import changed_files, read_checksummed_record, recorded_files

log = logging.getLogger(__name__)
PACKAGE = Path(__file__).parents[1]


def fingerprint(
    config: Config, code: Mapping[str, str] | None = None, *, named: bool = True
) -> str:
    """Return a digest of all that a run depends on.

    Args:
        config: of the run.
        code: digests of the code of stages of one's own, by the stage's name.
        named: whether its files show the name of the run.
    """
    settings = with_effect(asdict(config), Effect.NUMBERS, Effect.FILES, Effect.TRACKING)
    if named:
        settings["name"] = config.name
    # The order of what is chosen decides what is applied first, and what is balanced against what.
    order = {key: [*v] for key, v in settings.items() if isinstance(v, dict)}
    known = json.dumps(
        {**settings, "order": order, "code": code or {}}, sort_keys=True, default=str
    )
    digest = hashlib.sha256(known.encode())
    for path in (PACKAGE, *_files(settings)):
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
        record = read_checksummed_record(paths)
        looked_for = [paths.out / name for name in record.get("looked_for", [])]
        files = [paths.record, paths.config, *_drawn(paths), *items, *looked_for]
        note = {
            "run": paths.folder.relative_to(layout.out).as_posix(),
            "files": {path.relative_to(layout.out).as_posix(): _stamp(path) for path in files},
        }
        write_document(layout.finished(key), note, layout.place(layout.finished(key)))


def find_finished(layout: Layout, key: str) -> RunPaths | None:
    """Return a finished run of a fingerprint, if its files and results are still what they were."""
    note = layout.finished(key)
    try:
        noted = read_document(note, layout.place(note))
        paths = RunPaths(layout.out / noted["run"])
        finished = read_checksummed_record(paths)["state"] == "finished"
        stamps: dict[str, list[int]] = noted["files"]
        changed = [name for name, stamp in stamps.items() if _stamp(layout.out / name) != stamp]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DamagedError):
        return None  # moved away or damaged: the run is done in the usual way
    if changed:
        log.info("%s is not as this run left it, so it is run again", changed[0])
    return paths if finished and not changed else None


def repeat(former: RunPaths, paths: RunPaths) -> dict[str, Any] | None:
    """Copy what a former run has drawn and written, and return its record for the new one.

    ``None`` where what was copied is not what its record lists, whatever its stamps say.

    Raises:
        StoreError: the disk refuses.
    """
    record = read_checksummed_record(former)
    for path in _drawn(former):
        copy = paths.folder / path.relative_to(former.folder)
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
        except OSError as error:
            raise StoreError(refusal(copy, error, path.stat().st_size)) from error
    # Configurations may differ in what has no effect.
    changed = [name for name in changed_files(paths, record) if name != paths.config.name]
    if changed:
        log.info("%s of '%s' is damaged, so it is run again", changed[0], former.folder)
    return None if changed else record


def _drawn(paths: RunPaths) -> list[Path]:
    folders = (paths.tables, paths.figures, paths.networks, paths.site)
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _files(settings: Any, key: str = "", own: bool = False) -> Iterator[Path]:
    """Yield the files and folders that a configuration names.

    Of this package's own targets it is known which arguments name files; of others any may.
    """
    if isinstance(settings, Mapping):
        if isinstance(settings.get("_target_"), str):
            own = is_own(settings["_target_"])
        for name, value in settings.items():
            yield from _files(value, str(name), own)
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from _files(value, key, own)
    elif isinstance(settings, str) and (own or (key in PATHS and settings not in WORDS)):
        with suppress(OSError, RuntimeError, ValueError):  # no path, or not ours to see
            path = Path(settings).expanduser()
            if settings and path.exists():
                yield path


def _stamps(path: Path) -> Iterator[str]:
    """Yield the name and the stamp of a file, or of all files below a folder."""
    if not path.is_dir():
        yield f"{path} {_stamp(path)}\n"
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
            inner = Path(parent, name)
            yield f"{inner} {_stamp(inner)}\n"


def _stamp(path: Path) -> list[int]:
    try:
        return list(file_stamp(path))
    except OSError:
        return []
