from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor
from torchvision.transforms.v2 import functional as torchvision

from pipeline.errors import ConfigError
from pipeline.synthesis.smoothing import blur, cascade


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def numpy_blur(x: np.ndarray, kernel: int, sigma: float) -> np.ndarray:
    places = np.arange(kernel) - kernel // 2
    weights = np.exp(-(places**2) / (2 * sigma**2))
    weights /= weights.sum()
    down = ndimage.correlate1d(x, weights, axis=2, mode="mirror")
    return ndimage.correlate1d(down, weights, axis=3, mode="mirror")


def test_blur_is_torchvisions_and_scipys():
    images = drawn(2, 3, 9, 6)
    smooth = blur(sigma=0.7, kernel=5).image
    assert smooth is not None
    found = smooth(images, 0, 10)
    assert torch.equal(found, torchvision.gaussian_blur(images, [5, 5], [0.7, 0.7]))
    np.testing.assert_allclose(found.numpy(), numpy_blur(images.numpy(), 5, 0.7), rtol=1e-10)


@given(
    st.integers(0, 5),
    st.floats(0.05, 8),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_every_bit_of_a_blur_is_torchvisions(half, sigma, dtype):
    images, kernel = drawn(2, 3, 9, 7).to(dtype), 2 * half + 1
    smooth = blur(sigma=sigma, kernel=kernel).image
    assert smooth is not None
    expected = torchvision.gaussian_blur(images, [kernel, kernel], [sigma, sigma])
    assert torch.equal(smooth(images, 0, 1), expected)


def test_blur_narrows_along_its_schedule_and_ends_before_its_end():
    images = drawn(1, 3, 8, 8)
    smooth = blur(sigma=[2.4, 0.8]).image
    assert smooth is not None
    for step, sigma in enumerate([2.4, 2.0, 1.6, 1.2]):
        found = smooth(images, step, 4).numpy()
        np.testing.assert_allclose(found, numpy_blur(images.numpy(), 3, sigma), rtol=1e-10)


def test_blur_comes_after_every_fifth_step_alone():
    images = drawn(1, 3, 8, 8)
    smooth = blur(every=5).image
    assert smooth is not None
    changed = [step for step in range(12) if not torch.equal(smooth(images, step, 12), images)]
    assert changed == [4, 9]


def test_blur_of_no_width_does_nothing():
    images = drawn(1, 3, 2, 2)
    smooth = blur(sigma=0.0).image
    assert smooth is not None
    assert torch.equal(smooth(images, 0, 1), images)


def test_cascade_is_the_mean_of_three_gaussians_that_widen():
    gradient = drawn(2, 3, 11, 12)
    smooth = cascade().gradient
    assert smooth is not None
    for step, sigma in [(0, 0.7), (4, 1.5), (9, 2.5)]:  # of 10 steps: (i + 1) / 10 * 2 + 0.5
        single = [numpy_blur(gradient.numpy(), 9, sigma * factor) for factor in (0.5, 1, 2)]
        np.testing.assert_allclose(
            smooth(gradient, step, 10).numpy(), np.mean(single, axis=0), rtol=1e-9, atol=1e-12
        )


def test_each_smooths_either_images_or_gradients():
    assert blur().gradient is None
    assert cascade().image is None


@pytest.mark.parametrize("smoothing", [blur().image, cascade().gradient])
def test_image_is_smoothed_alone_and_in_its_own_precision(smoothing):
    images = drawn(3, 3, 10, 10)
    together = smoothing(images, 1, 4)
    torch.testing.assert_close(smoothing(images[1:2], 1, 4)[0], together[1], rtol=1e-12, atol=0)
    single = smoothing(images.float(), 1, 4)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), together, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("smoothing", [blur().image, cascade().gradient])
def test_one_color_stays_what_it_is(smoothing):
    images = torch.full((1, 3, 7, 7), 0.3, dtype=torch.float64)
    torch.testing.assert_close(smoothing(images, 0, 3), images)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: blur(sigma=-1.0),
            "smoothing.blur.sigma: -1.0 is not a number of 0 or more, or two of them; write one"
            " value or [start, end]",
        ),
        (lambda: blur(kernel=4), "smoothing.blur.kernel: 4 is not an odd number of pixels"),
        (
            lambda: blur(every=0),
            "smoothing.blur.every: 0 is not positive; use 1 for every step",
        ),
        (lambda: cascade(kernel=0), "smoothing.cascade.kernel: 0 is not an odd number of pixels"),
        (
            lambda: cascade(start=0.0),
            "smoothing.cascade.start: 0.0 is not a positive number of pixels",
        ),
        (lambda: cascade(rise=-1.0), "smoothing.cascade.rise: -1.0 is not 0 or more pixels"),
        (
            lambda: cascade(factors=[]),
            "smoothing.cascade.factors: [] is not a list of positive numbers",
        ),
        (
            lambda: cascade(factors=[1.0, 0.0]),
            "smoothing.cascade.factors: [1.0, 0.0] is not a list of positive numbers",
        ),
    ],
)
def test_bad_value_is_refused(make, message: str):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message


def test_kernel_too_large_for_the_images_is_refused_and_the_largest_named():
    smooth = cascade(kernel=9).gradient
    assert smooth is not None
    with pytest.raises(ConfigError) as caught:
        smooth(drawn(1, 3, 4, 6), 0, 1)
    assert str(caught.value) == (
        "smoothing.cascade.kernel: 9 is too large for images of 4 x 6 pixels; use 7 or less"
    )
    largest = cascade(kernel=7).gradient
    assert largest is not None
    largest(drawn(1, 3, 4, 6), 0, 1)
