from __future__ import annotations

import numpy as np

from pipeline.images.bundled import FILES, bundled_photographs


def test_all_photographs_are_rgb_and_large_enough_for_a_crop():
    photographs = bundled_photographs()
    assert len(photographs) == len(FILES)
    for picture in photographs.values():
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        assert min(picture.shape[:2]) >= 300
