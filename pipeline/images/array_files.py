"""Arrays of images in files, read one image at a time: ``.npy`` and ``.npz``.

An image is read from its place in the file, which is never read as a whole, so that a stack may be
larger than memory. (A mapped file that is cut short meanwhile would kill the process instead.) No
pickled object is loaded.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import threading
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from pipeline.errors import ConfigError, ImageError, TransientError, first_line, listed, nearest
from pipeline.images.files import not_now, retried
from pipeline.store.files import file_stamp

log = logging.getLogger(__name__)
KEY = "images.file"
_LOCAL_HEADER = 30  # bytes of a zip file before the name and the extra field of a member


@runtime_checkable
class ImageArray(Protocol):
    """An array of images in a file."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def name(self) -> str:
        """Name of the array in the file; empty if it is the only one."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array, whose first axis is that of images."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Type of its numbers."""
        ...

    def read(self, index: int) -> np.ndarray:
        """Return one image; raises ``ImageError`` or ``TransientError`` without its name."""
        ...

    def beside(self, name: str, key: str) -> np.ndarray:
        """Return another array of the file as a whole, such as that of names."""
        ...


@dataclass(frozen=True)
class StoredArray:
    """An array whose images lie one after the other in a file (``ImageArray``).

    Attributes:
        path: the file.
        name: of the array in an ``.npz``; empty for an ``.npy``.
        shape: of the array; its first axis is that of images.
        dtype: of the array.
        offset: bytes before the first image; ``None`` if the array is compressed.
        stamp: of the file when it was opened.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int | None
    stamp: tuple[int, ...]
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def read(self, index: int) -> np.ndarray:
        """Return one image, from its place in the file.

        Raises:
            TransientError: it cannot be read now, or the file has changed since it was opened.
        """
        check_unchanged(self.path, self.stamp)
        if self.offset is None:
            with self._lock:  # only one thread decompresses it
                return self._whole[index]
        size = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        offset = self.offset + index * size
        try:
            content = retried(lambda: self._bytes(offset, size))
        except ImageError as error:  # it could be read when it was opened
            if isinstance(error.__cause__, OSError):
                raise TransientError(not_now(error.__cause__)) from error
            raise
        return np.frombuffer(content, self.dtype).reshape(self.shape[1:])

    def _bytes(self, offset: int, size: int) -> bytes:
        with self.path.open("rb", buffering=0) as file:
            content = os.pread(file.fileno(), size, offset)
        if len(content) < size:
            raise OSError(errno.EIO, f"{len(content)} of {size} bytes came")
        return content

    @cached_property
    def _whole(self) -> np.ndarray:
        log.info(
            "images: '%s' is compressed and is read as a whole; numpy.savez, which does not"
            " compress, makes files that are read image by image",
            self.path,
        )
        try:
            return _member(self.path, self.name, KEY)
        except MemoryError as error:
            raise TransientError(
                "cannot be read, as there is no memory for the whole compressed array; save it with"
                " numpy.savez, which does not compress"
            ) from error

    def beside(self, name: str, key: str) -> np.ndarray:
        """Return another array of the file as a whole.

        Raises:
            ConfigError: there is none.
        """
        if not self.name:
            raise ConfigError(
                f"{key}: '{self.path}' holds a single array; save an .npz with numpy.savez, which"
                f" holds several, to give {name}"
            )
        return _member(self.path, name, key)


def open_array(file: str, name: str | None = None) -> StoredArray:
    """Return the array of images in an ``.npy`` or ``.npz`` file.

    Args:
        file: path of the file.
        name: name of the array in an ``.npz``; ``None``: the only one that can be of images.

    Raises:
        ConfigError: the file, or the array in it, cannot be used.
    """
    path = checked_file(file, "an .npy or .npz file")
    stamp = file_stamp(path)
    if zipfile.is_zipfile(path):
        return _open_member(path, name, stamp)
    if name is not None:
        raise ConfigError(f"images.array: '{path}' is no .npz, whose arrays have names; leave it")
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        raise ConfigError(
            f"{KEY}: '{path}' cannot be read as an array ({first_line(error)}); give an .npy or"
            " .npz file of numbers"
        ) from error
    if not mapped.flags.c_contiguous:
        raise ConfigError(_fortran(path))
    return StoredArray(path, "", mapped.shape, mapped.dtype, int(mapped.offset), stamp)


def checked_file(file: str, what: str) -> Path:
    """Return the path of a regular file.

    Raises:
        ConfigError: there is none.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise ConfigError(f"{KEY}: there is no file '{path}'; give the path of {what}")
    return path


def check_unchanged(path: Path, stamp: tuple[int, ...]) -> None:
    """Check that a file is the one that was opened, and has the same size and time.

    Raises:
        TransientError: it is not; the message is without the name of the image.
    """
    try:
        changed = file_stamp(path)[:3] != stamp[:3]  # permissions and links may change too
    except OSError as error:
        raise TransientError(not_now(error)) from error
    if changed:
        raise TransientError(
            f"cannot be read, as '{path}' has changed since it was opened; repeat the command,"
            " which reads it anew"
        )


def stamp_line(path: Path) -> bytes:
    """Return the stamp of a file as a line."""
    return f"{' '.join(map(str, file_stamp(path)))}\n".encode()


def chosen_name(
    key: str, path: Path, wanted: str | None, ranks: dict[str, int], known: Sequence[str]
) -> str:
    """Return the name of the array of images in a file.

    Args:
        key: key of the setting that names it.
        path: the file.
        wanted: the name, if it is given.
        ranks: number of axes of every array of numbers, by name.
        known: names of all arrays.

    Raises:
        ConfigError: there is no such array, or several could be meant.
    """
    if wanted is not None:
        if wanted not in known:
            raise ConfigError(
                f"{key}: '{path}' holds no '{wanted}'; it holds {listed(known, 8) or 'nothing'}"
                f"{nearest(wanted, known)}"
            )
        return wanted
    able = [name for name, axes in ranks.items() if axes in (3, 4)]
    if len(able) != 1:
        found = f"several arrays of images ({listed(able, 8)})" if able else "no array of 4 axes"
        raise ConfigError(f"{key}: '{path}' holds {found}; name the one to use")
    return able[0]


def _open_member(path: Path, wanted: str | None, stamp: tuple[int, ...]) -> StoredArray:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {m.filename.removesuffix(".npy"): m for m in archive.infolist()}
            heads = {name: _head(archive, member) for name, member in members.items()}
            ranks = {name: len(head[0]) for name, head in heads.items() if head is not None}
            name = chosen_name("images.array", path, wanted, ranks, list(members))
            head, member = heads[name], members[name]
    except (OSError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"{KEY}: '{path}' is a damaged .npz file ({first_line(error)}); save it again"
        ) from error
    if head is None:
        raise ConfigError(f"images.array: '{name}' of '{path}' is no array of numbers")
    shape, fortran, dtype, length = head
    if fortran:
        raise ConfigError(_fortran(path))
    offset = None
    if member.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as file:
            file.seek(member.header_offset)
            local = file.read(_LOCAL_HEADER)
        variable = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        offset = member.header_offset + _LOCAL_HEADER + variable + length
    return StoredArray(path, name, shape, dtype, offset, stamp)


def _head(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    """Return shape, order, type and length in bytes of an array's head; ``None`` if it has none."""
    try:
        with archive.open(member) as file:
            start = io.BytesIO(file.read(1 << 16))
        version = np.lib.format.read_magic(start)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read(start)
    except (ValueError, KeyError, RuntimeError, NotImplementedError):
        return None
    return None if dtype.hasobject else (shape, fortran, dtype, start.tell())


def _member(path: Path, name: str, key: str) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if name not in archive.files:
                known = archive.files
                raise ConfigError(
                    f"{key}: '{path}' holds no '{name}'; it holds {listed(known, 8)}"
                    f"{nearest(name, known)}"
                )
            return archive[name]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"{key}: '{name}' of '{path}' cannot be read ({first_line(error)}); save it again, as"
            " an array of numbers or text"
        ) from error


def _fortran(path: Path) -> str:
    return (
        f"{KEY}: the images of '{path}' do not lie one after the other (its order is Fortran's);"
        " save numpy.ascontiguousarray(images)"
    )
