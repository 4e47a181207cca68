"""Sealed files: each carries the SHA-256 of all its bytes, and is checked when it is read.

The digest is taken with 64 zeros in its own place. So the same rule serves arrays (safetensors,
which other programs can read as they are) and documents (JSON), and covers every byte of both.
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

from pipeline.store.files import write_bytes

Arrays = dict[str, np.ndarray]

_ZEROS = "0" * 64
# Inside the header of safetensors the quotes are escaped.
_SEAL = re.compile(rb'file_sha256\\*": ?\\*"([0-9a-f]{64})')


class DamagedError(Exception):
    """A file is not what was written; the message says how."""


def write_arrays(path: Path, arrays: Arrays, notes: Mapping[str, Any]) -> None:
    """Write named arrays, and notes as plain data; the same content gives the same bytes.

    Raises:
        StoreError: the disk refuses.
    """
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    # One key of metadata alone: several would be written in any order.
    sealed = json.dumps({"file_sha256": _ZEROS, "notes": notes}, sort_keys=True)
    write_bytes(path, _seal(save(contiguous, {"notes": sealed})))


def read_arrays(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """Return arrays and notes of a file.

    Raises:
        DamagedError: it is not as it was written.
        OSError: it cannot be read.
    """
    content = _read_whole(path)
    try:
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length])["__metadata__"]
        return load(content), json.loads(metadata["notes"])["notes"]
    except (SafetensorError, ValueError, KeyError) as error:
        raise DamagedError(f"it cannot be read as arrays: {error}") from error


def write_document(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain data as JSON.

    Raises:
        StoreError: the disk refuses.
    """
    text = json.dumps({"file_sha256": _ZEROS, **content}, indent=2, default=str) + "\n"
    write_bytes(path, _seal(text.encode()))


def read_document(path: Path) -> dict[str, Any]:
    """Return the plain data of a document.

    Raises:
        DamagedError: it is not as it was written.
        OSError: it cannot be read.
    """
    content = _read_whole(path)
    try:
        found = json.loads(content)
    except ValueError as error:
        raise DamagedError(f"it cannot be read as JSON: {error}") from error
    del found["file_sha256"]
    return found


def _seal(content: bytes) -> bytes:
    place = _place(content)
    return content[: place[0]] + _digest(content, place) + content[place[1] :]


def _read_whole(path: Path) -> bytes:
    """Return the bytes of a file that is as it was written."""
    content = path.read_bytes()
    if not content:
        raise DamagedError("it is empty")
    place = _place(content)
    if content[place[0] : place[1]] != _digest(content, place):
        raise DamagedError("its checksum does not fit its content")
    return content


def _place(content: bytes) -> tuple[int, int]:
    found = _SEAL.search(content, 0, 1_000_000)
    if found is None:
        raise DamagedError("it carries no checksum")
    return found.span(1)


def _digest(content: bytes, place: tuple[int, int]) -> bytes:
    view = memoryview(content)
    digest = hashlib.sha256(view[: place[0]])
    digest.update(_ZEROS.encode())
    digest.update(view[place[1] :])
    return digest.hexdigest().encode()
