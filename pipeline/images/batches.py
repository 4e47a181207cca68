"""Batches of an image set, decoded in worker processes, with unreadable images set aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline.errors import ImageError
from pipeline.images.image_sets import ImageSet


class Batch(NamedTuple):
    """Images with their indices in the set, and the reasons why others could not be read."""

    indices: Int[Tensor, " batch"]
    images: Float[Tensor, "batch 3 height width"]
    unreadable: dict[str, str]


class _Items(Dataset[tuple[int, Tensor | str]]):
    def __init__(self, images: ImageSet, order: Sequence[int]) -> None:
        self.images = images
        self.order = order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, item: int) -> tuple[int, Tensor | str]:
        index = self.order[item]
        try:
            return index, self.images.load(index)
        except ImageError as error:
            return index, str(error)


class _Collate:
    def __init__(self, images: ImageSet) -> None:
        self.names = images.names
        self.size = images.size

    def __call__(self, items: list[tuple[int, Tensor | str]]) -> Batch:
        good = [(index, item) for index, item in items if isinstance(item, Tensor)]
        bad = {self.names[index]: item for index, item in items if isinstance(item, str)}
        stacked = [image for _, image in good] or [torch.empty(0, 3, *self.size)]
        images = torch.stack(stacked) if good else stacked[0]
        return Batch(torch.tensor([index for index, _ in good], dtype=torch.int64), images, bad)


def batches(
    images: ImageSet, batch_size: int, workers: int = 0, order: Sequence[int] | None = None
) -> Iterator[Batch]:
    """Yield the images of a set, ``batch_size`` at a time.

    Args:
        images: the set.
        batch_size: images in a batch, unreadable ones included.
        workers: processes that decode; used only where decoding is worth sharing.
        order: indices in the order wanted; all from the first by default.
    """
    items = _Items(images, range(len(images)) if order is None else order)
    yield from DataLoader(
        items,
        batch_size=batch_size,
        num_workers=workers if images.decoding else 0,
        collate_fn=_Collate(images),
    )
