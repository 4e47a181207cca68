"""Space for results: whether folders are writable and disks have enough free space."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.store.files import describe_bytes


def folder_faults(key: str, folder: str) -> Iterator[str]:
    """Yield the reason if files cannot be written to a folder, which need not exist yet."""
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
    """Return the number of free bytes on the disk of ``out``.

    Args:
        out: the folder; it need not exist yet.
        needed: bytes that will be written.

    Raises:
        StoreError: there is too little free space, or it cannot be determined.
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
