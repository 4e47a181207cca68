from __future__ import annotations

from math import ceil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from pipeline.errors import ConfigError
from pipeline.images.preprocessing import Preprocessing
from pipeline.synthesis.parameterizations import Setting, compose, low_resolution

PLAIN = Preprocessing(resize=None, crop=8, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
SIZES = st.tuples(st.integers(1, 60), st.integers(1, 60))
FACTORS = st.floats(1, 9)


def low(size: tuple[int, int], factor: float):
    return compose(
        {"low_resolution": low_resolution(factor)}, Setting(size, PLAIN, lambda: torch.empty(0))
    )


@given(size=SIZES, factor=FACTORS, seed=st.integers(0, 1000))
def test_decoding_is_bilinear_interpolation_and_is_undone_by_encoding(size, factor, seed):
    space = low(size, factor)
    few = (ceil(size[0] / factor), ceil(size[1] / factor))
    source = torch.Generator().manual_seed(seed)
    values = torch.randn(2, 3, *few, dtype=torch.float64, generator=source)
    images = space.decode([values])
    expected = functional.interpolate(values, size=size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(images, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(space.encode(images)[0], values, rtol=0, atol=1e-9)


def test_a_drawn_sample_has_the_low_resolution():
    (values,) = low((24, 17), 4.0).draw([torch.Generator()], 1.0)
    assert values.shape == (1, 3, 6, 5)


def test_two_pixels_become_four():
    images = low((1, 4), 2.0).decode([torch.tensor([0.0, 1.0]).expand(1, 3, 1, 2)])
    torch.testing.assert_close(images[0, 0, 0], torch.tensor([0.0, 0.25, 0.75, 1.0]))


def test_a_photograph_is_encoded_to_the_nearest_enlarged_image(photographs):
    space = low((24, 17), 3.0)
    images = photographs((24, 17))
    (values,) = space.encode(images)
    values.requires_grad_()
    (space.decode([values]) - images).square().sum().backward()
    torch.testing.assert_close(values.grad, torch.zeros_like(values), rtol=0, atol=1e-10)


@pytest.mark.parametrize("factor", [0.5, float("inf"), float("nan")])
def test_bad_factor_is_refused(factor: float):
    with pytest.raises(ConfigError) as caught:
        low_resolution(factor)
    assert str(caught.value) == (
        f"parameterization.low_resolution.factor: {factor} is not 1 or more; use 4 for a quarter"
        " of the rows and columns"
    )
