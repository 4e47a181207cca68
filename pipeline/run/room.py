"""Room for results: folders that can be written to, and disks that hold what is to come."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.store.files import describe_bytes


def folder_faults(key: str, folder: str) -> Iterator[str]:
    """Yield why files could not be written to a folder, which may not be there yet."""
    wanted = Path(folder).expanduser().absolute()
    try:
        there = next(path for path in (wanted, *wanted.parents) if path.exists())
    except OSError as error:
        yield f"{key}: '{wanted}' cannot be used ({error.strerror})"
        return
    if not there.is_dir():
        yield f"{key}: '{there}' is not a folder; choose another {key}"
    elif not os.access(there, os.W_OK | os.X_OK):
        yield f"{key}: '{there}' cannot be written to; choose another {key}"


def check_disk(out: Path, needed: int) -> int:
    """Return how many bytes are free where ``out`` lies or will lie.

    Args:
        out: the folder; it need not be there yet.
        needed: bytes that will be written.

    Raises:
        StoreError: they are not free, or there is no telling.
    """
    out = out.expanduser().absolute()
    try:
        existing = next(path for path in (out, *out.parents) if path.exists())
        free = shutil.disk_usage(existing).free
    except OSError as error:
        raise StoreError(f"out: '{out}' cannot be used ({error.strerror})") from error
    if needed > free:
        raise StoreError(
            f"out: the results need {describe_bytes(needed)} and '{existing}' has"
            f" {describe_bytes(free)} free; choose another out, fewer layers or fewer units"
        )
    return free
