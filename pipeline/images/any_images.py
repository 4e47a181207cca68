"""Images in any form (a folder, files, pictures, arrays or tensors) as an image set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from pipeline.errors import ImageError
from pipeline.images.files import ImageFiles, Loaded, decode_picture, digest_list
from pipeline.images.image_sets import ImageSet, folder
from pipeline.images.preprocessing import Preprocessing

KINDS = (
    "give a folder, paths of pictures, PIL pictures, uint8 pixels [images, height, width, channels]"
    " or float network input [images, channels, height, width]"
)


def as_image_set(images: Any, preprocessing: Preprocessing) -> ImageSet:
    """Return images of any kind as an image set for a network.

    Args:
        images: an ``ImageSet``; a folder; one path or several; one PIL picture or several; uint8
            pixels ``[images, height, width, channels]``, an array or a tensor, which are resized
            and cropped as the network expects; or float network input ``[images, channels, height,
            width]``, which is used unchanged.
        preprocessing: preprocessing of the network.

    Raises:
        ImageError: they are in none of these forms.
        ConfigError: there is no such folder, or it holds no picture.

    >>> from pipeline.images.preprocessing import Preprocessing
    >>> small = Preprocessing(None, 8, mean=(0.5,), std=(0.5,))
    >>> len(as_image_set(torch.zeros(5, 1, 8, 8), small))
    5
    """
    if isinstance(images, ImageSet):
        return images
    if isinstance(images, str | Path) and Path(images).expanduser().is_dir():
        return folder(preprocessing, root=str(images))
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(np.ascontiguousarray(images))
    if isinstance(images, Tensor):
        return _of_tensor(images, preprocessing)
    given: list[Any] = list(images) if isinstance(images, list | tuple) else [images]
    if given and all(isinstance(each, str | Path) for each in given):
        return _of_files([Path(each).expanduser() for each in given], preprocessing)
    if given and all(isinstance(each, Image.Image) for each in given):
        return _of_pictures(given, preprocessing)
    if given and all(isinstance(each, Tensor | np.ndarray) for each in given):
        return _of_tensor(torch.stack([torch.as_tensor(each) for each in given]), preprocessing)
    raise ImageError(f"images: {type(images).__name__} is no kind of images; {KINDS}")


def _of_tensor(images: Tensor, preprocessing: Preprocessing) -> ImageSet:
    channels = len(preprocessing.mean)
    if images.ndim != 4 or not len(images):
        raise ImageError(f"images: shape {tuple(images.shape)} is not that of images; {KINDS}")
    if images.dtype == torch.uint8:
        if images.shape[3] != channels:
            raise ImageError(
                f"images: pixels of {images.shape[3]} channels do not fit a network of {channels};"
                f" {KINDS}"
            )
        pixels = images.permute(0, 3, 1, 2)
        return _in_memory(len(images), lambda n: preprocessing(pixels[n]), preprocessing, pixels)
    if not images.is_floating_point() or images.shape[1] != channels:
        raise ImageError(
            f"images: {images.dtype} of shape {tuple(images.shape)} is no network input of"
            f" {channels} channels; {KINDS}"
        )
    return _in_memory(len(images), lambda n: images[n].float(), preprocessing, images)


def _of_pictures(pictures: Sequence[Image.Image], preprocessing: Preprocessing) -> ImageSet:
    mode = {1: "L", 3: "RGB", 4: "RGBA"}.get(len(preprocessing.mean))
    if mode is None:
        raise ImageError(f"images: pictures have no {len(preprocessing.mean)} channels; {KINDS}")

    def pixels(number: int) -> UInt8[Tensor, "c height width"]:
        array = np.array(pictures[number].convert(mode))
        return torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1)

    return _in_memory(len(pictures), lambda number: preprocessing(pixels(number)), preprocessing)


def _of_files(paths: Sequence[Path], preprocessing: Preprocessing) -> ImageSet:
    names = [str(path) for path in paths]
    for path in paths:
        if not path.is_file():
            raise ImageError(f"images: there is no file '{path}'; {KINDS}")
    files = ImageFiles(paths, lambda content: preprocessing(decode_picture(content)))
    like, stamps = files.stamps(names)
    settings = {"kind": "files", "preprocessing": preprocessing.settings(), "images": stamps}
    scale = (preprocessing.mean, preprocessing.std)
    size = preprocessing.input_size
    return ImageSet(names, size, settings, files.load, files.digest, like, scale)


def _in_memory(
    count: int,
    image: Callable[[int], Float[Tensor, "c height width"]],
    preprocessing: Preprocessing,
    contents: Tensor | None = None,
) -> ImageSet:
    names = [str(number) for number in range(count)]
    height, width = image(0).shape[1:]
    held = [] if contents is None else [contents.contiguous().cpu().numpy().tobytes()]
    settings = {
        "kind": "memory",
        "preprocessing": preprocessing.settings(),
        "images": digest_list(names, held),
    }
    scale = (preprocessing.mean, preprocessing.std)
    return ImageSet(
        names, (height, width), settings, lambda n: Loaded(image(n), 0), pixel_scale=scale
    )
