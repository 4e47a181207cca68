"""The metadata of results: the settings that determine each, and its key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pipeline.store.checksummed import DamagedError, read_document
from pipeline.store.layout import ResultPaths

STORE_FORMAT = 3  # raised whenever files are laid out or written in another way


def versions(stage_version: int) -> dict[str, int]:
    """Return the versions of a stage's numbers and of the format, which are part of every key."""
    return {"result_version": stage_version, "store_format": STORE_FORMAT}


def digest_settings(settings: Mapping[str, Any], by: Mapping[str, Any]) -> str:
    """Return sixteen hexadecimal digits that identify settings and the version of the code.

    Args:
        settings: plain data.
        by: the versions of the code, as in ``versions``.
    """
    canonical = json.dumps({**settings, **by}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Metadata:
    """The metadata of a result.

    Attributes:
        settings: everything that determines the result.
        items: names of its work items.
        version: version of its stage's numbers when it was written.
        store_format: format of the store when it was written.
    """

    settings: Mapping[str, Any]
    items: Sequence[str]
    version: int | None = None
    store_format: int | None = None


def read_metadata(paths: ResultPaths) -> Metadata:
    """Return the metadata of a result.

    Raises:
        DamagedError: it is not as it was written, or belongs to another result.
        OSError: it cannot be read.
    """
    found = read_document(paths.metadata, paths.place(paths.metadata))
    settings, items = found.get("settings"), found.get("items")
    if not isinstance(settings, dict) or not isinstance(items, list):
        raise DamagedError("it does not say what determines the result, and of what it consists")
    if not all(isinstance(item, str) for item in cast("list[Any]", items)):
        raise DamagedError("it names items that are no text")
    by = {name: found.get(name) for name in versions(0)}
    if digest_settings(cast("Any", settings), by) != paths.folder.name:
        raise DamagedError("its settings are not those that the folder is named by")
    version, written_as = by.values()
    return Metadata(cast("Any", settings), cast("Any", items), version, written_as)
