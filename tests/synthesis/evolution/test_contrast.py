"""Contrast: exact after cutting to pixels, by a second method, and what cannot have it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.images.preprocessing import Preprocessing
from pipeline.synthesis.evolution.contrast import Contrast, contrasts

IMAGENET = Preprocessing(None, 8, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
GRAY = Preprocessing(None, 8, (0.5,), (0.25,))


def bisected(picture: np.ndarray, value: float) -> np.ndarray:
    """Return network input at a contrast, by bisection in float64."""
    mean, std = (np.array(n)[:, None, None] for n in (IMAGENET.mean, IMAGENET.std))
    image = (picture.astype(np.float64) - mean) / std
    low, high = 0.0, 1e9
    for _ in range(200):
        middle = (low + high) / 2
        shown = np.clip(image * middle, -mean / std, (1 - mean) / std)
        low, high = (middle, high) if np.sqrt(np.mean(shown**2)) < value else (low, middle)
    return np.clip(image * high, -mean / std, (1 - mean) / std)


@settings(max_examples=60)
@given(
    st.integers(0, 2**31),
    st.sampled_from([0.002, 0.03, 0.1, 0.3, 1.0]),
    st.floats(0.05, 2.2),
    st.sampled_from([(3, 5), (8, 8), (70, 66)]),
)
def test_contrast_is_exact_and_that_of_bisection(
    seed: int, spread: float, value: float, size: tuple[int, int]
):
    random = np.random.RandomState(seed)
    drawn = np.array(IMAGENET.mean)[:, None, None] + spread * random.standard_t(2, (2, 3, *size))
    pictures = drawn.clip(0, 1).astype(np.float32)
    shown = Contrast(value, IMAGENET)(torch.from_numpy(pictures)).numpy()
    for picture, image in zip(pictures, shown, strict=True):
        wanted = bisected(picture, value)
        # Deviations from the mean color lose digits in float32, and are amplified.
        np.testing.assert_allclose(image, wanted, rtol=0, atol=1e-3)
        reached = np.sqrt(np.mean(wanted**2))
        assert np.sqrt(np.mean(image.astype(np.float64) ** 2)) == pytest.approx(reached, abs=1.1e-6)
        if reached > value - 1e-9:
            assert reached == pytest.approx(value, abs=1e-9)
    pixels = IMAGENET.pixels(torch.from_numpy(shown))
    assert pixels.min() >= -1e-6
    assert pixels.max() <= 1 + 1e-6


def test_a_contrast_that_cannot_be_reached_is_the_largest_there_is():
    picture = torch.full((1, 1, 4, 4), 0.5)
    picture[0, 0, 0, 0], picture[0, 0, 0, 1] = 0.6, 0.4999
    image = Contrast(1.0, GRAY)(picture)
    assert image.flatten().tolist() == [2.0, -2.0, *[0.0] * 14]
    assert contrasts(image).item() == pytest.approx(math.sqrt(8 / 16), abs=1e-7)


def test_uniform_pictures():
    pictures = torch.stack([torch.full((1, 4, 4), value) for value in (0.5, 0.6, 0.1)])
    images = Contrast(0.6, GRAY)(pictures)[:, 0, 0, 0]
    # The mean color has none; others are brought to it as uniform lightness.
    assert images.tolist() == pytest.approx([0.0, 0.6, -0.6])


def test_the_mean_color_of_photographs_is_not_amplified_rounding():
    mean = torch.tensor(IMAGENET.mean)[:, None, None].expand(3, 6, 6)[None]
    noisy = mean + 1e-8 * torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    assert Contrast(0.6, IMAGENET)(noisy).abs().max() < 1e-5


def test_pictures_that_are_not_finite_stay_so_and_leave_others_alone():
    pictures = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    alone = Contrast(0.6, IMAGENET)(pictures[2:])
    pictures[0, 0, 0, 0], pictures[1, 0, 0, 0] = torch.nan, torch.inf
    shown = Contrast(0.6, IMAGENET)(pictures)
    assert not shown[0].isfinite().all()
    assert not shown[1].isfinite().all()
    assert torch.equal(shown[2:], alone)


@pytest.mark.parametrize("spread", [0.05, 0.3])
def test_no_picture_depends_on_others(spread: float):
    drawn = torch.randn(9, 3, 31, 23, generator=torch.Generator().manual_seed(1))
    pictures = (0.5 + spread * drawn).clamp(0, 1)
    shown = Contrast(0.6, IMAGENET)
    assert torch.equal(shown(pictures), torch.cat([shown(picture[None]) for picture in pictures]))


def test_without_a_contrast_pictures_are_only_cut():
    pictures = torch.tensor([[[[0.1, 1.5], [-0.2, 0.9]]]])
    images = Contrast(None, GRAY)(pictures)
    assert torch.equal(images, GRAY.normalize(pictures.clamp(0, 1)))
    assert pictures.amax() == 1.5  # its own memory is left alone


@pytest.mark.parametrize("value", [0, -1.0, math.inf, "high", True])
def test_a_contrast_is_a_positive_number(value: object, untyped: None):
    with pytest.raises(ConfigError, match=r"contrast: .* is not a positive number; photographs"):
        Contrast(value, GRAY)  # type: ignore[arg-type]


def test_the_mean_color_must_be_a_color():
    with pytest.raises(ConfigError, match=r"contrast: the mean \[2.0\] of the preprocessing is no"):
        Contrast(0.6, Preprocessing(None, 8, (2.0,), (1.0,)))
    Contrast(None, Preprocessing(None, 8, (2.0,), (1.0,)))
