"""Checksummed files: each contains the SHA-256 of all its bytes, and is checked when it is read.

The digest is computed with 64 zeros in its own place. The same rule thus applies to arrays
(safetensors, which other programs can read) and documents (JSON), and covers every byte of both.

A file of a store also contains its place in the store. A file in the place of another counts as
damaged, even if its checksum is correct.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pipeline.store.files import read_regular, write_bytes

Arrays = dict[str, np.ndarray]

_ZEROS = "0" * 64
# In the header of safetensors, quotes are escaped.
_CHECKSUM = re.compile(rb'file_sha256\\*": ?\\*"([0-9a-f]{64})')


class DamagedError(Exception):
    """A file is not as it was written; the message gives the reason."""


class UnplacedError(DamagedError):
    """A file is intact, but does not contain its place, like files of earlier versions."""


def write_arrays(path: Path, arrays: Arrays, notes: Mapping[str, Any], place: str = "") -> None:
    """Write named arrays, and notes as plain data; the same content gives the same bytes.

    Args:
        path: path of the file.
        arrays: arrays by name.
        notes: plain data.
        place: place of the file in its store.

    Raises:
        StoreError: the file cannot be written.
    """
    # NumPy's function makes a number an array of one axis.
    contiguous = {n: np.ascontiguousarray(a).reshape(np.shape(a)) for n, a in arrays.items()}
    # A single metadata key, as several would be written in random order.
    described = json.dumps(
        {"file_sha256": _ZEROS, "notes": notes, **_placed(place)}, sort_keys=True
    )
    write_bytes(path, _with_checksum(save(contiguous, {"notes": described})))


def read_arrays(path: Path, place: str = "") -> tuple[Arrays, dict[str, Any]]:
    """Return arrays and notes of a file.

    Args:
        path: path of the file.
        place: place that the file must contain.

    Raises:
        DamagedError: it is not as it was written, or is another file.
        OSError: it cannot be read.
    """
    content = _read_whole(path)
    try:
        length = int.from_bytes(content[:8], "little")
        described = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["notes"])
        arrays, notes, own = load(content), described["notes"], described.get("place")
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"it cannot be read as arrays: {error}") from error
    _check_place(own, place)
    return arrays, notes


def write_document(path: Path, content: Mapping[str, Any], place: str = "") -> None:
    """Write plain data as JSON.

    Args:
        path: path of the file.
        content: plain data.
        place: place of the file in its store.

    Raises:
        StoreError: the file cannot be written.
    """
    document = {"file_sha256": _ZEROS, **_placed(place), **content}
    text = json.dumps(document, indent=2, default=str) + "\n"
    write_bytes(path, _with_checksum(text.encode()))


def read_document(path: Path, place: str = "") -> dict[str, Any]:
    """Return the plain data of a document.

    Args:
        path: path of the file.
        place: place that the file must contain.

    Raises:
        DamagedError: it is not as it was written, or is another file.
        OSError: it cannot be read.
    """
    content = _read_whole(path)
    try:
        found = json.loads(content)
        del found["file_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"it cannot be read as JSON: {error}") from error
    if place:
        _check_place(found.pop("place", None), place)
    return found


def _placed(place: str) -> dict[str, str]:
    return {"place": place} if place else {}


def _check_place(own: Any, place: str) -> None:
    if place and own is None:
        raise UnplacedError("it was written by an earlier version")
    if place and own != place:
        raise DamagedError(f"it is '{own}', which does not belong here")


def _with_checksum(content: bytes) -> bytes:
    place = _place(content)
    return content[: place[0]] + _digest(content, place) + content[place[1] :]


def _read_whole(path: Path) -> bytes:
    """Return the bytes of a file after checking its checksum."""
    content = read_regular(path)
    if not content:
        raise DamagedError("it is empty")
    place = _place(content)
    if content[place[0] : place[1]] != _digest(content, place):
        raise DamagedError("its checksum does not fit its content")
    return content


def _place(content: bytes) -> tuple[int, int]:
    found = _CHECKSUM.search(content, 0, 1_000_000)
    if found is None:
        raise DamagedError("it carries no checksum")
    return found.span(1)


def _digest(content: bytes, place: tuple[int, int]) -> bytes:
    view = memoryview(content)
    digest = hashlib.sha256(view[: place[0]])
    digest.update(_ZEROS.encode())
    digest.update(view[place[1] :])
    return digest.hexdigest().encode()
