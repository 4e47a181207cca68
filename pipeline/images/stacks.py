"""The image set of a stack: all images in one array, of pixels or of network input."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor

from pipeline.errors import ConfigError, ImageError
from pipeline.images.array_files import ImageArray, open_array, stamp_line
from pipeline.images.axes import Axes, find_axes
from pipeline.images.batches import spread
from pipeline.images.files import UNREADABLE, Loaded, content_digest, digest_list
from pipeline.images.image_sets import ImageSet, fitted
from pipeline.images.preprocessing import Crop, Preprocessing
from pipeline.images.subsets import check_names, kept_indices

log = logging.getLogger(__name__)
VALUES = ("pixels", "input")
LOOKED_AT = 64  # images, to tell network input by its negative values


def stack(
    preprocessing: Preprocessing,
    *,
    file: str,
    array: str | None = None,
    names: str | None = None,
    columns: Sequence[str] = (),
    channels: str | None = None,
    values: str | None = None,
    resize: int | str | None = "default",
    crop: Crop = "default",
    limit: int | None = None,
    seed: int | None = None,
) -> ImageSet:
    """Return the images of an array in an ``.npy`` or ``.npz`` file.

    Bytes are pixels, which are resized, cropped and normalized as pictures are. Floats are pixels
    in 0..1, treated likewise, or network input, taken as it is.

    Args:
        preprocessing: resizing, center crop and normalization of pixels.
        file: the file.
        array: name of the array in an ``.npz``; ``None``: the only one with 3 or 4 axes.
        names: array of an ``.npz`` that holds the images' names; ``None``: their numbers, from 0.
        columns: arrays of an ``.npz`` with one value per image, which are carried into tables.
        channels: where the channels are: ``first`` (images x channels x height x width), ``last``
            (images x height x width x channels), or ``none`` (images x height x width, gray);
            ``None``: by the shape, if it leaves no choice.
        values: what floats are, ``pixels`` in 0..1 or ``input``; ``None``: network input if some
            are negative, which is logged, and else an error.
        resize: length of the short side in pixels; ``None`` for no resizing.
        crop: side of the center crop in pixels.
        limit: number of images to keep, from the first; or a random choice with a ``seed``.
        seed: of that choice.

    Raises:
        ConfigError: the file has no such array, or its shape or its values can be read in two ways.
    """
    found = open_array(file, array)
    how = Reading(names, columns, channels, values)
    kept = kept_indices(found.shape[0] if found.shape else 0, limit, seed)
    return image_array("stack", found, how, (preprocessing, resize, crop), kept)


@dataclass(frozen=True)
class Reading:
    """How an array of images is read; see ``stack``."""

    names: str | None = None
    columns: Sequence[str] = ()
    channels: str | None = None
    values: str | None = None


def image_array(
    kind: str,
    array: ImageArray,
    how: Reading,
    fit: tuple[Preprocessing, int | str | None, Crop],
    kept: Sequence[int],
) -> ImageSet:
    """Return an array of images in a file as an image set, known by stamp and contents.

    Args:
        kind: name of the kind of image set.
        array: the array.
        how: how it is read.
        fit: preprocessing of the network, and its changes of ``resize`` and ``crop``.
        kept: indices of the images that are used.

    Raises:
        ConfigError: its shape or its values can be read in two ways, or in none.
    """
    values = _values(array, how.values)
    axes = find_axes(array.shape, how.channels, len(fit[0].mean), values, f"'{array.path}'")
    preprocessing = fitted(*fit)
    if values == "input" and fit[1:] != ("default", "default"):
        raise ConfigError(
            "images.resize, images.crop: network input is taken as it is; leave them, or give"
            " images.values=pixels"
        )
    names, columns = _descriptions(array, how, kept)
    images = _Images(array, [*kept], axes, values, preprocessing)
    given = [f"{array.shape} {array.dtype.str} {[*kept]}\n".encode()]
    settings = {
        "kind": kind,
        "preprocessing": preprocessing.settings(),
        "values": values,
        "channels": axes.channels,
        "images": digest_list(names, [*given, stamp_line(array.path), array.name.encode()]),
    }
    size, like = preprocessing.input_size, digest_list(names, given)
    scale = None if values == "input" else (preprocessing.mean, preprocessing.std)
    size = axes.size if values == "input" else size
    return ImageSet(names, size, settings, images.load, images.digest, like, scale, columns)


@dataclass(frozen=True)
class _Images:
    array: ImageArray
    kept: Sequence[int]
    axes: Axes
    values: str
    preprocessing: Preprocessing

    def load(self, index: int) -> Loaded:
        """Return one image and the digest of its numbers."""
        found = self.array.read(self.kept[index])
        return Loaded(self._decoded(found), content_digest(found.tobytes()))

    def digest(self, index: int) -> int:
        """Return the digest of one image's numbers."""
        try:
            return content_digest(self.array.read(self.kept[index]).tobytes())
        except ImageError:
            return UNREADABLE

    def _decoded(self, found: np.ndarray) -> Float[Tensor, "c height width"]:
        given = self.axes.channels_first(found)
        with np.errstate(over="ignore"):
            plain = np.array(given, np.uint8 if given.dtype == np.uint8 else np.float32, order="C")
        if not np.isfinite(plain).all():
            raise ImageError("holds values that are not finite")
        if self.values == "input":
            return torch.from_numpy(plain)
        if plain.dtype != np.uint8 and (plain.min() < 0 or plain.max() > 1):
            raise ImageError(
                f"has values from {plain.min():g} to {plain.max():g}, and pixels are in 0..1;"
                " divide them, or give images.values=input"
            )
        return self.preprocessing(_in_color(torch.from_numpy(plain), len(self.preprocessing.mean)))


def _in_color(
    picture: Num[Tensor, "given height width"], channels: int
) -> Num[Tensor, "c height width"]:
    """Return a gray picture with three equal channels for a network of three."""
    return picture.expand(3, -1, -1) if (len(picture), channels) == (1, 3) else picture


def _values(array: ImageArray, wanted: str | None) -> str:
    """Return what the numbers of an array are: ``pixels`` or ``input``."""
    if wanted not in (None, *VALUES):
        raise ConfigError(f"images.values: '{wanted}' is not null, pixels or input")
    if array.dtype == np.uint8:
        if wanted == "input":
            raise ConfigError(
                f"images.values: the bytes of '{array.path}' are pixels; leave it out, or save"
                " network input as float32"
            )
        return "pixels"
    if array.dtype.kind != "f":
        raise ConfigError(
            f"images.file: the images of '{array.path}' are {array.dtype}, neither uint8 pixels nor"
            " floats; convert them"
        )
    if wanted is None and len(array.shape) in (3, 4) and array.shape[0]:
        return _told_by_values(array)
    return wanted or "pixels"


def _told_by_values(array: ImageArray) -> str:
    seen = [array.read(index) for index in spread(array.shape[0], LOOKED_AT)]
    low, high = (float(least([least(one) for one in seen])) for least in (np.min, np.max))
    if low < 0:
        log.info(
            "images: the floats of '%s' go from %.3g to %.3g, so they are taken as network input,"
            " unchanged (images.values=input)",
            array.path,
            low,
            high,
        )
        return "input"
    raise ConfigError(
        f"images.values: the floats of '{array.path}' go from {low:.3g} to {high:.3g} and could be"
        " pixels or network input; give images.values=pixels for pixels in 0..1, or"
        " images.values=input"
    )


def _descriptions(
    array: ImageArray, how: Reading, kept: Sequence[int]
) -> tuple[list[str], Mapping[str, list[Any]]]:
    """Return the names of images, and the columns that describe them."""
    names = [str(index) for index in kept]
    if how.names is not None:
        whole = _per_image(array, how.names, "images.names")
        names = [str(whole[index]) for index in kept]
        check_names("images.names", names)
        if len({*names}) < len(names):
            twice = next(name for n, name in enumerate(names) if name in names[:n])
            raise ConfigError(
                f"images.names: '{how.names}' of '{array.path}' names two images '{twice}'; give"
                " each a name of its own"
            )
    columns: dict[str, list[Any]] = {}
    for column in how.columns:
        whole = _per_image(array, column, "images.columns")
        columns[column] = [whole[index] for index in kept]
    return names, columns


def _per_image(array: ImageArray, name: str, key: str) -> list[Any]:
    found, count = array.beside(name, key), array.shape[0]
    if found.shape != (count,) or found.dtype.kind not in "biufUS":
        shape = " x ".join(map(str, found.shape)) or "a single value"
        raise ConfigError(
            f"{key}: '{name}' of '{array.path}' is {found.dtype} of {shape}, not numbers or text"
            f" for each of {count} images"
        )
    if found.dtype.kind == "S":
        return [value.decode("utf-8", "backslashreplace") for value in found.tolist()]
    return found.tolist()
