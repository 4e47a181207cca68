from __future__ import annotations

import pytest
import torch

from pipeline.errors import ImageError
from pipeline.images.batches import load_batch, split
from pipeline.images.files import Loaded
from pipeline.images.image_sets import ImageSet


def numbered(count: int, bad: set[int]) -> ImageSet:
    def load(index: int) -> Loaded:
        if index in bad:
            raise ImageError("is broken")
        return Loaded(torch.full((3, 2, 2), float(index)), index)

    return ImageSet(
        [f"{n}.png" for n in range(count)], (2, 2), {}, load, lambda index: 1000 + index
    )


@pytest.mark.parametrize("size", [1, 3, 11, 20])
def test_every_image_comes_once_with_its_index_and_bad_ones_are_named(size: int):
    images = numbered(11, {3, 4, 5})
    seen: dict[int, float] = {}
    unreadable: dict[str, str] = {}
    for indices in split(11, size):
        batch = load_batch(images, indices)
        assert len(batch.indices) + len(batch.unreadable) == len(indices) <= size
        unreadable |= batch.unreadable
        digests = [index + 1000 * (index in {3, 4, 5}) for index in indices]
        assert batch.digests.tolist() == digests
        for index, image in zip(batch.indices.tolist(), batch.images, strict=True):
            seen[index] = image[0, 0, 0].item()
    assert seen == {n: float(n) for n in range(11) if n not in {3, 4, 5}}
    assert unreadable == {f"{n}.png": "is broken" for n in (3, 4, 5)}


def test_order_is_kept():
    order = [4, 0, 2]
    assert load_batch(numbered(5, set()), order).indices.tolist() == order
