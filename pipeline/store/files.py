"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from pipeline.errors import StoreError

# Asking for it means setting it, which must not happen while other threads write.
_UMASK = os.umask(0)
os.umask(_UMASK)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name beside it, sync it and rename it.

    Args:
        path: where the file will be; an older one is replaced at once.
        write: writes to the path it is given.

    Raises:
        StoreError: the disk refuses; nothing is left behind.
    """
    # The ending is kept, because writers choose the format by it.
    temporary = path.with_name(f".{path.stem}-{uuid4().hex[:8]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_UMASK)  # some writers make files that no colleague can read
        temporary.replace(path)
    except OSError as error:
        size = temporary.stat().st_size if temporary.exists() else 0
        raise StoreError(_refusal(path, error, size)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file of known content (``write_whole``)."""
    try:
        write_whole(path, lambda temporary: temporary.write_bytes(content))
    except StoreError as error:
        cause = error.__cause__
        if isinstance(cause, OSError):
            raise StoreError(_refusal(path, cause, len(content))) from cause
        raise


def describe_bytes(number: int) -> str:
    """Return a number of bytes in words, such as ``1.4 GB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"


def is_temporary(path: Path) -> bool:
    """Say whether a file is one that a killed run was writing."""
    return path.name.startswith(".")


def _refusal(path: Path, error: OSError, size: int) -> str:
    if error.errno not in _FULL:
        return f"out: '{path}' cannot be written ({error.strerror or error})"
    free = shutil.disk_usage(next(p for p in path.parents if p.exists())).free
    limit = "your quota is used up" if error.errno == errno.EDQUOT else "the disk is full"
    return (
        f"out: {limit}: '{path}' needs {describe_bytes(size)} or more and"
        f" {describe_bytes(free)} are free; make room and give the same command again, which keeps"
        " what is finished"
    )
