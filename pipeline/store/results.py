"""Results: folders of arrays, identified by the settings that determine them.

A result is a folder named by the digest of its settings. It contains ``metadata.json`` (the
settings and the list of items), one checksummed file per work item, and in ``provenance/`` one
document per run that worked on it. An item that is found damaged, or that belongs elsewhere, is
renamed and counts as missing. A file that cannot be read does not count as damaged, and is left in
place.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from safetensors import safe_open

from pipeline.errors import StoreError
from pipeline.store.checksummed import (
    Arrays,
    DamagedError,
    UnplacedError,
    read_arrays,
    write_arrays,
    write_document,
)
from pipeline.store.files import file_stamp
from pipeline.store.layout import Layout, ResultPaths
from pipeline.store.metadata import digest_settings, read_metadata, versions

log = logging.getLogger(__name__)

WHOLE_LAYER = -1  # unit number of results of a layer as a whole

# Files whose checksum this process has verified, with their stamps.
_Stamp = tuple[str, tuple[int, ...]]
_checked: set[_Stamp] = set()


@dataclass(frozen=True)
class Result:
    """One result of one stage for one layer.

    Attributes:
        folder: folder of the result.
        settings: everything that determines it, as plain data.
        items: names of its work items.
        name: a name that is unique in a run.
        version: version of its stage's numbers.
        from_before: whether to also read files of earlier versions, which do not contain their
            place.
    """

    folder: Path
    settings: Mapping[str, Any]
    items: Sequence[str]
    name: str = ""
    version: int = 0
    from_before: bool = False

    @property
    def key(self) -> str:
        """The digest of the settings."""
        return self.folder.name

    @property
    def stage(self) -> str:
        """The folder of the store that contains it."""
        return self.folder.parents[2].name

    @property
    def paths(self) -> ResultPaths:
        """The files of the result."""
        return ResultPaths(self.folder)

    def missing(self) -> list[str]:
        """Return the missing items; damaged ones are set aside and logged."""
        return [item for item in self.items if not self.holds(item)]

    def holds(self, item: str) -> bool:
        """Return whether an item exists and is intact.

        Raises:
            StoreError: it cannot be read, or is damaged and cannot be renamed.
        """
        path = self.paths.item(item)
        stamp = _stamp(path)
        if stamp is not None and stamp in _checked:
            return True
        try:
            self._read_whole(item)
        except FileNotFoundError:
            return False
        except DamagedError as error:
            log.warning("store: '%s' %s, and is computed again", path, set_aside(path, error))
            return False
        except OSError as error:
            raise StoreError(unreadable(path, error)) from error
        if stamp is not None:
            _checked.add(stamp)
        return True

    def is_described(self) -> bool:
        """Return whether the metadata exists and is intact."""
        try:
            return list(read_metadata(self.paths).items) == list(self.items)
        except (OSError, DamagedError):
            return False

    def _place(self, item: str) -> str:
        return self.paths.place(self.paths.item(item))

    def begin(self, run: str, record: Mapping[str, Any]) -> None:
        """Write the metadata of the result, and the provenance of a run that makes it.

        Args:
            run: name of the run.

            record: provenance, which is written again when the run has finished.

        Raises:
            StoreError: another result has the same key, or a file cannot be written.
        """
        paths, there = self.paths, None
        try:
            there = read_metadata(paths)
        except (FileNotFoundError, DamagedError):
            content = {
                **versions(self.version),
                "items": list(self.items),
                "settings": self.settings,
            }
            write_document(paths.metadata, content, paths.place(paths.metadata))
        except OSError as error:
            raise StoreError(unreadable(paths.metadata, error)) from error
        if there is not None and there.settings != json.loads(json.dumps(self.settings)):
            raise StoreError(
                f"out: '{self.folder}' holds a result of other settings under the same key;"
                " move it away"
            )
        provenance = paths.provenance(run)
        write_document(provenance, record, paths.place(provenance))

    def write(self, item: str, arrays: Arrays, notes: Mapping[str, Any] | None = None) -> None:
        """Write one item: named arrays, and notes as plain data."""
        write_arrays(self.paths.item(item), arrays, notes or {}, self._place(item))

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
            arrays, notes = self._read_whole(item)
        except FileNotFoundError as error:
            raise StoreError(f"out: '{path}' is missing; run its stage again") from error
        except DamagedError as error:
            reason = set_aside(path, error)
            raise StoreError(f"out: '{path}' {reason}; run its stage again") from error
        except OSError as error:
            raise StoreError(unreadable(path, error)) from error
        if stamp is not None:
            _checked.add(stamp)
        return {name: arrays[name] for name in names or arrays}, notes

    def _read_whole(self, item: str) -> tuple[Arrays, dict[str, Any]]:
        try:
            return read_arrays(self.paths.item(item), self._place(item))
        except UnplacedError:
            if not self.from_before:
                raise
            return read_arrays(self.paths.item(item))


@runtime_checkable
class HasResult(Protocol):
    """A planned item, which has a result."""

    @property
    def result(self) -> Result:
        """The result."""
        ...


def find_result(
    layout: Layout,
    place: tuple[str, str, str],
    settings: Mapping[str, Any],
    items: Sequence[str],
    version: int,
    name: str = "",
) -> Result:
    """Return the result for some settings, whether or not it exists already.

    Args:
        layout: the paths.
        place: stage, network and layer.
        settings: everything that determines the result, as plain data.
        items: names of its work items.
        version: version of the stage's numbers.
        name: a name that is unique in a run.
    """
    stage, network, layer = place
    key = digest_settings(settings, versions(version))
    return Result(layout.result(stage, network, layer, key), settings, items, name, version)


def _read_some(path: Path, names: Sequence[str]) -> tuple[Arrays, dict[str, Any]]:
    with safe_open(path, framework="numpy") as file:
        arrays = {name: np.asarray(file.get_tensor(name)) for name in names}
        return arrays, json.loads(file.metadata()["notes"])["notes"]


def _stamp(path: Path) -> _Stamp | None:
    try:
        return (str(path), file_stamp(path))
    except OSError:
        return None


def unreadable(path: Path, error: OSError) -> str:
    """Return a sentence about a file that the system cannot read."""
    return (
        f"out: '{path}' cannot be read ({error.strerror or error}); see that it can, or choose"
        " another out"
    )


def set_aside(path: Path, reason: Exception) -> str:
    """Rename a damaged item and return a description of what happened."""
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
