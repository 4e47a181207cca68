"""Images of one network as input of another: its channels, its normalization, its size."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from pipeline.errors import ImageError
from pipeline.images.patches import cut_patch
from pipeline.images.preprocessing import Preprocessing

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R 601


def converted(
    images: Float[Tensor, "n given height width"], source: Preprocessing, target: Preprocessing
) -> Float[Tensor, "n wanted height width"]:
    """Return network input of one network as network input of another: the same pixels.

    Nothing is clipped: the pixels of an optimized image may lie outside 0..1. Color becomes gray
    by its luminance (ITU-R 601), and gray becomes color in equal channels.

    Args:
        images: in the network-input space of ``source``.
        source: preprocessing of the network that the images are for.
        target: preprocessing of the network that shall see them.

    Raises:
        ImageError: one network takes colors that the other does not know.
    """
    given, wanted = len(source.mean), len(target.mean)
    if source.mean == target.mean and source.std == target.std:
        return images
    pixels = source.pixels(images)
    if given == 3 and wanted == 1:
        weights = pixels.new_tensor(LUMINANCE)
        pixels = (pixels * weights[:, None, None]).sum(1, keepdim=True)
    elif given == 1:
        pixels = pixels.expand(-1, wanted, -1, -1)
    elif given != wanted:
        raise ImageError(
            f"images: {given} channels cannot be shown to a network of {wanted}; only gray and RGB"
            " are converted into each other"
        )
    return target.normalize(pixels)


def on_gray(
    images: Float[Tensor, "n c height width"],
    size: tuple[int, int],
    center: tuple[float, float] | None = None,
) -> Float[Tensor, "n c rows columns"]:
    """Return images on zeros of some size (the gray of network-input space), or cut to it.

    Args:
        images: network input.
        size: height and width of the result.
        center: where the centers of the images lie, in pixels from the upper left corner of the
            result; its own center by default. Halves of a pixel are rounded up and left.

    >>> on_gray(torch.ones(1, 1, 1, 2), (3, 4))[0, 0, 1].tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    height, width = images.shape[2:]
    down, right = center or (size[0] / 2, size[1] / 2)
    top, left = -int(-(height / 2 - down) // 1), -int(-(width / 2 - right) // 1)
    box = (top, left, top + size[0], left + size[1])
    return torch.stack([cut_patch(image, box) for image in images])


def rescaled(
    images: Float[Tensor, "n c height width"], size: tuple[int, int]
) -> Float[Tensor, "n c rows columns"]:
    """Return images resized to a height and width: bilinear, antialiased."""
    if tuple(images.shape[2:]) == size:
        return images
    return interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
