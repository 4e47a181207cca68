"""Earlier results, opened by folder, whose images are the starts of other ascents."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

import numpy as np
from jaxtyping import Float, Int

from pipeline.errors import StoreError, listed
from pipeline.store.checksummed import (
    Arrays,
    DamagedError,
    UnplacedError,
    read_arrays,
    read_document,
)
from pipeline.store.layout import ResultPaths


@dataclass(frozen=True)
class Earlier:
    """The images of a result of ascents, or the last frame of a dream.

    Attributes:
        folder: folder of the result.
        units: unit of each image.
        copies: number of each image among those of its unit.
        images: images in the input space of the network for which they were made.
        mean: mean of that network's input normalization, per channel; ``None`` if unknown.
        std: standard deviation, likewise.
    """

    folder: Path
    units: Int[np.ndarray, " images"]
    copies: Int[np.ndarray, " images"]
    images: Float[np.ndarray, "images 3 height width"]
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @cached_property
    def digest(self) -> str:
        """A digest that identifies the images, independent of their folder."""
        digest = hashlib.sha256(repr((self.images.shape, self.mean, self.std)).encode())
        for array in (self.units, self.copies, self.images):
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @property
    def described(self) -> str:
        """The units, in words."""
        return listed(np.unique(self.units).tolist(), 10)

    def find(self, unit: int, copy: int) -> Float[np.ndarray, "3 height width"] | None:
        """Return the image of a unit: its copy, otherwise its first image, or the only image."""
        if len(self.images) == 1:
            return self.images[0]
        own = np.flatnonzero(self.units == unit)
        if not len(own):
            return None
        same = own[self.copies[own] == copy]
        return self.images[same[0] if len(same) else own[0]]


def read_earlier(folder: Path) -> Earlier:
    """Return the images of a result, or the last frame of a dream.

    Raises:
        StoreError: the folder is not a complete result with images.
    """
    paths = ResultPaths(folder.absolute())
    try:
        metadata = read_document(paths.metadata)
        # A copy of the folder may have another name.
        home = PurePath(metadata.get("place", paths.place(paths.metadata))).parent
        items: list[str] = metadata["items"]
        scale = metadata["settings"].get("preprocessing", {})
    except (OSError, DamagedError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"'{folder}' is not a result; give its folder, as <out>/store/ascent/..."
        ) from error
    last = _read(paths.item(items[-1]), home)
    parts = [last]
    if "octaves" not in last:  # the last frame, for a dream
        parts = [_read(paths.item(item), home) for item in items]
    try:
        found = {
            name: np.concatenate([part[name] for part in parts]) for name in ("units", "images")
        }
    except (KeyError, ValueError) as error:
        raise StoreError(f"'{folder}' holds no images, but another kind of result") from error
    copies = [part.get("copies", np.zeros(len(part["units"]), int)) for part in parts]
    mean, std = (tuple(scale[name]) if name in scale else None for name in ("mean", "std"))
    return Earlier(paths.folder, found["units"], np.concatenate(copies), found["images"], mean, std)


def _read(path: Path, home: PurePath) -> Arrays:
    """Return the arrays of one item of a result whose place is below ``home``."""
    try:
        try:
            return read_arrays(path, (home / path.name).as_posix())[0]
        except UnplacedError:  # written by an earlier version
            return read_arrays(path)[0]
    except FileNotFoundError as error:
        raise StoreError(f"'{path}' is missing; run its stage again") from error
    except (OSError, DamagedError) as error:
        raise StoreError(f"'{path}' cannot be used: {error}; run its stage again") from error
