from __future__ import annotations

import pytest

from pipeline.run.image_blocks import block_images


@pytest.mark.parametrize(
    ("total", "batch_size", "size"),
    [(1, 16, 64), (500, 16, 64), (8192, 16, 64), (8193, 16, 80), (50_000, 16, 400), (100, 7, 70)],
)
def test_blocks_are_whole_batches_and_not_too_many(total, batch_size, size):
    assert block_images(total, batch_size) == size
