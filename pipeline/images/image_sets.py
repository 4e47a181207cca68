"""Image sets: named images in network-input space, read one at a time.

Two kinds of folders stand here, of pictures and of arrays in the lab's own format; each other kind
has a file of its own. A kind is one function that returns an ``ImageSet``.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError, ImageError, TransientError, listed
from pipeline.images.files import (
    FORMATS,
    ImageFiles,
    Loaded,
    decode_array,
    decode_picture,
    digest_list,
    read_content,
)
from pipeline.images.folders import existing_folder, files_below, not_hidden, tell_left_out
from pipeline.images.preprocessing import Crop, Preprocessing
from pipeline.images.subsets import check_names, kept_indices
from pipeline.store.natural_order import WHOLE, natural_order

# As torchvision's ``IMG_EXTENSIONS``.
PICTURES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


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
            by the name of a column, carried into tables beside the image's name. ``None`` is
            missing. No number in the store depends on them.

    Raises:
        ConfigError: a column has not one value per image.
    """

    names: Sequence[str]
    size: tuple[int, int]
    settings: dict[str, Any]
    load: Callable[[int], Loaded]
    digest: Callable[[int], int] = _unchanging
    like: str | None = None
    pixel_scale: tuple[Sequence[float], Sequence[float]] | None = None
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict[str, Sequence[Any]])

    def __post_init__(self) -> None:
        for name, values in self.columns.items():
            if len(values) != len(self.names):
                raise ConfigError(
                    f"images: the column '{name}' has {len(values)} values for"
                    f" {len(self.names)} images; give one for each"
                )

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        height, width = self.size
        columns = f"; columns {', '.join(self.columns)}" if self.columns else ""
        names = listed(self.names, 3, last=", ")
        return f"ImageSet({len(self)} images of {height} x {width}: {names}{columns})"

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

    def subset(self, indices: Sequence[int]) -> ImageSet:
        """Return the images at some indices, in their order; all of them are this set itself."""
        if [*indices] == [*range(len(self))]:
            return self
        kept = list(indices)
        chosen = [" ".join(map(str, kept)).encode()]
        identity = digest_list([str(self.settings.get("images"))], chosen)
        return replace(
            self,
            names=[self.names[index] for index in kept],
            settings=self.settings | {"images": identity},
            load=lambda index: self.load(kept[index]),
            digest=lambda index: self.digest(kept[index]),
            like=None if self.like is None else digest_list([self.like], chosen),
            columns={name: [v[index] for index in kept] for name, v in self.columns.items()},
        )


def folder(
    preprocessing: Preprocessing,
    *,
    root: str,
    resize: int | str | None = "default",
    crop: Crop = "default",
    upright: bool = False,
    limit: int | None = None,
    seed: int | None = None,
) -> ImageSet:
    """Return the pictures below a folder, sorted by path.

    They are the files that torchvision's ``ImageFolder`` finds, by their endings (``PICTURES``),
    and are read as by its ``default_loader``, except for 16 bits; see ``decode_picture``.

    Args:
        preprocessing: resizing, center crop and normalization.
        resize: length of the short side in pixels; ``None`` for no resizing.
        crop: side of the center crop in pixels, or its height and width.
        root: the folder; subfolders are searched too.
        upright: whether pictures are rotated according to their EXIF data.
        limit: number of pictures to keep, from the first; or a random choice with a ``seed``.
        seed: of that choice.

    Raises:
        ConfigError: the folder is missing or holds no picture.
    """
    preprocessing = fitted(preprocessing, resize, crop)
    top = existing_folder(root)
    found = not_hidden(files_below(top), top)
    paths = sorted(path for path in found if path.suffix.lower() in PICTURES)
    left_out = tell_left_out(found, PICTURES)
    if not paths:
        kinds = ", ".join(PICTURES)
        raise ConfigError(f"images.root: '{root}' holds no picture ending in {kinds}{left_out}")
    names = [paths[n].relative_to(top).as_posix() for n in kept_indices(len(paths), limit, seed)]
    check_names("images.root", names)
    return picture_files("folder", preprocessing, names, [top / name for name in names], upright)


def picture_files(
    kind: str,
    preprocessing: Preprocessing,
    names: Sequence[str],
    paths: Sequence[Path],
    upright: bool = False,
) -> ImageSet:
    """Return files of pictures as an image set, known by names, stamps and contents.

    Args:
        kind: name of the kind of image set.
        preprocessing: resizing, center crop and normalization.
        names: one per picture.
        paths: their files.
        upright: whether pictures are rotated according to their EXIF data.
    """
    files = ImageFiles(
        paths, lambda content: preprocessing(decode_picture(content, upright=upright))
    )
    like, stamps = files.stamps(names)
    settings: dict[str, Any] = {
        "kind": kind,
        "preprocessing": preprocessing.settings(),
        "formats": list(FORMATS),  # what is readable, and so counts, depends on them
        "images": stamps,
    }
    if upright:
        settings["upright"] = True
    scale_back = (preprocessing.mean, preprocessing.std)
    size = preprocessing.input_size
    return ImageSet(names, size, settings, files.load, files.digest, like, scale_back)


def fitted(preprocessing: Preprocessing, resize: int | str | None, crop: Crop) -> Preprocessing:
    """Return the preprocessing with another size of pictures, which must cover the crop.

    Raises:
        ConfigError: it does not, or a size is wrong.
    """
    preprocessing = preprocessing.sized(resize, crop)
    preprocessing.check_pictures()
    if preprocessing.resize is not None and preprocessing.resize < min(preprocessing.input_size):
        raise ConfigError(
            f"images.resize: {preprocessing.resize} is smaller than the crop of"
            f" {min(preprocessing.input_size)}; raise images.resize or lower images.crop"
        )
    return preprocessing


def arrays(
    preprocessing: Preprocessing,
    *,
    root: str,
    limit: int | None = None,
    seed: int | None = None,
) -> ImageSet:
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
    found.sort(key=partial(natural_order, number=WHOLE))
    if not found:
        raise ConfigError(f"images.root: '{root}' holds no array ending in .npy")
    names = [found[index] for index in kept_indices(len(found), limit, seed)]
    check_names("images.root", names)
    size = _first_size(top, names, channels)

    files = ImageFiles(
        [top / name for name in names], partial(decode_array, size=(channels, *size))
    )
    like, stamps = files.stamps(names)
    settings: dict[str, Any] = {"kind": "arrays", "size": list(size), "images": stamps}
    if channels != 3:
        settings["channels"] = channels
    return ImageSet(names, size, settings, files.load, files.digest, like)


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
