"""The picture that a setting names, and how it covers a size."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import ConfigError
from pipeline.images.bundled import bundled_photographs
from pipeline.images.pictures import chosen_picture, cover


def picture(height, width):
    drawn = np.random.default_rng(0).integers(0, 256, (3, height, width))
    return torch.from_numpy(drawn.astype(np.uint8))


@given(*[st.integers(4, 60)] * 4)
def test_a_covering_picture_has_the_size(height, width, rows, columns):
    covering = cover(picture(height, width), (rows, columns))
    assert covering.shape == (3, rows, columns)
    assert covering.dtype == torch.uint8


def test_a_picture_of_the_size_is_left_as_it_is():
    given = picture(20, 31)
    assert torch.equal(cover(given, (20, 31)), given)


def test_the_middle_is_kept_and_nothing_is_distorted():
    # Twice as wide as high; a square of its height is cut from its middle.
    given = picture(20, 40)
    assert torch.equal(cover(given, (20, 20)), given[:, :, 10:30])
    assert torch.equal(cover(given, (10, 40)), given[:, 5:15])


def test_a_larger_size_is_covered_by_pillow_s_enlargement():
    given = picture(20, 40)
    resized = Image.fromarray(given.permute(1, 2, 0).numpy()).resize(
        (80, 40), Image.Resampling.BILINEAR
    )
    expected = np.asarray(resized)[:, 20:60]
    found = cover(given, (40, 40)).permute(1, 2, 0).numpy().astype(int)
    assert np.abs(found - expected).max() <= 1


def test_the_bundled_photograph_is_the_cat_and_a_file_is_read(tmp_path):
    found, digest = chosen_picture("init.image.path", None)
    np.testing.assert_array_equal(found.permute(1, 2, 0), bundled_photographs()["chelsea"])
    Image.fromarray(found.permute(1, 2, 0).numpy()).save(tmp_path / "cat.png")
    copied, same = chosen_picture("init.image.path", str(tmp_path / "cat.png"))
    assert torch.equal(copied, found)
    assert same == digest  # of the pixels, not the file
    assert chosen_picture("init.image.path", None)[1] == digest


def test_what_is_no_picture_is_refused(tmp_path):
    with pytest.raises(ConfigError) as caught:
        chosen_picture("init.image.path", "none.png")
    assert str(caught.value) == (
        "init.image.path: there is no file 'none.png'; give the path of a picture"
    )
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ConfigError, match=r"^init\.image\.path: '.*text\.png' "):
        chosen_picture("init.image.path", str(tmp_path / "text.png"))
