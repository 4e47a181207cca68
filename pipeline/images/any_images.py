"""Images in any form (folders, files, tables, pictures, arrays, tensors) as an image set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from pipeline.errors import ConfigError, ImageError
from pipeline.images import lists
from pipeline.images.dataset import dataset_images
from pipeline.images.files import Loaded, digest_list
from pipeline.images.hdf5 import hdf5
from pipeline.images.image_sets import ImageSet, folder, picture_files
from pipeline.images.listings import listing_of
from pipeline.images.preprocessing import Preprocessing
from pipeline.images.several import joined
from pipeline.images.stacks import stack

KINDS = (
    "give a folder, paths of pictures, PIL pictures, uint8 pixels [images, height, width, channels]"
    ", float network input [images, channels, height, width] or a torch Dataset"
)
# What files that hold many images are, by their endings.
FILES: dict[str, Callable[..., ImageSet]] = {
    ".csv": lists.list,
    ".tsv": lists.list,
    ".npy": stack,
    ".npz": stack,
    ".h5": hdf5,
    ".hdf5": hdf5,
}


def as_image_set(images: Any, preprocessing: Preprocessing) -> ImageSet:
    """Return images of any kind as an image set for a network.

    Args:
        images: an ``ImageSet``; a folder; one path or several of pictures; a file of many images
            (a ``.csv`` or ``.tsv`` list, an ``.npy`` or ``.npz`` stack, or HDF5, ``.h5``); a
            DataFrame with a column of paths, whose other columns are those of the images; one PIL
            picture or several; uint8 pixels ``[images, height, width, channels]``, an array or a
            tensor, which are resized and cropped as the network wants it; or float network input
            ``[images, channels, height, width]``, which is taken as it is. Arrays and tensors may
            be lists of one per image; those of pixels may differ in size. Pictures are read in gray
            for a network of one channel. A dictionary of any of these by name, or a list of image
            sets, is several sets at once. Or a ``torch.utils.data.Dataset``, or
            one of Hugging Face, of pictures (``dataset_images``).
        preprocessing: of the network.

    Raises:
        ImageError: they are in none of these forms.
        ConfigError: there is no such folder or file, or it holds no picture.

    >>> from pipeline.images.preprocessing import Preprocessing
    >>> small = Preprocessing(None, 8, mean=(0.5,), std=(0.5,))
    >>> len(as_image_set(torch.zeros(5, 1, 8, 8), small))
    5
    """
    if isinstance(images, ImageSet):
        return images
    if isinstance(images, Dataset) or type(images).__module__ == "datasets.arrow_dataset":
        return dataset_images(images, preprocessing)
    if isinstance(images, pd.DataFrame):
        return lists.of_listing("list", preprocessing, listing_of(plain_columns(images)))
    if isinstance(images, str | Path) and (kind := kind_of_file(images)) is not None:
        return kind(preprocessing)
    if isinstance(images, Tensor | np.ndarray):
        return _of_tensors(plain_tensor("images", images), preprocessing)
    sets = _named_sets(images)
    if sets:
        made = {name: as_image_set(each, preprocessing) for name, each in sets.items()}
        return joined(made, preprocessing)
    given: list[Any] = list(images) if isinstance(images, list | tuple) else [images]
    if given and all(isinstance(each, str | Path) for each in given):
        return _of_files([Path(each).expanduser() for each in given], preprocessing)
    if given and all(isinstance(each, Image.Image) for each in given):
        return _of_pictures(given, preprocessing)
    if given and all(isinstance(each, Tensor | np.ndarray) for each in given):
        return _of_tensors([plain_tensor("images", each) for each in given], preprocessing)
    raise ImageError(f"images: {type(images).__name__} is no kind of images; {KINDS}")


def kind_of_file(path: str | Path) -> Callable[..., ImageSet] | None:
    """Return the kind of image set that a folder or a file is; ``None`` for one picture.

    It takes the preprocessing and the settings of its kind.
    """
    if Path(path).expanduser().is_dir():
        return partial(folder, root=str(path))
    kind = FILES.get(Path(path).suffix.lower())
    return None if kind is None else partial(kind, file=str(path))


def plain_columns(table: pd.DataFrame) -> dict[Any, list[Any]]:
    """Return the columns of a table with values of Python; missing ones but floats are ``None``.

    Raises:
        ConfigError: two columns have one name.
    """
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise ConfigError(f"images: the table has two columns '{twice}'; rename one of them")

    def plain(values: Any) -> list[Any]:
        if pd.api.types.is_float_dtype(values.dtype):
            return values.tolist()
        return [None if pd.isna(value) else value for value in values.tolist()]

    return {name: plain(values) for name, values in table.items()}


def _named_sets(images: Any) -> dict[str, Any]:
    """Return several image sets by name, if that is what images are."""
    if isinstance(images, Mapping):
        return {str(name): each for name, each in images.items()}
    if isinstance(images, list | tuple) and any(isinstance(each, ImageSet) for each in images):
        return {str(number): each for number, each in enumerate(images)}
    return {}


def plain_tensor(key: str, numbers: Tensor | np.ndarray) -> Tensor:
    """Return numbers as a dense tensor without a gradient, whatever holds them.

    Args:
        key: of the argument, for messages.
        numbers: an array of any order of bytes and axes, or a tensor.

    Raises:
        ImageError: they are no numbers.
    """
    if isinstance(numbers, Tensor):
        return numbers.detach().to_dense()
    native = np.require(numbers, numbers.dtype.newbyteorder("="), ["C", "W"])
    try:  # an axis of length 1 may keep a negative stride, which PyTorch does not take
        return torch.from_numpy(native.copy() if min(native.strides, default=0) < 0 else native)
    except TypeError as error:
        raise ImageError(f"{key}: an array of {numbers.dtype} is no array of images") from error


def finite_floats(key: str, images: Tensor | Sequence[Tensor]) -> Float[Tensor, "images *_"]:
    """Return images of one size as one float32 tensor.

    Raises:
        ImageError: they differ in size, or one of them holds NaN or an infinite number.
    """
    if len({tuple(image.shape) for image in images}) > 1:
        sizes = list(dict.fromkeys(str(tuple(image.shape)) for image in images))
        raise ImageError(
            f"{key}: network input of shapes {sizes[0]} and {sizes[1]} is not of one size; resize"
            " it, or give uint8 pixels or pictures, which the network's preprocessing resizes"
        )
    whole = images if isinstance(images, Tensor) else torch.stack([*images])
    whole = whole.float()
    wrong = (~whole.isfinite().flatten(1).all(1)).nonzero()
    if len(wrong):
        raise ImageError(f"{key}: image {int(wrong[0, 0])} holds values that are not finite")
    return whole


def _of_tensors(images: Tensor | Sequence[Tensor], preprocessing: Preprocessing) -> ImageSet:
    """Return images, of which a sequence is not empty, as an image set."""
    channels = len(preprocessing.mean)
    shape = tuple(images.shape if isinstance(images, Tensor) else (len(images), *images[0].shape))
    if len(shape) != 4 or not shape[0] or any(image.ndim != 3 for image in images):
        raise ImageError(f"images: shape {shape} is not that of images; {KINDS}")
    kinds = {image.dtype for image in images}
    if kinds == {torch.uint8}:
        if wrong := [image.shape[2] for image in images if image.shape[2] != channels]:
            raise ImageError(
                f"images: pixels of {wrong[0]} channels do not fit a network of {channels}; {KINDS}"
            )
        pixels = [image.permute(2, 0, 1) for image in images]
        return _in_memory(len(images), lambda n: preprocessing(pixels[n]), preprocessing, pixels)
    if not all(kind.is_floating_point for kind in kinds) or images[0].shape[0] != channels:
        kind = str(images[0].dtype).removeprefix("torch.")
        raise ImageError(
            f"images: {kind} of shape {shape} is no network input of {channels} channels; {KINDS}"
        )
    whole = finite_floats("images", images)
    size = (whole.shape[2], whole.shape[3])
    return _in_memory(len(images), lambda n: whole[n], preprocessing, [whole], size)


def _of_pictures(pictures: Sequence[Image.Image], preprocessing: Preprocessing) -> ImageSet:
    def image(number: int) -> Float[Tensor, "c height width"]:
        picture = pictures[number]
        opacity = len(preprocessing.mean) == 4 and picture.has_transparency_data
        array = np.array(picture.convert("RGBA" if opacity else "RGB"))
        return preprocessing(torch.from_numpy(array).permute(2, 0, 1))

    return _in_memory(len(pictures), image, preprocessing)


def _of_files(paths: Sequence[Path], preprocessing: Preprocessing) -> ImageSet:
    names = [str(path) for path in paths]
    for path in paths:
        if not path.is_file():
            raise ImageError(f"images: there is no file '{path}'; {KINDS}")
    return picture_files("files", preprocessing, names, paths)


def _in_memory(
    count: int,
    image: Callable[[int], Float[Tensor, "c height width"]],
    preprocessing: Preprocessing,
    contents: Sequence[Tensor] = (),
    size: tuple[int, int] | None = None,
) -> ImageSet:
    names = [str(number) for number in range(count)]
    held = [each.contiguous().cpu().numpy().tobytes() for each in contents]
    settings = {
        "kind": "memory",
        "preprocessing": preprocessing.settings(),
        "images": digest_list(names, held),
    }
    scale = (preprocessing.mean, preprocessing.std)
    return ImageSet(
        names,
        size or preprocessing.input_size,
        settings,
        lambda n: Loaded(image(n), 0),
        pixel_scale=scale,
    )
