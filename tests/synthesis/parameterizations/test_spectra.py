from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.preprocessing import Preprocessing
from pipeline.synthesis.parameterizations import (
    Setting,
    compose,
    decorrelated,
    fourier,
    maco,
    sigmoid,
)

PLAIN = Preprocessing(resize=None, crop=8, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12))


def fourier_image(parameters: np.ndarray, size: tuple[int, int], decay: float) -> np.ndarray:
    """The image of one channel's coefficients, wave by wave."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    image = np.zeros(size)
    for row in range(height):
        for column in range(width // 2 + 1):
            signed = row if row <= height / 2 else row - height
            frequency = np.hypot(signed / height, column / width)
            scale = max(frequency, 1 / max(size)) ** -decay
            angle = 2 * np.pi * (row * y / height + column * x / width)
            real, imaginary = parameters[row, column]
            wave = real * np.cos(angle) - imaginary * np.sin(angle)
            # Of every other column the mirror image, at -column, adds the same real wave again.
            is_alone = column == 0 or 2 * column == width
            image += scale * wave * (1 if is_alone else 2)
    return image / np.sqrt(height * width) / 4


@given(size=SIZES, decay=st.sampled_from([0.0, 0.85, 1.0, 1.5]), seed=st.integers(0, 1000))
def test_the_fourier_image_is_the_sum_of_its_waves(size, decay, seed):
    space = compose({"fourier": fourier(decay)}, Setting(size, PLAIN, lambda: torch.empty(0)))
    shape = (2, 3, size[0], size[1] // 2 + 1, 2)
    parameters = np.random.default_rng(seed).normal(size=shape)
    images = space.decode([torch.tensor(parameters)])
    assert images.shape == (2, 3, *size)
    expected = fourier_image(parameters[1, 2], size, decay)
    np.testing.assert_allclose(images[1, 2].numpy(), expected, atol=1e-6)


@given(size=SIZES)
def test_coefficients_of_an_image_decode_to_it(size):
    space = compose({"fourier": fourier()}, Setting(size, PLAIN, lambda: torch.empty(0)))
    images = torch.randn(
        2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    (parameters,) = space.encode(images)
    assert parameters.shape == (2, 3, size[0], size[1] // 2 + 1, 2)
    torch.testing.assert_close(space.decode([parameters]), images, rtol=0, atol=1e-12)


def test_random_coefficients_have_the_spectrum_of_photographs():
    space = compose({"fourier": fourier()}, Setting((64, 64), PLAIN, lambda: torch.empty(0)))
    sources = [torch.Generator().manual_seed(seed) for seed in range(40)]
    images = space.decode(space.draw(sources, 0.01))
    power = torch.fft.fft2(images).abs().square().mean((0, 1))
    # Power falls with the square of the frequency: a factor of 16 from 4 to 16 cycles per image.
    assert (power[0, 4] / power[0, 16]).item() == pytest.approx(16, rel=0.5)
    assert (power[4, 0] / power[16, 0]).item() == pytest.approx(16, rel=0.5)


def magnitudes(images: Tensor) -> np.ndarray:
    return np.abs(np.fft.rfft2(images.detach().numpy()))


@pytest.mark.parametrize(
    "size", [(24, 17), (17, 24), (16, 16), (15, 9), (1, 2), (2, 1), (128, 127)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_magnitudes_stay_the_mean_ones_after_random_steps(setting, photographs, size, dtype):
    space = compose({"maco": maco()}, setting(size))
    expected = magnitudes(photographs(size)).mean(0)
    # A pixel in float32 is rounded: to the smallest magnitudes that alone is more than 1e-5.
    rounding = 0.0 if dtype == torch.float64 else 2e-7 * np.linalg.norm(expected)
    (phases,) = space.draw([torch.Generator().manual_seed(seed) for seed in (1, 2)], 0.0)
    source = torch.Generator().manual_seed(3)
    for _ in range(5):
        phases = phases + 4 * torch.randn(phases.shape, generator=source)
        images = space.decode([phases.to(dtype)])
        assert images.dtype == dtype
        found = magnitudes(images.double())
        np.testing.assert_allclose(found[0], expected, rtol=1e-5, atol=rounding)
        np.testing.assert_allclose(found[1], expected, rtol=1e-5, atol=rounding)


def test_magnitudes_are_those_of_pictures_in_the_coordinates_of_the_space(setting, photographs):
    maps = {"decorrelated": decorrelated(), "sigmoid": sigmoid()}
    space = compose(maps | {"maco": maco()}, setting((8, 9)))
    (pictures,) = compose(maps, setting((8, 9))).encode(photographs((8, 9)))
    (phases,) = space.draw([torch.Generator().manual_seed(1)], 0.0)
    inside = space.space.decode([phases.double()])
    np.testing.assert_allclose(magnitudes(inside)[0], magnitudes(pictures).mean(0), rtol=1e-9)


def test_no_more_pictures_are_averaged_than_asked_for(setting, photographs):
    space = compose({"maco": maco(images=1)}, setting((8, 9)))
    (phases,) = space.encode(photographs((8, 9)))
    np.testing.assert_allclose(
        magnitudes(space.decode([phases]))[2], magnitudes(photographs((8, 9)))[0], rtol=1e-9
    )


@pytest.mark.parametrize("size", [(8, 9), (9, 8), (8, 8)])
def test_an_image_of_the_fixed_magnitudes_comes_back(setting, size):
    space = compose({"maco": maco()}, setting(size))
    phases = 2 * torch.randn(2, 3, size[0], size[1] // 2 + 1, dtype=torch.float64)
    images = space.decode([phases])
    torch.testing.assert_close(space.decode(space.encode(images)), images, rtol=0, atol=1e-12)


def test_the_phases_of_a_photograph_are_kept(setting, photographs):
    size = (8, 9)
    space = compose({"maco": maco()}, setting(size))
    images = photographs(size)
    before, after = (np.fft.rfft2(x.numpy()) for x in (images, space.decode(space.encode(images))))
    turned = np.exp(1j * (np.angle(after) - np.angle(before)))
    np.testing.assert_allclose(turned, 1, atol=1e-9)


def test_drawn_phases_are_uniform(setting):
    space = compose({"maco": maco()}, setting((24, 17)))
    (phases,) = space.draw([torch.Generator().manual_seed(seed) for seed in range(20)], 0.01)
    assert phases.abs().max() <= torch.pi
    assert phases.std().item() == pytest.approx(np.pi / np.sqrt(3), rel=0.02)
    assert phases.mean().item() == pytest.approx(0, abs=0.05)


def test_standardized_phases_have_no_inverse(setting, photographs):
    space = compose({"maco": maco(standardize=True)}, setting((8, 9)))
    assert not space.invertible
    assert not maco(standardize=True).invertible
    with pytest.raises(ConfigError) as caught:
        space.encode(photographs((8, 9)))
    assert str(caught.value) == (
        "parameterization.maco.standardize: standardized phases cannot start from an image; use"
        " init=[parameters]"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: fourier(decay=-0.5),
            "parameterization.fourier.decay: -0.5 is not 0 or a positive number; use 1 for the"
            " spectrum of photographs",
        ),
        (
            lambda: fourier(decay=float("nan")),
            "parameterization.fourier.decay: nan is not 0 or a positive number; use 1 for the"
            " spectrum of photographs",
        ),
        (
            lambda: maco(images=0),
            "parameterization.maco.images: 0 is not positive; use 1 or more, such as 200",
        ),
    ],
)
def test_bad_value_is_refused(make, message: str):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message
