"""Results: folders of arrays, found again by what determines them.

A result is a folder named by the digest of its settings. It holds ``settings.json`` (what
determines it), ``record.json`` (how it was made) and one file for every work item. What is there is
whole: files are renamed into place when they are complete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from pipeline.errors import StoreError
from pipeline.store.files import write_whole
from pipeline.store.layout import Layout

RESULT_VERSION = 2  # raised whenever the code changes numbers

Arrays = dict[str, np.ndarray]


def digest_settings(settings: Mapping[str, Any]) -> str:
    """Return eight hexadecimal digits that stand for settings and the version of the code."""
    canonical = json.dumps(
        {**settings, "result_version": RESULT_VERSION}, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


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

    def missing(self) -> list[str]:
        """Return the items that are not there yet."""
        return [item for item in self.items if not _has_content(self._path(item))]

    def begin(self, record: Mapping[str, Any]) -> None:
        """Write down what the result is and how it is being made.

        Raises:
            StoreError: another result lies under the same key.
        """
        path = self.folder / "settings.json"
        if _has_content(path):
            if _read_json(path) != _plain(self.settings):
                raise StoreError(
                    f"out: '{self.folder}' holds a result of other settings under the same key;"
                    " move it away"
                )
        else:
            _write_json(path, self.settings)
        _write_json(self.folder / "record.json", record)

    def write(self, item: str, arrays: Arrays, notes: Mapping[str, Any] | None = None) -> None:
        """Write one item: named arrays, and notes as plain data."""
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        metadata = {"notes": json.dumps(notes or {})}
        write_whole(self._path(item), lambda path: save_file(contiguous, path, metadata))

    def read(self, item: str, names: Sequence[str] | None = None) -> tuple[Arrays, dict[str, Any]]:
        """Return the arrays (all, or some by name) and notes of one item.

        Raises:
            StoreError: the item is missing or damaged.
        """
        path = self._path(item)
        try:
            with safe_open(path, framework="numpy") as file:
                wanted = file.keys() if names is None else names
                arrays = {name: file.get_tensor(name) for name in wanted}
                notes = json.loads((file.metadata() or {}).get("notes", "{}"))
        except FileNotFoundError as error:
            raise StoreError(f"out: '{path}' is missing; run its stage again") from error
        except PermissionError as error:
            raise StoreError(f"out: '{path}' cannot be read ({error.strerror})") from error
        except (SafetensorError, OSError, ValueError) as error:
            raise StoreError(
                f"out: '{path}' is damaged ({error}); delete it and run its stage again"
            ) from error
        return arrays, notes

    def _path(self, item: str) -> Path:
        return self.folder / f"{item}.safetensors"


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


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None


def _plain(settings: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(settings))


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
