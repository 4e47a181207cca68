import io
from itertools import product

import numpy as np
import pytest
from PIL import Image

from pipeline.figures import style
from pipeline.figures.contact_sheet import (
    TEXT,
    cell,
    contact_sheet,
    mosaic,
    png,
    response_text,
    unit_sheet,
)

COLOR = 256 ** np.arange(3)  # a number for each color


def sheet(units: int = 4, ranks: int = 3, height: int = 7, width: int = 7):
    rng = np.random.default_rng(units)
    patches = rng.random((units, ranks, height, width, 3)).astype(np.float32)
    return patches, rng.normal(10, 3, (units, ranks)).astype(np.float32)


def places(page, images):
    """Where in a page each image lies, found by its pixels: the images are all different."""
    pixels = np.asarray(page).astype(int)
    colors = pixels @ COLOR
    factor = max(1, -(-64 // max(images.shape[1:3])))
    found = []
    for image in images:
        large = np.rint(image * 255).astype(int).repeat(factor, 0).repeat(factor, 1)
        near = np.argwhere(colors == large[0, 0] @ COLOR)
        found.append(
            next(
                (int(y), int(x))
                for y, x in near
                if np.array_equal(pixels[y : y + len(large), x : x + large.shape[1]], large)
            )
        )
    return found


@pytest.mark.parametrize(("height", "width"), [(7, 7), (3, 11), (100, 70)])
def test_each_place_of_the_mosaic_holds_its_patch(height, width):
    patches, _ = sheet(height=height, width=width)
    pixels = mosaic(patches.reshape(-1, *patches.shape[2:]), 3)
    down, across = cell((height, width))
    assert pixels.shape == (4 * down, 3 * across, 3)
    factor = max(1, -(-64 // max(height, width)))
    for unit, rank in product(range(4), range(3)):
        place = pixels[unit * down :, rank * across :]
        drawn = place[: height * factor : factor, : width * factor : factor]
        np.testing.assert_allclose(drawn / 255, patches[unit, rank], atol=0.51 / 255)
        strip = place[height * factor : down, :across]
        gap = place[:down, width * factor : across]
        assert strip.size
        assert gap.size
        assert (strip == 255).all()
        assert (gap == 255).all()


def test_rows_are_units_and_columns_ranks():
    patches, responses = sheet()
    page = contact_sheet(patches, responses, [5, 6, 9, 70], "conv1")
    down, across = cell((7, 7))
    found = places(page, patches.reshape(-1, 7, 7, 3))
    (top, left), step = found[0], (down, across)
    assert found == [
        (top + y * step[0], left + x * step[1]) for y, x in product(range(4), range(3))
    ]
    assert page.width >= left + 3 * across


def test_units_fill_rows_of_a_sheet_no_wider_than_a_screen():
    images = sheet(units=97, ranks=1, height=90, width=90)[0][:, 0]
    page = unit_sheet(images, np.arange(97, dtype=np.float32), list(range(97)), "conv3")
    found = places(page, images)
    columns = sum(y == found[0][0] for y, _ in found)
    assert page.width <= 2400 + 8
    assert 10 <= columns < 20
    assert 1 < page.width / page.height < 2
    assert [x for _, x in found[:columns]] == sorted({x for _, x in found})
    assert found[columns][1] == found[0][1]
    assert found[columns][0] > found[0][0]


def test_labels_are_drawn_below_their_image_and_nowhere_else():
    patches, responses = sheet(units=3, ranks=2)
    page = contact_sheet(patches, responses, [0, 1, 2], "conv1")
    blank = contact_sheet(patches, responses * 0 + 100, [0, 1, 2], "conv1")
    changed = np.asarray(page).astype(int) - np.asarray(blank).astype(int)
    down, _ = cell((7, 7))
    found = places(page, patches.reshape(-1, 7, 7, 3))
    rows = np.argwhere(np.abs(changed).sum((1, 2)) > 0)[:, 0]
    below = [y + 70 + offset for y, _ in found for offset in range(down - 70)]
    assert set(rows.tolist()) <= set(below)


def test_missing_patches_are_light_gray_and_said_so():
    patches, _ = sheet()
    patches[1, 2, 3, 3, 0] = np.nan
    down, across = cell((7, 7))
    pixels = mosaic(patches.reshape(-1, 7, 7, 3), 3)
    place = pixels[down : down + 64, 2 * across : 2 * across + 64]
    assert (place == round(style.MISSING_GRAY * 255)).all()
    assert response_text(float("nan")) == "none"


def test_input_is_unaltered():
    patches, responses = sheet()
    patches[0, 0] = np.nan
    before = patches.copy()
    contact_sheet(patches, responses, [0, 1, 2, 3], "conv1")
    np.testing.assert_array_equal(patches, before)


@pytest.mark.parametrize(
    ("response", "text"),
    [(0.0, "0.00"), (12.345, "12.3"), (-0.001234, "-0.00123"), (1234.5, "1234"), (-99.96, "-100.")],
)
def test_responses_are_told_with_three_digits(response, text):
    assert response_text(response) == text


def test_a_long_title_is_broken_and_never_cut():
    patches, responses = sheet(units=1, ranks=1)
    title = " ".join(["a rather long title that names the model and the layer"] * 3)
    short = contact_sheet(patches, responses, [0], "conv1")
    page = contact_sheet(patches, responses, [0], title)
    assert page.height > short.height + TEXT
    assert (np.asarray(page)[:, -2:] == 255).all()


def test_a_sheet_is_written_as_a_picture():
    patches, responses = sheet()
    page = contact_sheet(patches, responses, [0, 1, 2, 3], "conv1")
    with Image.open(io.BytesIO(png(page))) as read:
        assert read.format == "PNG"
        np.testing.assert_array_equal(np.asarray(read), np.asarray(page))


def test_units_must_number_the_rows():
    patches, responses = sheet()
    with pytest.raises(ValueError, match="it got 3 numbers for 4 rows"):
        contact_sheet(patches, responses, [0, 1, 2], "conv1")
    with pytest.raises(ValueError, match="it got 3 numbers for 4 images"):
        unit_sheet(patches[:, 0], responses[:, 0], [0, 1, 2], "conv1")
