import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.synthesis.evolution.generators.fitting import check_fit, fitted, unfitted

sides = st.integers(3, 20)


def test_a_crop_is_the_middle():
    picture = torch.arange(36.0).reshape(1, 1, 6, 6) / 36
    middle = fitted(picture, (2, 4), "crop")
    assert torch.equal(middle, picture[:, :, 2:4, 1:5])


def test_a_picture_that_is_too_small_is_enlarged_with_its_proportions():
    """A vertical edge in the middle stays there, and is as far from the sides."""
    picture = torch.zeros(1, 3, 8, 8)
    picture[..., 4:] = 1
    shown = fitted(picture, (16, 12), "crop")
    assert shown.shape == (1, 3, 16, 12)
    assert torch.equal(shown, fitted(picture, (16, 16), "resize")[..., 2:14])


@given(sides, sides, sides, sides, st.sampled_from(["crop", "resize"]))
def test_a_uniform_picture_stays_what_it_is(rows, columns, height, width, fit):
    picture = torch.full((2, 3, rows, columns), 0.3)
    shown = fitted(picture, (height, width), fit)
    torch.testing.assert_close(shown, torch.full((2, 3, height, width), 0.3))
    back = unfitted(shown, (rows, columns), fit)
    torch.testing.assert_close(back, picture)


@given(sides, sides, sides, sides)
def test_what_was_cut_out_is_shown_again(rows, columns, extra_rows, extra_columns):
    picture = torch.rand(2, 3, rows, columns, generator=torch.Generator().manual_seed(0))
    own = (rows + extra_rows, columns + extra_columns)
    around = unfitted(picture, own, "crop")
    assert around.shape == (2, 3, *own)
    assert torch.equal(fitted(around, (rows, columns), "crop"), picture)


def test_an_unknown_fit_is_refused():
    message = "generator.taef2.fit: 'crob' is neither 'crop' nor 'resize'; nearest: crop"
    with pytest.raises(ConfigError) as raised:
        check_fit("generator.taef2", "crob")
    assert str(raised.value) == message
