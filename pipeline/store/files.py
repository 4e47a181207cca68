"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from pipeline.errors import StoreError

# Asking for it means setting it, which must not happen while other threads write.
_UMASK = os.umask(0)
os.umask(_UMASK)


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
        raise StoreError(f"out: '{path}' cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
