"""The image set of a dataset in an HDF5 file."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pipeline.errors import ConfigError, ImageError, TransientError, first_line
from pipeline.images.array_files import check_unchanged, checked_file, chosen_name
from pipeline.images.image_sets import ImageSet
from pipeline.images.preprocessing import Crop, Preprocessing
from pipeline.images.stacks import Reading, image_array
from pipeline.images.subsets import kept_indices
from pipeline.store.files import file_stamp

KEY = "images.file"
LARGEST_CACHE = 1 << 28  # bytes of uncompressed chunks that a process keeps


def hdf5(
    preprocessing: Preprocessing,
    *,
    file: str,
    dataset: str | None = None,
    names: str | None = None,
    columns: Sequence[str] = (),
    channels: str | None = None,
    values: str | None = None,
    resize: int | str | None = "default",
    crop: Crop = "default",
    limit: int | None = None,
    seed: int | None = None,
) -> ImageSet:
    """Return the images of a dataset in an HDF5 file, as those of ``stack`` are.

    Args:
        preprocessing: resizing, center crop and normalization of pixels.
        file: the file.
        dataset: path of the dataset in the file; ``None``: the only one with 3 or 4 axes.
        names: path of a dataset with the images' names; ``None``: their numbers, from 0.
        columns: paths of datasets with one value per image, which are carried into tables.
        channels: where the channels are, as of ``stack``.
        values: what floats are, as of ``stack``.
        resize: length of the short side in pixels; ``None`` for no resizing.
        crop: side of the center crop in pixels.
        limit: number of images to keep, from the first; or a random choice with a ``seed``.
        seed: of that choice.

    Raises:
        ConfigError: the file has no such dataset, its shape or its values can be read in two ways,
            or h5py is not installed.
    """
    found = open_dataset(file, dataset)
    how = Reading(names, columns, channels, values)
    kept = kept_indices(found.shape[0] if found.shape else 0, limit, seed)
    return image_array("hdf5", found, how, (preprocessing, resize, crop), kept)


class _Opened:
    """A file that is open for reading, once in each process.

    HDF5 must not be used after a fork with what was opened before it.
    """

    def __init__(self, path: Path, cache: int) -> None:
        self.path, self.cache = path, cache
        self.lock = threading.Lock()
        self.process = -1
        self.file: Any = None
        self.held: dict[str, Any] = {}

    def dataset(self, name: str) -> Any:
        """Return a dataset, which stays open, as its uncompressed chunks are kept with it."""
        if name not in self.held:
            self.held[name] = self.file[name]
        return self.held[name]

    def __enter__(self) -> Any:
        self.lock.acquire()
        try:
            if self.process != os.getpid():
                self.file, self.process = _open(self.path, self.cache), os.getpid()
                self.held = {}
        except BaseException:
            self.lock.release()
            raise
        return self.file

    def __exit__(self, *_: object) -> None:
        self.lock.release()


@dataclass(frozen=True)
class Hdf5Array:
    """A dataset of images (``ImageArray``).

    Attributes:
        path: the file.
        name: path of the dataset in the file.
        shape: of the dataset; its first axis is that of images.
        dtype: of the dataset.
        stamp: of the file when it was opened.
        opened: gives the file to one thread at a time.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    stamp: tuple[int, ...]
    opened: _Opened = field(repr=False)

    def read(self, index: int) -> np.ndarray:
        """Return one image; a chunk of several is uncompressed once.

        Raises:
            ImageError: its chunk is damaged, or compressed by a filter that is not installed.
            TransientError: it cannot be read now, or the file has changed since it was opened.
        """
        check_unchanged(self.path, self.stamp)
        try:
            with self.opened:
                return np.asarray(self.opened.dataset(self.name)[index])
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            reason = first_line(error)
            if "errno = " in str(error) or getattr(error, "errno", None):
                raise TransientError(
                    f"cannot be read now ({reason}); repeat the command when it can; finished work"
                    " is kept"
                ) from error
            raise ImageError(f"cannot be read ({reason})") from error

    def beside(self, name: str, key: str) -> np.ndarray:
        """Return another dataset of the file as a whole; text as Python's.

        Raises:
            ConfigError: there is none.
        """
        with self.opened as file:
            found = _dataset(
                file, self.path, chosen_name(key, self.path, name.strip("/"), {}, _names(file))
            )
            try:
                if _module().check_string_dtype(found.dtype):
                    return np.array(found.asstr(errors="backslashreplace")[...], dtype=np.str_)
                return np.asarray(found[...])
            except (OSError, ValueError, TypeError) as error:
                raise ConfigError(
                    f"{key}: '{name}' of '{self.path}' cannot be read ({first_line(error)})"
                ) from error


def open_dataset(file: str, name: str | None = None) -> Hdf5Array:
    """Return the dataset of images in an HDF5 file.

    Args:
        file: path of the file.
        name: path of the dataset in it; ``None``: the only one with 3 or 4 axes.

    Raises:
        ConfigError: the file or the dataset cannot be used, or h5py is not installed.
    """
    _module()
    path = checked_file(file, "an HDF5 file")
    stamp, opened = file_stamp(path), _Opened(path, 0)
    with opened as held:
        known = _names(held)
        ranks = {each: held[each].ndim for each in known}
        wanted = None if name is None else name.strip("/")
        chosen = chosen_name("images.dataset", path, wanted, ranks, known)
        found = _dataset(held, path, chosen)
        shape, dtype, chunk = found.shape, found.dtype, found.chunks
        held.close()
    size = 2 * int(np.prod(chunk or (0,))) * dtype.itemsize
    return Hdf5Array(path, chosen, shape, dtype, stamp, _Opened(path, min(size, LARGEST_CACHE)))


def _names(file: Any) -> list[str]:
    """Return the paths of all datasets; links into other files are not followed."""
    found: list[str] = []
    kind = _module().Dataset

    def note(name: str, each: Any) -> None:
        if isinstance(each, kind):
            found.append(name)

    file.visititems(note)
    return found


def _dataset(file: Any, path: Path, name: str) -> Any:
    """Return a dataset whose numbers are in this file: those of others could change unseen."""
    found = file[name]
    if found.is_virtual or found.external:
        raise ConfigError(
            f"{KEY}: the data of '{name}' are not in '{path}' itself but in other files, whose"
            " changes would not be seen; copy them into one file"
        )
    return found


def _open(path: Path, cache: int) -> Any:
    more = {"rdcc_nbytes": cache} if cache > 1 << 20 else {}
    try:
        return _module().File(path, "r", **more)
    except OSError as error:
        raise ConfigError(
            f"{KEY}: '{path}' cannot be opened as HDF5 ({first_line(error)}); give an HDF5 file"
            " that no program is writing"
        ) from error


def _module() -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise ConfigError(
            "images=hdf5: HDF5 files need the package h5py; install it with pip install"
            " 'artiphys[hdf5]'"
        ) from error
    return h5py
