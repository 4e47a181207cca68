"""Writing files so that a reader never sees an incomplete one."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from pipeline.errors import StoreError

# Reading the umask means setting it, which must not happen while other threads write.
_UMASK = os.umask(0)
os.umask(_UMASK)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def read_regular(path: Path) -> bytes:
    """Return the bytes of a regular file; pipes could block forever, and devices have no end.

    Raises:
        OSError: it cannot be read, or is something else.
    """
    # Do not block on a pipe without a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def file_stamp(path: Path) -> tuple[int, ...]:
    """Return a stamp of a file, which includes its change time, as programs cannot set that.

    Raises:
        OSError: there is no such file, or it is not accessible.
    """
    found = path.stat()
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name beside it, sync it and rename it.

    Args:
        path: path of the file; an older one is replaced atomically.
        write: writes to the path it is given.

    Raises:
        StoreError: the file cannot be written; no temporary file remains.
    """
    # The suffix is kept, because writers choose the format by it.
    temporary = path.with_name(f".{path.stem}-{uuid4().hex[:8]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_UMASK)  # some writers make files that only their owner can read
        temporary.replace(path)
        _note_written(path)
    except OSError as error:
        size = temporary.stat().st_size if temporary.exists() else 0
        raise StoreError(refusal(path, error, size)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


_watched: dict[Path, dict[Path, tuple[int, ...]]] = {}  # files written, by watched folder


def watch(folder: Path) -> None:
    """Start recording the files that this process writes below a folder."""
    _watched[folder] = {}


def lost_below(folder: Path) -> list[Path]:
    """Return written files below a watched folder that are gone or changed; stop watching."""
    noted = _watched.pop(folder, {})
    return [path for path, stamp in noted.items() if _written_stamp(path) != stamp]


def _note_written(path: Path) -> None:
    for folder, noted in _watched.items():
        if path.is_relative_to(folder):
            noted[path] = _written_stamp(path)


def _written_stamp(path: Path) -> tuple[int, ...]:
    try:
        return file_stamp(path)[:3]  # permissions and links may change, too
    except OSError:
        return ()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file of known content (``write_whole``)."""
    try:
        write_whole(path, lambda temporary: temporary.write_bytes(content))
    except StoreError as error:
        cause = error.__cause__
        if isinstance(cause, OSError):
            raise StoreError(refusal(path, cause, len(content))) from cause
        raise


def describe_bytes(number: int) -> str:
    """Return a number of bytes in words, such as ``1.4 GB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"


def is_temporary(path: Path) -> bool:
    """Return whether a file is a temporary one, as left by a killed run."""
    return path.name.startswith(".")


def refusal(path: Path, error: OSError, size: int = 0) -> str:
    """Return a sentence that explains why a file or folder could not be written.

    Args:
        path: path of the file or folder.
        error: error of the system.
        size: bytes that it needs.
    """
    if error.errno not in _FULL:
        return f"out: '{path}' cannot be written ({error.strerror or error})"
    again = "free some space and repeat the command, which keeps finished work"
    disk = next(parent for parent in path.parents if parent.exists())
    if error.errno == errno.EDQUOT:
        limit = "your quota is used up"
    elif not os.statvfs(disk).f_favail and os.statvfs(disk).f_files:
        return f"out: the disk holds as many files as it can: '{path}' is one too many; {again}"
    else:
        limit = "the disk is full"
    free = describe_bytes(shutil.disk_usage(disk).free)
    return (
        f"out: {limit}: '{path}' needs {describe_bytes(size)} or more and {free} are free; {again}"
    )
