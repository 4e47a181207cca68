"""Every unit's thumbnail lies where the sheet says."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from pipeline.pages.thumbnails import SIDE, Sheet, thumbnail
from pipeline.pages.unit_images import UnitImage


def flat_sheet(units: int, height: int, width: int) -> Sheet:
    """Return a sheet of plain colors, one a unit."""
    panel = UnitImage(
        "climbed from zeros", "zeros", 0, "image", np.zeros((1, 1, 3), np.uint8), 0.0, 1.0
    )
    tiles = {
        7 * unit: (np.full((height, width, 3), 20 * unit, np.uint8), -unit / 2, unit + 1.0)
        for unit in range(units)
    }
    return Sheet(panel, tiles)


@pytest.mark.parametrize(("units", "height", "width"), [(1, 11, 11), (7, 64, 33), (10, 5, 9)])
def test_tiles_lie_row_by_row(units: int, height: int, width: int):
    data = flat_sheet(units, height, width).data()
    content = base64.b64decode(data["url"].partition(",")[2])
    sheet = np.asarray(Image.open(io.BytesIO(content))).astype(int)
    assert sheet.shape[:2] == (data["sheet"]["height"], data["sheet"]["width"])
    assert data["units"] == [7 * unit for unit in range(units)]
    for index in range(units):
        row, column = divmod(index, data["columns"])
        top, left = row * data["down"], column * data["across"]
        tile = sheet[top : top + height, left : left + width]
        assert np.abs(tile - 20 * index).max() <= 2
        assert (data["low"][index], data["high"][index]) == (-index / 2, index + 1.0)


def test_thumbnails_are_small_and_keep_their_shape():
    noise = np.random.default_rng(0).integers(0, 256, (200, 100, 3), dtype=np.uint8)
    small = thumbnail(noise)
    assert small.shape == (SIDE, SIDE // 2, 3)
    assert abs(small.mean() - noise.mean()) < 1
    np.testing.assert_array_equal(thumbnail(noise[:SIDE, :SIDE]), noise[:SIDE, :SIDE])


def test_preview_has_one_width_however_few_units_there_are():
    full, few = (flat_sheet(units, 12, 12).preview(4) for units in (9, 2))
    assert full.shape == few.shape == (12, 4 * 13, 4)
    assert (full[:, :, 3] > 0).sum() == 4 * 12 * 12
    assert (few[:, :, 3] > 0).sum() == 2 * 12 * 12
