from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.regularizers import (
    Regularizer,
    blur,
    distance_to_start,
    high_frequency,
    l1,
    l2,
    l_infinity,
    total_variation,
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=source, dtype=torch.float64)


def numpy_total_variation(x: np.ndarray, start: np.ndarray) -> float:
    return sum(
        abs(x[c, i, j] - x[c, a, b])
        for c in range(x.shape[0])
        for i in range(x.shape[1])
        for j in range(x.shape[2])
        for a, b in ((i + 1, j), (i, j + 1))
        if a < x.shape[1] and b < x.shape[2]
    )


def numpy_blurred(x: np.ndarray) -> np.ndarray:
    kernel = np.array([[0.5, 0.5, 0.5], [0.5, 1, 0.5], [0.5, 0.5, 0.5]])[None]
    weights = ndimage.convolve(np.ones_like(x), kernel, mode="constant")
    return ndimage.convolve(x, kernel, mode="constant") / weights


def numpy_high_frequency(x: np.ndarray, start: np.ndarray) -> float:
    spectrum = np.fft.fft2(x)  # the whole plane, by loops
    height, width = x.shape[1:]
    energy = 0.0
    for i in range(height):
        for j in range(width):
            down, across = min(i, height - i) / height, min(j, width - j) / width
            if down**2 + across**2 > 0.25**2 + 1e-9:
                energy += (abs(spectrum[:, i, j]) ** 2).sum()
    return energy / (height * width)


METHODS: dict[str, tuple[Regularizer, Callable[[np.ndarray, np.ndarray], float]]] = {
    "total_variation": (total_variation(), numpy_total_variation),
    "l1": (l1(center=0.2), lambda x, start: np.linalg.norm((x - 0.2).ravel(), 1)),
    "l2": (
        l2(center=0.2),
        lambda x, start: np.sqrt(np.linalg.norm((x - 0.2).ravel()) ** 2 + 1e-6),
    ),
    "l_infinity": (
        l_infinity(center=0.2),
        lambda x, start: np.linalg.norm((x - 0.2).ravel(), np.inf),
    ),
    "blur": (blur(), lambda x, start: 0.5 * ((x - numpy_blurred(x)) ** 2).sum()),
    "high_frequency": (high_frequency(cutoff=0.25), numpy_high_frequency),
    "distance_to_start": (
        distance_to_start(),
        lambda x, start: np.linalg.norm((x - start).ravel()),
    ),
}
SIZES = [(5, 7), (8, 8), (4, 6), (1, 3), (2, 1)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", METHODS)
def test_penalty_equals_a_second_method(name: str, size: tuple[int, int]):
    regularizer, method = METHODS[name]
    images, starts = drawn(2, 3, *size), drawn(2, 3, *size, seed=1)
    expected = [method(x, start) for x, start in zip(images.numpy(), starts.numpy(), strict=True)]
    np.testing.assert_allclose(regularizer.penalty(images, starts).numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"blur"}))
def test_gradient_equals_finite_differences(name: str):
    regularizer, _ = METHODS[name]
    images, starts = drawn(2, 3, 4, 5).requires_grad_(), drawn(2, 3, 4, 5, seed=1)
    assert torch.autograd.gradcheck(lambda x: regularizer.penalty(x, starts), (images,))


def test_gradient_of_blur_is_what_the_blur_takes_away():
    images = drawn(2, 3, 4, 5).requires_grad_()
    (gradient,) = torch.autograd.grad(blur().penalty(images, images).sum(), images)
    held = np.stack([numpy_blurred(x) for x in images.detach().numpy()])

    def with_blurred_held(x: np.ndarray) -> float:
        return 0.5 * ((x - held) ** 2).sum()

    x, step = images.detach().numpy(), 1e-5
    for place in [(0, 0, 0, 0), (1, 2, 3, 4), (0, 1, 2, 2)]:
        change = np.zeros_like(x)
        change[place] = step
        slope = (with_blurred_held(x + change) - with_blurred_held(x - change)) / (2 * step)
        assert gradient[place].item() == pytest.approx(slope, rel=1e-6)


def test_penalties_of_a_small_image_are_those_computed_by_hand():
    image = torch.zeros(1, 3, 2, 2)
    image[0, 0] = torch.tensor([[1.0, 3.0], [0.0, -4.0]])
    start = torch.zeros(1, 3, 2, 2)
    assert total_variation().penalty(image, start).item() == 2 + 4 + 1 + 7
    assert l1().penalty(image, start).item() == 8
    assert l2().penalty(image, start).item() == pytest.approx(26**0.5)
    assert l_infinity().penalty(image, start).item() == 4
    assert distance_to_start().penalty(image, start).item() == pytest.approx(26**0.5)


@given(height=st.integers(1, 9), width=st.integers(1, 9))
def test_all_frequencies_together_have_the_energy_about_the_mean(height: int, width: int):
    images = drawn(2, 3, height, width)
    expected = (images - images.mean((2, 3), keepdim=True)).square().sum((1, 2, 3))
    found = high_frequency(cutoff=0.0).penalty(images, images)
    torch.testing.assert_close(found, expected)


def test_only_frequencies_above_the_cutoff_count():
    columns = torch.arange(16, dtype=torch.float64)
    slow, at, fast = (torch.cos(2 * torch.pi * f * columns) for f in (0.125, 0.25, 0.375))
    penalty = high_frequency(cutoff=0.25).penalty
    found = [
        penalty(wave.expand(1, 3, 4, 16), torch.zeros(1, 3, 4, 16)) for wave in (slow, at, fast)
    ]
    # A cosine has the mean square 1/2.
    torch.testing.assert_close(torch.cat(found), torch.tensor([0, 0, 3 * 64 / 2]).double())


def test_gradients_are_finite_where_nothing_is_penalized():
    zeros = torch.zeros(2, 3, 4, 4, requires_grad=True)
    for regularizer, _ in METHODS.values():
        (gradient,) = torch.autograd.grad(regularizer.penalty(zeros, zeros.detach()).sum(), zeros)
        assert gradient.isfinite().all()
    (gradient,) = torch.autograd.grad(
        distance_to_start().penalty(zeros, zeros.detach()).sum(), zeros
    )
    assert torch.equal(gradient, torch.zeros_like(zeros))


@pytest.mark.parametrize("name", METHODS)
def test_image_is_penalized_for_itself_and_in_its_own_precision(name: str):
    penalty = METHODS[name][0].penalty
    images, starts = drawn(3, 3, 6, 5), drawn(3, 3, 6, 5, seed=1)
    together = penalty(images, starts)
    for index in range(3):
        alone = penalty(images[index : index + 1], starts[index : index + 1])
        torch.testing.assert_close(alone[0], together[index], rtol=1e-12, atol=0)
    single = penalty(images.float(), starts.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), together, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    "make", [total_variation, l1, l2, l_infinity, blur, high_frequency, distance_to_start]
)
@pytest.mark.parametrize("weight", [-0.5, float("nan"), float("inf")])
def test_bad_weight_is_refused(make, weight: float):
    with pytest.raises(ConfigError) as caught:
        make(weight=weight)
    assert str(caught.value) == (
        f"regularizer.{make.__name__}.weight: {weight} is not a number of 0 or more; the penalty is"
        " subtracted from the score"
    )


@pytest.mark.parametrize("make", [l1, l2, l_infinity])
def test_bad_center_is_refused(make):
    with pytest.raises(ConfigError) as caught:
        make(center=float("nan"))
    assert str(caught.value) == (
        f"regularizer.{make.__name__}.center: nan is not a finite number; 0 is the mean color"
    )


@pytest.mark.parametrize("cutoff", [-0.1, 0.5, float("nan")])
def test_bad_cutoff_is_refused(cutoff: float):
    with pytest.raises(ConfigError) as caught:
        high_frequency(cutoff=cutoff)
    assert str(caught.value) == (
        f"regularizer.high_frequency.cutoff: {cutoff} is not from 0 to below 0.5 cycles per pixel"
    )


def test_weight_is_kept():
    assert total_variation(weight=0.125).weight == 0.125
