"""Image sets: named images in network-input space, read one at a time.

Three kinds: the photographs bundled with scikit-image, a folder of pictures, and a folder of arrays
in the lab's own format. Each is one function that returns an ``ImageSet``.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError, ImageError, TransientError
from pipeline.images.bundled import bundled_photographs
from pipeline.images.files import (
    ImageFiles,
    Loaded,
    decode_array,
    decode_picture,
    digest_list,
    read_content,
)
from pipeline.images.folders import existing_folder, files_below, not_hidden
from pipeline.images.preprocessing import Crop, Preprocessing
from pipeline.images.resize import resize
from pipeline.store.natural_order import WHOLE, natural_order

log = logging.getLogger(__name__)

PICTURES = (".jpg", ".jpeg", ".png", ".webp")


def _unchanging(_index: int) -> int:
    return 0


@dataclass(frozen=True)
class ImageSet:
    """A list of images of one size.

    Attributes:
        names: one per image: its path below the root, or the item's name.
        size: height and width in pixels, of every image.
        settings: the settings that determine the images, as plain data. ``images`` identifies the
            list: a digest of names and contents or, for files, of names, sizes and stamps, which
                are quick to get.
        load: returns the image at an index and the digest of the contents read; raises
            ``ImageError`` with the reason, without the name.
        digest: returns only the digest of the contents at an index; ``UNREADABLE`` if there is
            none.
        like: digest of names and sizes; only lists with the same one need to be compared. ``None``
            if contents cannot change.
        pixel_scale: mean and standard deviation per channel that convert back to pixels in 0..1;
            ``None`` if unknown.
        columns: what else is known of each image (its class, its condition), one value per image
            by the name of a column, carried into tables beside the image's name.
    """

    names: Sequence[str]
    size: tuple[int, int]
    settings: dict[str, Any]
    load: Callable[[int], Loaded]
    digest: Callable[[int], int] = _unchanging
    like: str | None = None
    pixel_scale: tuple[Sequence[float], Sequence[float]] | None = None
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict[str, Sequence[Any]])

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int, digest: int | None = None) -> Float[Tensor, "c height width"]:
        """Return one image in network-input space.

        Args:
            index: index of the image.
            digest: digest of its contents when they were searched, if they were.

        Raises:
            ImageError: it cannot be read, or its contents have changed; the message names it.
        """
        try:
            loaded = self.load(index)
        except (ImageError, TransientError) as error:
            raise type(error)(f"images: '{self.names[index]}' {error}") from error
        if digest not in (None, loaded.digest):
            raise ImageError(
                f"images: '{self.names[index]}' has changed since it was searched; repeat the "
                "command, which searches changed images again"
            )
        return loaded.image


def photographs(
    preprocessing: Preprocessing,
    *,
    crop: Crop = "default",
    stride: int | None = None,
    scales: Sequence[float] = (1.0, 0.5),
    limit: int | None = None,
) -> ImageSet:
    """Return overlapping crops of the photographs bundled with scikit-image.

    Args:
        preprocessing: gives the crop's side and the normalization.
        crop: side in pixels that replaces the default, or height and width.
        stride: pixels from one crop to the next; by default three quarters of a crop, so that few
            patches are found twice.
        scales: scales of the photographs; a photograph that would be smaller than the crop is
            resized to the crop's size.
        limit: number of crops to keep, from the first.
    """
    preprocessing = preprocessing.sized(crop=crop)
    preprocessing.check_pictures()
    rows, columns = preprocessing.input_size
    if stride is not None and stride < 1:
        raise ConfigError(f"images.stride: {stride} is not null or a positive number of pixels")
    if not scales or not all(0 < scale <= 10 for scale in scales):
        raise ConfigError(f"images.scales: {list(scales)} are not numbers above 0 and up to 10")
    down, across = (stride or max(1, 3 * side // 4) for side in (rows, columns))
    crops: dict[str, tuple[str, float, int, int]] = {}
    for name, picture in bundled_photographs().items():
        least = max(rows / picture.shape[0], columns / picture.shape[1])
        for scale in dict.fromkeys(max(s, least) for s in scales):
            height, width = (round(n * scale) for n in picture.shape[:2])
            for top in range(0, height - rows + 1, down):
                for left in range(0, width - columns + 1, across):
                    crops[f"{name}/{scale:.3g}/{top}-{left}"] = (name, scale, top, left)
    names = _first(list(crops), limit)
    load = _Crop([crops[name] for name in names], preprocessing)
    settings = {
        "kind": "photographs",
        "preprocessing": preprocessing.settings(),
        "images": digest_list(names, [p.tobytes() for p in bundled_photographs().values()]),
    }
    scale_back = (preprocessing.mean, preprocessing.std)
    return ImageSet(names, preprocessing.input_size, settings, load, pixel_scale=scale_back)


def folder(
    preprocessing: Preprocessing,
    *,
    root: str,
    resize: int | str | None = "default",
    crop: Crop = "default",
    limit: int | None = None,
) -> ImageSet:
    """Return the JPEG, PNG and WebP pictures below a folder, sorted by path.

    As with torchvision's ``ImageFolder``, EXIF orientation is ignored.

    Args:
        preprocessing: resizing, center crop and normalization.
        resize: length of the short side in pixels; ``None`` for no resizing.
        crop: side of the center crop in pixels, or its height and width.
        root: the folder; subfolders are searched too.
        limit: number of pictures to keep, from the first.

    Raises:
        ConfigError: the folder is missing or holds no picture.
    """
    preprocessing = preprocessing.sized(resize, crop)
    preprocessing.check_pictures()
    if preprocessing.resize is not None and preprocessing.resize < min(preprocessing.input_size):
        raise ConfigError(
            f"images.resize: {preprocessing.resize} is smaller than the crop of"
            f" {min(preprocessing.input_size)}; raise images.resize or lower images.crop"
        )
    top = existing_folder(root)
    paths = sorted(path for path in files_below(top) if path.suffix.lower() in PICTURES)
    paths = not_hidden(paths, top)
    names = _first([path.relative_to(top).as_posix() for path in paths], limit)
    if not names:
        kinds = ", ".join(PICTURES)
        raise ConfigError(f"images.root: '{root}' holds no picture ending in {kinds}")

    files = ImageFiles(
        [top / name for name in names], lambda content: preprocessing(decode_picture(content))
    )
    like, stamps = files.stamps(names)
    settings = {
        "kind": "folder",
        "preprocessing": preprocessing.settings(),
        "images": stamps,
    }
    scale_back = (preprocessing.mean, preprocessing.std)
    size = preprocessing.input_size
    return ImageSet(names, size, settings, files.load, files.digest, like, scale_back)


def arrays(preprocessing: Preprocessing, *, root: str, limit: int | None = None) -> ImageSet:
    """Return the ``.npy`` arrays below a folder: float C x H x W, already normalized.

    They are sorted by the numbers in their names (``2.npy`` before ``10.npy``) and are passed to
    the network unchanged; of ``preprocessing``, only the number of channels is used.

    Raises:
        ConfigError: the folder is missing, or contains no array of the right shape.
    """
    channels = preprocessing.channels  # all that is used: arrays are network input already
    top = existing_folder(root)
    paths = not_hidden([path for path in files_below(top) if path.suffix == ".npy"], top)
    found = [path.relative_to(top).as_posix() for path in paths]
    names = _first(sorted(found, key=partial(natural_order, number=WHOLE)), limit)
    if not names:
        raise ConfigError(f"images.root: '{root}' holds no array ending in .npy")
    size = _first_size(top, names, channels)

    files = ImageFiles(
        [top / name for name in names], partial(decode_array, size=(channels, *size))
    )
    like, stamps = files.stamps(names)
    settings: dict[str, Any] = {"kind": "arrays", "size": list(size), "images": stamps}
    if channels != 3:
        settings["channels"] = channels
    return ImageSet(names, size, settings, files.load, files.digest, like)


@dataclass(frozen=True)
class _Crop:
    places: Sequence[tuple[str, float, int, int]]  # photograph, scale, top, left
    preprocessing: Preprocessing

    def __call__(self, index: int) -> Loaded:
        name, scale, top, left = self.places[index]
        rows, columns = self.preprocessing.input_size
        crop = _scaled_photograph(name, scale)[:, top : top + rows, left : left + columns]
        crop = self.preprocessing.in_channels(crop)
        return Loaded(self.preprocessing.normalize(crop.to(torch.float32) / 255), 0)


@cache
def _scaled_photograph(name: str, scale: float) -> Tensor:
    picture = torch.tensor(bundled_photographs()[name]).permute(2, 0, 1)
    height, width = (round(n * scale) for n in picture.shape[1:])
    return resize(picture, (height, width))


def _first(names: list[str], limit: int | None) -> list[str]:
    if limit is not None and limit < 1:
        raise ConfigError(f"images.limit: {limit} leaves no image; use null or a positive number")
    kept = names[:limit]
    for name in kept:
        if not name.isprintable():  # line breaks, or bytes that are not text
            raise ConfigError(f"images.root: {name!r} is a name that cannot be stored; rename it")
    return kept


def _first_size(top: Path, names: Sequence[str], channels: int) -> tuple[int, int]:
    """Return height and width of the first array of a number of channels."""
    others = ""
    for name in names:
        try:
            array = np.load(io.BytesIO(read_content(top / name)))
        except TransientError as error:
            raise TransientError(f"images: '{name}' {error}") from error
        except MemoryError as error:
            raise TransientError(
                f"images: there is no memory left to read '{name}'; repeat the command"
            ) from error
        except Exception:  # noqa: BLE001 - the search will report the fault
            continue
        if array.ndim == 3 and array.shape[0] == channels:
            return (array.shape[1], array.shape[2])
        shape = " x ".join(map(str, array.shape)) or "a single number"
        others = others or f"; '{name}' is {shape}"
    raise ConfigError(
        f"images.root: no array in '{top}' can be read as {channels} x height x width, with the"
        f" channels of the network{others}"
    )
