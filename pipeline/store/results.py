"""Results: folders of arrays, found again by what determines them.

A result is a folder named by the digest of its settings. It holds ``manifest.json`` (what
determines it, and which items there should be), one sealed file for every work item, and in
``provenance/`` one document for every run that worked on it. An item that is there is whole and as
it was written; one that is damaged is set aside under another name and counts as missing.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from pipeline.errors import StoreError
from pipeline.store.layout import Layout, ResultPaths
from pipeline.store.sealed import (
    Arrays,
    DamagedError,
    read_arrays,
    read_document,
    write_arrays,
    write_document,
)

log = logging.getLogger(__name__)

RESULT_VERSION = 3  # raised whenever the code changes numbers
STORE_FORMAT = 2  # raised whenever files are laid out or written in another way

# Files whose checksum this process has seen to fit, by what tells that they are still the same.
_Stamp = tuple[str, int, int, int]
_checked: set[_Stamp] = set()


def digest_settings(settings: Mapping[str, Any]) -> str:
    """Return sixteen hexadecimal digits that stand for settings and the version of the code."""
    versions = {"result_version": RESULT_VERSION, "store_format": STORE_FORMAT}
    canonical = json.dumps({**settings, **versions}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Result:
    """One result of one stage for one layer.

    Attributes:
        folder: where it lies.
        settings: everything that determines it, as plain data.
        items: the names of its work items.
    """

    folder: Path
    settings: Mapping[str, Any]
    items: Sequence[str]

    @property
    def key(self) -> str:
        """The digest of the settings."""
        return self.folder.name

    @property
    def paths(self) -> ResultPaths:
        """The files of the result."""
        return ResultPaths(self.folder)

    def missing(self) -> list[str]:
        """Return the items that are not there; damaged ones are set aside and named in the log."""
        return [item for item in self.items if not self.holds(item)]

    def holds(self, item: str) -> bool:
        """Say whether an item is there and as it was written.

        Raises:
            StoreError: it is damaged and cannot be moved away.
        """
        path = self.paths.item(item)
        stamp = _stamp(path)
        if stamp is None:
            return False
        if stamp in _checked:
            return True
        try:
            read_arrays(path)
        except FileNotFoundError:
            return False
        except (DamagedError, OSError) as error:
            log.warning("store: '%s' %s, and is computed again", path, _set_aside(path, error))
            return False
        _checked.add(stamp)
        return True

    def is_described(self) -> bool:
        """Say whether the manifest is there and whole."""
        try:
            read_document(self.paths.manifest)
        except (OSError, DamagedError):
            return False
        return True

    def begin(self, run: str, record: Mapping[str, Any]) -> None:
        """Write down what the result is, and how a run makes it.

        Args:
            run: name of the run.
            record: provenance; written again when the run has finished.

        Raises:
            StoreError: another result lies under the same key.
        """
        path = self.paths.manifest
        there = None
        with suppress(FileNotFoundError, DamagedError):
            there = read_document(path)
        if there is None:
            manifest = {
                "store_format": STORE_FORMAT,
                "result_version": RESULT_VERSION,
                "items": list(self.items),
                "settings": self.settings,
            }
            write_document(path, manifest)
        elif there["settings"] != json.loads(json.dumps(self.settings)):
            raise StoreError(
                f"out: '{self.folder}' holds a result of other settings under the same key;"
                " move it away"
            )
        write_document(self.paths.provenance(run), record)

    def write(self, item: str, arrays: Arrays, notes: Mapping[str, Any] | None = None) -> None:
        """Write one item: named arrays, and notes as plain data."""
        write_arrays(self.paths.item(item), arrays, notes or {})

    def read(self, item: str, names: Sequence[str] | None = None) -> tuple[Arrays, dict[str, Any]]:
        """Return the arrays (all, or some by name) and notes of one item.

        Raises:
            StoreError: the item is missing or damaged.
        """
        path = self.paths.item(item)
        stamp = _stamp(path)
        try:
            if stamp in _checked and names is not None:
                return _read_some(path, names)
            arrays, notes = read_arrays(path)
        except FileNotFoundError as error:
            raise StoreError(f"out: '{path}' is missing; run its stage again") from error
        except DamagedError as error:
            reason = _set_aside(path, error)
            raise StoreError(f"out: '{path}' {reason}; run its stage again") from error
        except OSError as error:
            raise StoreError(f"out: '{path}' cannot be read ({error.strerror})") from error
        if stamp is not None:
            _checked.add(stamp)
        return {name: arrays[name] for name in names or arrays}, notes


def find_result(
    layout: Layout, place: tuple[str, str, str], settings: Mapping[str, Any], items: Sequence[str]
) -> Result:
    """Return the result that settings determine, whether it is there already or not.

    Args:
        layout: the paths.
        place: stage, network and layer.
        settings: everything that determines the result, as plain data.
        items: the names of its work items.
    """
    stage, network, layer = place
    folder = layout.result(stage, network, layer, digest_settings(settings))
    return Result(folder, settings, items)


def _read_some(path: Path, names: Sequence[str]) -> tuple[Arrays, dict[str, Any]]:
    with safe_open(path, framework="numpy") as file:
        arrays = {name: np.asarray(file.get_tensor(name)) for name in names}
        return arrays, json.loads(file.metadata()["notes"])["notes"]


def _stamp(path: Path) -> _Stamp | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return (str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino)


def _set_aside(path: Path, reason: Exception) -> str:
    """Give a damaged item another name and return what happened, in words."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged{number}")).exists():
        number += 1
    try:
        path.rename(aside)
    except FileNotFoundError:
        return "was damaged and is gone"  # another process has set it aside
    except OSError as error:
        raise StoreError(
            f"out: '{path}' is damaged ({reason}) and cannot be moved away ({error.strerror});"
            " delete it"
        ) from error
    return f"was damaged ({reason}) and is kept as '{aside.name}'"
