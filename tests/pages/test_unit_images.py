"""Panels hold what was climbed, to half a step of their range."""

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.pages.contents import Picture, ShownAscent
from pipeline.pages.encoded_images import jpeg, png, to_bytes
from pipeline.pages.unit_images import ascent_images, cut, patch_image
from tests.pages.sites import PREPROCESSING, made_ascent


def values(panel):
    return panel.low + panel.pixels / 255.0 * (panel.high - panel.low)


def test_bytes_stand_for_pixels_to_half_a_step():
    ascent = made_ascent(0, "noise")
    image, added = ascent_images(ascent, PREPROCESSING, 1)
    mean, std = (np.array(x)[:, None, None] for x in (PREPROCESSING.mean, PREPROCESSING.std))
    for panel, pixels in (
        (image, ascent.image * std + mean),
        (added, (ascent.image - ascent.start) * std),
    ):
        error = np.abs(values(panel) - np.moveaxis(pixels, 0, -1))
        assert error.max() <= (panel.high - panel.low) / 510 + 1e-6
        assert {0, 255} <= set(panel.pixels.ravel()) or panel is added
    assert added.low == -added.high
    assert max(np.abs(values(added)).max(), added.high) == added.high


def test_an_ascent_that_did_not_move_adds_nothing():
    ascent = made_ascent(0, "noise")
    still = ShownAscent("noise", 0, ascent.start, ascent.start, ascent.responses, "ok")
    _, added = ascent_images(still, PREPROCESSING, 1)
    assert (added.low, added.high) == (0, 0)
    assert not values(added).any()


def test_an_image_that_is_not_finite_has_no_panel():
    ascent = made_ascent(0, "noise")
    ascent.image[1, 2, 3] = np.inf
    assert ascent_images(ascent, PREPROCESSING, 1) == []


def test_copies_are_told_apart():
    names = [panel.name for panel in ascent_images(made_ascent(0, "noise"), PREPROCESSING, 2)]
    assert names == ["climbed from noise, copy 0", "added to noise, copy 0"]


@given(st.tuples(*[st.integers(-20, 20)] * 2, *[st.integers(1, 15)] * 2))
def test_a_patch_is_the_image_padded_and_sliced(place):
    top, left, height, width = place
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    outside = np.array([1, 2, 3], np.uint8)
    padded = np.empty((9 + 80, 11 + 80, 3), np.uint8)
    padded[:] = outside
    padded[40:49, 40:51] = pixels
    expected = padded[40 + top : 40 + top + height, 40 + left : 40 + left + width]
    box = (top, left, top + height, left + width)
    np.testing.assert_array_equal(cut(pixels, box, outside), expected)


def test_outside_of_an_image_lies_network_input_zero():
    picture = Picture(np.full((4, 4, 3), 255, np.uint8))
    panel = patch_image(picture, (-2, 0, 2, 4), PREPROCESSING)
    mean = np.array(PREPROCESSING.mean)
    np.testing.assert_allclose(values(panel)[:2], np.broadcast_to(mean, (2, 4, 3)), atol=1 / 510)
    assert (values(panel)[2:] == 1).all()


def test_png_loses_nothing_and_jpeg_little():
    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    smooth = np.stack([np.add.outer(ramp // 2, ramp // 2)] * 3, axis=-1)
    for encode, allowed in ((png, 0), (jpeg, 4)):
        read = np.asarray(Image.open(io.BytesIO(encode(smooth)))).astype(int)
        assert np.abs(read - smooth).max() <= allowed


def test_values_that_are_all_alike_are_bytes_of_zero():
    assert not to_bytes(np.full((2, 2), 3.0), 3.0, 3.0).any()
