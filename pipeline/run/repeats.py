"""Runs that repeat a finished one: recognized without loading torch, and served from its folder.

A run is recognized by its fingerprint: its configuration, the code, and the stamps of every file
and folder named in the configuration, which no program can restore after a change. The fingerprint
only saves the effort of finding every result in the store; the store itself identifies results by
their settings and contents. A user's modules that are not found by reading the code, such as those
in a folder that it adds to the path, are known to the run that loaded them: their files must still
be what they were.
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
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipeline.config.schema import Config
from pipeline.errors import ConfigError, StoreError
from pipeline.images.listings import listed_files
from pipeline.images.shards import shard_files
from pipeline.store.checksummed import DamagedError, read_document, write_document
from pipeline.store.code import TARGETS, code_digest, is_own, own_targets
from pipeline.store.files import file_stamp, refusal
from pipeline.store.identity import PATHS, WORDS, Effect, with_effect
from pipeline.store.layout import Layout, RunPaths
from pipeline.store.modules import loaded_code
from pipeline.store.records import changed_files, read_checksummed_record, recorded_files

log = logging.getLogger(__name__)
PACKAGE = Path(__file__).parents[1]
ELSEWHERE = ("pipeline.images.dataset", "pipeline.images.huggingface")
HUGGINGFACE = "pipeline.networks.loading.huggingface"
# Networks whose weights are from a hub or from a user's code, unless a file of them is given.
MADE_ELSEWHERE = ("pipeline.networks.loading.timm", "pipeline.networks.loading.module")
# What images are read with and networks are made by, under whatever version they are installed.
LIBRARIES = ("torch", "torchvision", "timm", "transformers", "datasets", "pillow")


def fingerprint(
    config: Config, code: Mapping[str, str] | None = None, *, named: bool = True
) -> str:
    """Return a digest of everything that a run depends on.

    Args:
        config: configuration of the run.
        code: digests of the code of the user's own stages, by stage name.
        named: whether its files contain the name of the run.
    """
    settings = with_effect(asdict(config), Effect.NUMBERS, Effect.FILES, Effect.TRACKING)
    if named:
        settings["name"] = config.name
    # The order of options decides which is applied first, and which gradients are balanced.
    order = {key: [*v] for key, v in settings.items() if isinstance(v, dict)}
    known = json.dumps(
        {**settings, "order": order, "code": code or {}}, sort_keys=True, default=str
    )
    digest = hashlib.sha256(known.encode())
    digest.update(" ".join(map(_version, LIBRARIES)).encode())
    images = settings["images"]
    for path in (PACKAGE, *_files(settings), *listed_files(images), *shard_files(images)):
        for line in _stamps(path):
            digest.update(line.encode("utf-8", "surrogateescape"))
    with suppress(ConfigError):  # a file that cannot be found fails in the run too
        digest.update(code_digest(own_targets(settings)).encode())
    return digest.hexdigest()[:16]


def known_by_files(settings: Any, *, read: bool = False) -> bool:
    """Return whether images and networks are read from nothing but the files that settings name.

    A user's own code may read from anywhere, and what is on a hub may change there.

    Args:
        settings: the configuration, or a part of it.
        read: whether they are those of an image set or of a network.
    """
    if not isinstance(settings, Mapping):
        return True
    target = str(settings.get("_target_", ""))
    kind = target.rpartition(".")[0]
    if kind in ELSEWHERE or (read and target and is_own(target)):
        return False
    if kind == HUGGINGFACE and not Path(str(settings.get("name"))).expanduser().is_dir():
        return False
    if kind in MADE_ELSEWHERE and settings.get("weights", "default") == "default":
        return False
    return all(
        known_by_files(value, read=read or name in ("model", "images", "to"))
        for name, value in settings.items()
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def remember(layout: Layout, key: str, paths: RunPaths) -> None:
    """Record that the run with a fingerprint has finished, if the store held all that it needs.

    A run of single stages shows the stored results; a later run may find more of them.
    """
    items = recorded_files(paths)
    if all(_has_content(item) for item in items):
        record = read_checksummed_record(paths)
        looked_for = [paths.out / name for name in record.get("looked_for", [])]
        files = [paths.record, paths.config, *_drawn(paths), *items, *looked_for]
        note = {
            "run": paths.folder.relative_to(layout.out).as_posix(),
            "files": {path.relative_to(layout.out).as_posix(): _stamp(path) for path in files},
            "code": {str(path): _stamp(path) for path in loaded_code()},
        }
        write_document(layout.finished(key), note, layout.place(layout.finished(key)))


def find_finished(layout: Layout, key: str) -> RunPaths | None:
    """Return the finished run with a fingerprint if its files and results are unchanged."""
    note = layout.finished(key)
    try:
        noted = read_document(note, layout.place(note))
        paths = RunPaths(layout.out / noted["run"])
        finished = read_checksummed_record(paths)["state"] == "finished"
        stamps: dict[str, list[int]] = noted["files"]
        stamps |= noted["code"]  # by absolute paths
        changed = [name for name, stamp in stamps.items() if _stamp(layout.out / name) != stamp]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DamagedError):
        return None  # moved or damaged: run in the usual way
    if changed:
        log.info("%s was changed after the run, so it is run again", changed[0])
    return paths if finished and not changed else None


def repeat(former: RunPaths, paths: RunPaths) -> dict[str, Any] | None:
    """Copy the figures and tables of an earlier run, and return its record for the new one.

    Returns ``None`` if the copied files do not match the digests in the record.

    Raises:
        StoreError: the files cannot be written.
    """
    record = read_checksummed_record(former)
    for path in _drawn(former):
        copy = paths.folder / path.relative_to(former.folder)
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
        except OSError as error:
            raise StoreError(refusal(copy, error, path.stat().st_size)) from error
    # Configurations may differ in settings without effect.
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

    For targets of this package it is known which arguments name files; for others any may.
    """
    if isinstance(settings, Mapping):
        option = isinstance(settings.get("_target_"), str)
        if option:
            own = bool(own_targets({k: settings[k] for k in TARGETS if k in settings}))
        for name, value in settings.items():
            # The name of an option may be that of a folder, as of a network on disk.
            yield from _files(value, "path" if option and name == "name" else str(name), own)
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from _files(value, key, own)
    elif isinstance(settings, str) and (
        own or (key in PATHS and settings not in WORDS) or settings.endswith(".npy")
    ):
        with suppress(OSError, RuntimeError, ValueError):  # not a path, or not accessible
            path = Path(settings).expanduser()
            if settings and path.exists():
                yield path


def _stamps(path: Path) -> Iterator[str]:
    """Yield name and stamp of a file, or of all files below a folder."""
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
