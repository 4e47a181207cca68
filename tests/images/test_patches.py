from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.images.patches import cut_patch


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(-15, 15),
    st.integers(-15, 15),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_every_pixel_of_a_patch_is_the_images_or_zero_outside(
    height: int, width: int, top: int, left: int, rows: int, columns: int
):
    image = torch.arange(1.0, 3 * height * width + 1).reshape(3, height, width)
    patch = cut_patch(image, (top, left, top + rows, left + columns))
    assert patch.shape == (3, rows, columns)
    for row in range(rows):
        for column in range(columns):
            y, x = top + row, left + column
            inside = 0 <= y < height and 0 <= x < width
            expected = image[:, y, x] if inside else torch.zeros(3)
            assert torch.equal(patch[:, row, column], expected)


def test_patch_shares_no_memory_with_the_image():
    image = torch.ones(3, 4, 4)
    cut_patch(image, (0, 0, 4, 4)).zero_()
    assert image.min() == 1
