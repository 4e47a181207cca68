from itertools import pairwise

import numpy as np
import pytest

from pipeline.figures import style
from pipeline.figures.contact_sheet import cell, contact_sheet, mosaic


def sheet(units: int = 4, ranks: int = 3, height: int = 7, width: int = 7):
    rng = np.random.default_rng(units)
    patches = rng.random((units, ranks, height, width, 3)).astype(np.float32)
    return patches, rng.normal(10, 3, (units, ranks)).astype(np.float32)


@pytest.mark.parametrize(("height", "width"), [(7, 7), (3, 11), (100, 70)])
def test_each_place_of_the_mosaic_holds_its_patch(height, width):
    patches, _ = sheet(height=height, width=width)
    pixels = mosaic(patches, 0.6)
    down, across = cell(patches, 0.6)
    assert pixels.shape == (4 * down, 3 * across, 3)
    factor = max(1, -(-64 // max(height, width)))
    for unit in range(4):
        for rank in range(3):
            place = pixels[unit * down :, rank * across :]
            drawn = place[: height * factor : factor, : width * factor : factor]
            np.testing.assert_allclose(drawn / 255, patches[unit, rank], atol=0.51 / 255)
            strip = place[height * factor : down, :across]
            gap = place[:down, width * factor : across]
            assert strip.size
            assert gap.size
            assert (strip == 255).all()
            assert (gap == 255).all()


def test_the_mosaic_is_the_one_image_of_the_figure():
    patches, responses = sheet()
    figure = contact_sheet(patches, responses, [5, 6, 9, 70], "conv1")
    [axis] = figure.axes
    [image] = axis.images
    down, across = cell(patches, axis.get_position().width * figure.get_figwidth() / 3)
    shown = np.asarray(image.get_array())
    assert shown.shape[0] % 4 == shown.shape[1] % 3 == 0
    assert abs(shown.shape[0] / 4 - down) <= 2
    assert abs(shown.shape[1] / 3 - across) <= 2
    corner = shown[2 * shown.shape[0] // 4, shown.shape[1] // 3]
    np.testing.assert_allclose(corner / 255, patches[2, 1, 0, 0], atol=0.51 / 255)


def test_rows_are_units_columns_ranks_and_responses_lie_below_their_patch():
    patches, responses = sheet()
    figure = contact_sheet(patches, responses, [5, 6, 9, 70], "conv1")
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["5", "6", "9", "70"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "1", "2"]
    assert [t.get_text() for t in axis.texts] == [f"{r:#.3g}" for r in responses.ravel()]
    height, width = np.asarray(axis.images[0].get_array()).shape[:2]
    for index, text in enumerate(axis.texts):
        x, y = text.get_position()
        assert (y // (height / 4), x // (width / 3)) == divmod(index, 3)


def test_missing_patches_are_light_gray_and_said_so():
    patches, responses = sheet()
    patches[1, 2, 3, 3, 0] = np.nan
    responses[1, 2] = np.nan
    figure = contact_sheet(patches, responses, [0, 1, 2, 3], "conv1")
    down, across = cell(patches, 0.6)
    place = mosaic(patches, 0.6)[down : down + 64, 2 * across : 2 * across + 64]
    assert (place == round(style.MISSING_GRAY * 255)).all()
    assert figure.axes[0].texts[5].get_text() == "none"


def test_input_is_unaltered():
    patches, responses = sheet()
    patches[0, 0] = np.nan
    before = patches.copy()
    contact_sheet(patches, responses, [0, 1, 2, 3], "conv1")
    np.testing.assert_array_equal(patches, before)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_responses_never_touch_each_other(scale):
    patches, responses = sheet(units=24, ranks=10)
    figure = contact_sheet(patches, -responses * scale, list(range(24)), "conv1")
    with style.paper_style():
        figure.draw_without_rendering()
        row = [text.get_window_extent() for text in figure.axes[0].texts[:10]]
    assert all(a.x1 < b.x0 for a, b in pairwise(row))


@pytest.mark.parametrize(("units", "ranks", "size"), [(1, 1, 3), (24, 10, 51), (2, 30, 11)])
def test_any_size_is_sharp_and_whole(units, ranks, size):
    patches, responses = sheet(units, ranks, size, size)
    title = "a rather long title that names the model, the layer and what is shown"
    figure = contact_sheet(patches, responses, list(range(units)), title)
    with style.paper_style():
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
    assert box.x0 >= -0.01
    assert box.y0 >= -0.01
    assert box.x1 <= figure.get_figwidth() + 0.01
    assert box.y1 <= figure.get_figheight() + 0.01


def test_pdf_has_truetype_fonts():
    pdf = style.render(contact_sheet(*sheet(), [0, 1, 2, 3], "conv1"), "pdf")
    assert b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf


def test_units_must_number_the_rows():
    patches, responses = sheet()
    with pytest.raises(ValueError, match="it got 3 numbers for 4 rows"):
        contact_sheet(patches, responses, [0, 1, 2], "conv1")
