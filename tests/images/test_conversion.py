"""Images of one network as input of another, and changed, in numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError, ImageError
from pipeline.images.conversion import converted, on_gray
from pipeline.images.perturbations import Perturbation, perturbations, perturbed
from pipeline.images.preprocessing import Preprocessing

GRAY = Preprocessing(None, 4, mean=(0.5,), std=(0.25,))
RGB = Preprocessing(None, 4, mean=(0.5, 0.4, 0.2), std=(0.5, 0.2, 0.1))


def test_the_pixels_stay_when_networks_normalize_in_other_ways():
    pixels = torch.tensor([0.0, 1.0, -0.3])[None, :, None, None].expand(1, 3, 2, 2)
    other = Preprocessing(None, 4, mean=(0.1, 0.1, 0.1), std=(1.0, 2.0, 4.0))
    shown = converted(RGB.normalize(pixels), RGB, other)
    assert torch.allclose(other.pixels(shown), pixels, atol=1e-6)  # beyond 0..1, too


def test_color_becomes_gray_by_luminance_and_gray_becomes_equal_channels():
    red = torch.tensor([1.0, 0.0, 0.0])[None, :, None, None]
    assert converted(RGB.normalize(red), RGB, GRAY).item() == pytest.approx((0.299 - 0.5) / 0.25)
    light = converted(torch.full((1, 1, 1, 1), 2.0), GRAY, RGB)  # white
    assert torch.allclose(RGB.pixels(light), torch.ones(1, 3, 1, 1))
    depth = Preprocessing(None, 4, mean=(0.0,) * 4, std=(1.0,) * 4)
    with pytest.raises(ImageError, match="3 channels cannot be shown to a network of 4; only gray"):
        converted(torch.zeros(1, 3, 2, 2), RGB, depth)


@pytest.mark.parametrize(
    ("center", "row"), [(None, [0, 0, 1, 2, 0]), ((0.5, 1.0), [1, 2, 0, 0, 0])]
)
def test_an_image_lies_on_gray_where_it_is_put(center, row: list[int]):
    image = torch.tensor([1.0, 2.0])[None, None, None]
    shown = on_gray(image, (1, 5), center)[0, 0, 0].tolist()
    # The center of two pixels cannot lie on that of five: the half goes up and left.
    assert shown == ([0, 1, 2, 0, 0] if center is None else row)


def test_what_each_change_leaves_of_an_image():
    image = torch.arange(16.0).reshape(1, 4, 4)
    (cut,) = perturbed(image, Perturbation("crop", 0.5), GRAY)
    assert cut[0, 1:3, 1:3].tolist() == [[5, 6], [9, 10]]
    assert cut.count_nonzero() == 4
    up, down, left, _ = perturbed(image, Perturbation("shift", 1), GRAY)
    assert up[0, :, 0].tolist() == [4, 8, 12, 0]
    assert down[0, :, 0].tolist() == [0, 0, 4, 8]
    assert left[0, 0].tolist() == [1, 2, 3, 0]
    pixels = GRAY.pixels(perturbed(image - 8, Perturbation("clip", 0), GRAY))
    assert pixels.min() == 0
    assert pixels.max() == 1
    noise = Perturbation("noise", 0.1)
    large = torch.zeros(1, 200, 200)
    one, same, other = (perturbed(large, noise, GRAY, (0, n)) for n in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert float(one.std()) == pytest.approx(0.1 / 0.25, rel=0.02)  # in pixels, then normalized


def test_jpeg_loses_more_at_lower_quality_and_clipping_is_told_apart():
    image = RGB.normalize(torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)))
    clipped = perturbed(image, Perturbation("clip", 0), RGB)
    losses = [
        float((perturbed(image, Perturbation("jpeg", q), RGB) - clipped).square().mean())
        for q in (95, 50, 10)
    ]
    assert 0 < losses[0] < losses[1] < losses[2]
    with pytest.raises(ImageError, match="4 channels cannot be compressed; leave it out"):
        perturbed(torch.zeros(4, 8, 8), Perturbation("jpeg", 50), Preprocessing.of(FOUR))


FOUR = {"resize": None, "crop": 8, "mean": [0.0] * 4, "std": [1.0] * 4, "interpolation": "bilinear"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"crops": [0]}, "crops: 0 is not a share above 0 and up to 1"),
        ({"jpeg": [99]}, "jpeg: 99 is not a quality from 1 to 95"),
        ({"noise": [np.inf]}, "noise: inf is not a standard deviation above 0"),
        ({"shifts": [0.5], "prefix": "a."}, "a.shifts: 0.5 is not a whole number of pixels"),
    ],
)
def test_levels_are_checked(given, message: str):
    with pytest.raises(ConfigError, match=message):
        perturbations(**given)
