"""Batches of an image set, with unreadable images set aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import ImageError, TransientError
from pipeline.images.image_sets import ImageSet
from pipeline.images.patches import centered


class Batch(NamedTuple):
    """Images with their indices in the set, and the reasons why others could not be read.

    ``digests`` are those of all images of the batch, readable or not.
    """

    indices: Int[Tensor, " batch"]
    images: Float[Tensor, "batch c height width"]
    digests: Int[Tensor, " asked"]
    unreadable: dict[str, str]


def split(count: int, batch_size: int) -> list[range]:
    """Return the indices of ``count`` images in order, ``batch_size`` at a time."""
    return [range(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]


def spread(count: int, wanted: int) -> list[int]:
    """Return some evenly spaced indices of ``count`` things."""
    some = min(count, wanted)
    return [number * count // some for number in range(some)]


def load_batch(images: ImageSet, indices: Sequence[int]) -> Batch:
    """Return some images of a set; those that cannot be read are named, with the reason.

    Raises:
        TransientError: one cannot be read now, but perhaps later.
    """
    good: dict[int, Tensor] = {}
    digests: list[int] = []
    unreadable: dict[str, str] = {}
    for index in indices:
        try:
            image, digest = images.load(index)
            if not image.isfinite().all():
                raise ImageError("holds values that are not finite")
            good[index] = image
        except TransientError as error:
            raise TransientError(f"images: '{images.names[index]}' {error}") from error
        except ImageError as error:
            unreadable[images.names[index]] = str(error)
            digest = images.digest(index)
        digests.append(digest)
    loaded = torch.stack([*good.values()]) if good else torch.empty(0, 3, *images.size)
    read, all_digests = (torch.tensor(x, dtype=torch.int64) for x in ([*good], digests))
    return Batch(read, loaded, all_digests, unreadable)


def none_usable(unreadable: Mapping[str, str]) -> ImageError:
    """Return the error of images that are all unreadable, given the reasons by name."""
    name, reason = next(iter(unreadable.items()))
    return ImageError(f"images: none can be used; the first is '{name}', which {reason}")


def sample(
    images: ImageSet, size: tuple[int, int], count: int
) -> Float[Tensor, "pictures c height width"]:
    """Return evenly spaced images of a set, as network input cropped to a size.

    Images that cannot be read are left out.

    Raises:
        ImageError: none can be read.
    """
    loaded = load_batch(images, spread(len(images), count))
    if not len(loaded.images):
        name, reason = next(iter(loaded.unreadable.items()))
        raise ImageError(
            f"images: none of {count} can be used; the first is '{name}', which {reason}"
        )
    return torch.stack([centered(image, size) for image in loaded.images])
