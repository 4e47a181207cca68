from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.preprocessing import Preprocessing
from pipeline.synthesis import constraints
from pipeline.synthesis.constraints import (
    Bound,
    Constraint,
    ConstraintContext,
    ball,
    clip,
    contrast,
    mean,
    none,
    norm,
)

IMAGENET = Preprocessing(None, 6, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=source, dtype=torch.float64).to(dtype)


def no_patches() -> Tensor:
    raise AssertionError("this constraint must not ask for patches")


def bound(
    constraint: Constraint, starts: Tensor, patches: Callable[[], Tensor] = no_patches
) -> Bound:
    return constraint.bind(ConstraintContext(starts, IMAGENET, patches))


FIXED: dict[str, Callable[[], Constraint]] = {
    "norm": lambda: norm(5.0),
    "mean": lambda: mean(0.25),
    "contrast": lambda: contrast(0.7),
    "contrast_and_mean": lambda: contrast(0.7, mean=-0.3),
}
LIMITED: dict[str, Callable[[], Constraint]] = {
    "range": constraints.range,
    "clip": lambda: clip(-0.5, [0.25, 0.5, 1.0]),
    "ball_1": lambda: ball(1.0, 8.0),
    "ball_2": lambda: ball(2.0, 3.0),
    "ball_infinity": lambda: ball(math.inf, 0.75),
    "ball_1_start": lambda: ball(1.0, 8.0, "start"),
    "ball_2_start": lambda: ball(2.0, 3.0, "start"),
    "ball_infinity_start": lambda: ball(math.inf, 0.75, "start"),
}
ALL = FIXED | LIMITED


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FIXED)
def test_fixed_quantity_is_its_budget(name: str, dtype: torch.dtype):
    images = drawn(4, 3, 6, 5, dtype=dtype) * torch.tensor([1e-6, 0.1, 1, 1e4])[:, None, None, None]
    images = images.to(dtype)
    found = bound(FIXED[name](), torch.zeros_like(images))
    projected = found.project(images)
    assert projected.dtype == dtype
    # A shift is exact to the rounding of the pixels, which are as large as 1e4.
    atol = 1e-3 if (name, dtype) == ("mean", torch.float32) else 1e-9
    torch.testing.assert_close(found.measure(projected), found.budget, rtol=1e-6, atol=atol)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("name", LIMITED)
def test_limited_quantity_is_within_its_budget(name: str, spread: float, dtype: torch.dtype):
    images, starts = spread * drawn(4, 3, 6, 5, dtype=dtype), drawn(4, 3, 6, 5, seed=1, dtype=dtype)
    found = bound(LIMITED[name](), starts)
    projected = found.project(images)
    assert projected.dtype == dtype
    assert (found.measure(projected) <= found.budget * (1 + 1e-6)).all()
    outside = found.measure(images) > found.budget
    if name.startswith("ball"):  # those outside come to lie on the ball
        measured = found.measure(projected)[outside]
        torch.testing.assert_close(measured, found.budget[outside], rtol=1e-6, atol=0)
    assert torch.equal(projected[~outside], images[~outside])  # to the bit


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ALL)
def test_projecting_twice_is_projecting_once(name: str, dtype: torch.dtype):
    images, starts = 3 * drawn(3, 3, 6, 5, dtype=dtype), drawn(3, 3, 6, 5, seed=1, dtype=dtype)
    project = bound(ALL[name](), starts).project
    once = project(images)
    rounding = 4 * torch.finfo(dtype).eps
    torch.testing.assert_close(project(once), once, rtol=rounding, atol=rounding)


@pytest.mark.parametrize("name", ALL)
def test_images_of_a_batch_do_not_mix(name: str):
    images, starts = 3 * drawn(3, 3, 6, 5), drawn(3, 3, 6, 5, seed=1)
    together = bound(ALL[name](), starts)
    for index in range(3):
        part = slice(index, index + 1)
        alone = bound(ALL[name](), starts[part])
        torch.testing.assert_close(
            alone.project(images[part])[0], together.project(images)[index], rtol=1e-12, atol=1e-12
        )
        torch.testing.assert_close(alone.measure(images[part])[0], together.measure(images)[index])


def test_measures_equal_numpys():
    images, starts = drawn(2, 3, 4, 5), drawn(2, 3, 4, 5, seed=1)
    x = images.numpy()
    expected = {
        "norm": np.sqrt((x**2).sum((1, 2, 3))),
        "mean": x.mean((1, 2, 3)),
        "contrast": x.std((1, 2, 3)),
        "ball_1_start": np.abs(x - starts.numpy()).sum((1, 2, 3)),
        "ball_2": np.sqrt((x**2).sum((1, 2, 3))),
        "ball_infinity": np.abs(x).max((1, 2, 3)),
        "clip": np.maximum(-0.5 - x, x - np.array([0.25, 0.5, 1])[:, None, None]).max((1, 2, 3)),
    }
    for name, values in expected.items():
        found = bound(ALL[name](), starts).measure(images)
        np.testing.assert_allclose(found.numpy(), values, rtol=1e-12)
        assert found.dtype == torch.float64


def test_norm_keeps_the_direction():
    images = drawn(2, 3, 4, 5)
    projected = bound(norm(5.0), images).project(images)
    cosine = torch.nn.functional.cosine_similarity(projected.flatten(1), images.flatten(1))
    torch.testing.assert_close(cosine, torch.ones(2).double())


def test_contrast_keeps_the_mean_unless_it_is_given():
    images = drawn(2, 3, 4, 5) + torch.tensor([0.5, -2.0])[:, None, None, None]
    kept = bound(contrast(0.7), images).project(images)
    torch.testing.assert_close(kept.mean((1, 2, 3)), images.mean((1, 2, 3)))
    given_one = bound(contrast(0.7, mean=-0.3), images).project(images)
    torch.testing.assert_close(given_one.mean((1, 2, 3)), torch.full((2,), -0.3).double())
    torch.testing.assert_close(given_one + 0.3, kept - kept.mean((1, 2, 3), keepdim=True))


def test_range_is_black_to_white_in_every_channel():
    images = torch.full((2, 3, 2, 2), 100.0)
    images[1] *= -1
    found = bound(constraints.range(), images)
    white, black = found.project(images)
    mean_, std = torch.tensor(IMAGENET.mean), torch.tensor(IMAGENET.std)
    torch.testing.assert_close(
        white * std[:, None, None] + mean_[:, None, None], torch.ones(3, 2, 2)
    )
    torch.testing.assert_close(
        black * std[:, None, None] + mean_[:, None, None], torch.zeros(3, 2, 2), atol=1e-6, rtol=0
    )
    assert torch.equal(found.budget, torch.zeros(2).double())


@given(
    values=st.lists(st.floats(-10, 10), min_size=3, max_size=3 * 4).filter(
        lambda v: len(v) % 3 == 0
    ),
    radius=st.floats(0.01, 20),
)
def test_l1_ball_is_the_nearest_point_by_root_finding(values: list[float], radius: float):
    x = np.array(values)
    if np.abs(x).sum() <= radius:
        expected = x
    else:  # the threshold is where the shrunk magnitudes sum to the radius

        def excess(threshold: float) -> float:
            return np.maximum(np.abs(x) - threshold, 0).sum() - radius

        threshold = optimize.brentq(excess, 0, np.abs(x).max(), xtol=1e-14)
        expected = np.sign(x) * np.maximum(np.abs(x) - threshold, 0)
    image = torch.tensor(x).view(1, 3, 1, -1)
    found = bound(ball(1.0, radius), torch.zeros_like(image)).project(image)
    np.testing.assert_allclose(found.flatten().numpy(), expected, atol=1e-9)


def test_l1_ball_by_hand():
    image = torch.tensor([3.0, -1.0, 0.5]).view(1, 3, 1, 1)
    found = bound(ball(1.0, 2.0), torch.zeros_like(image)).project(image)
    assert found.flatten().tolist() == [2.0, 0.0, 0.0]
    found = bound(ball(1.0, 3.0), torch.zeros_like(image)).project(image)
    assert found.flatten().tolist() == [2.5, -0.5, 0.0]


@pytest.mark.parametrize("name", [*FIXED, "ball_1_start", "ball_2"])
def test_gradient_equals_finite_differences(name: str):
    # Scores that draw images outward: what would lead back inside is passed on in full instead.
    images, starts = 3 * drawn(2, 3, 3, 4), drawn(2, 3, 3, 4, seed=1)
    found = bound(ALL[name](), starts)
    outward = -(images - (starts if name.endswith("start") else 0))
    weights = 0.1 * drawn(2, 3, 3, 4, seed=2) + outward

    def loss(x: Tensor) -> Tensor:
        return (found.project(x) * weights).sum()

    leaf = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf)
    step = 1e-6
    for place in np.ndindex(2, 3, 3, 4):
        change = torch.zeros_like(images)
        change[place] = step
        slope = (loss(images + change) - loss(images - change)) / (2 * step)
        assert gradient[place].item() == pytest.approx(slope.item(), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_image_outside_a_ball_is_led_back_inside(p: float):
    target = 0.05 * drawn(1, 3, 2, 2)
    found = bound(ball(p, 1.0), torch.zeros(1, 3, 2, 2))
    image = (3 * drawn(1, 3, 2, 2, seed=1)).requires_grad_()
    for _ in range(300):
        loss = (found.project(image) - target).square().sum()
        (gradient,) = torch.autograd.grad(loss, image)
        image = (image - 0.05 * gradient).detach().requires_grad_()
    assert found.measure(image).item() < 1.0
    if p != 1:  # pixels that the L1 projection makes 0 have no gradient until the image is inside
        torch.testing.assert_close(image.detach(), target, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", ["range", "clip", "ball_infinity"])
def test_clipped_pixel_follows_only_what_leads_back_inside(name: str):
    images = torch.full((1, 3, 2, 2), 50.0, requires_grad=True)
    projected = bound(ALL[name](), torch.zeros(1, 3, 2, 2)).project(images)
    for sign in (1.0, -1.0):
        downhill = torch.full_like(projected, sign)
        (gradient,) = torch.autograd.grad(projected, images, downhill, retain_graph=True)
        assert torch.equal(gradient, downhill if sign > 0 else torch.zeros_like(downhill))


def one_color(color: float, dtype: torch.dtype) -> Tensor:
    return torch.full((2, 3, 11, 7), color, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("constraint", "color"),
    [
        (norm(5.0), 0.0),
        (contrast(0.7), 0.0),
        (contrast(0.7), 0.1),
        (contrast(0.7), -1234.56789),
        (ball(1.0, 2.0), 0.0),
        (ball(2.0, 2.0), 0.0),
        (ball(math.inf, 2.0), 0.0),
        (ball(2.0, 2.0, "start"), 0.1),
    ],
)
def test_image_without_direction_stays_and_passes_its_gradient(
    constraint: Constraint, color: float, dtype: torch.dtype
):
    images = one_color(color, dtype).requires_grad_()
    projected = bound(constraint, images.detach()).project(images)
    torch.testing.assert_close(projected, images.detach(), rtol=1e-7, atol=0)
    downhill = drawn(2, 3, 11, 7, dtype=dtype)
    (gradient,) = torch.autograd.grad(projected, images, downhill)
    torch.testing.assert_close(gradient, downhill, rtol=1e-6, atol=1e-7)


def test_image_without_contrast_is_shifted_to_the_mean():
    images = one_color(0.1, torch.float32)
    projected = bound(contrast(0.7, mean=0.5), images).project(images)
    torch.testing.assert_close(projected, torch.full_like(images, 0.5))


@pytest.mark.parametrize(
    ("constraint", "quantity"),
    [
        (norm(), lambda x: np.linalg.norm(x)),
        (mean("natural"), np.mean),
        (contrast(), np.std),
        (ball(), lambda x: np.linalg.norm(x)),
        (ball(1.0, center="start"), lambda x: np.abs(x).sum()),
        (ball(math.inf), lambda x: np.abs(x).max()),
    ],
)
def test_natural_budget_is_that_of_the_patch_of_the_sample(constraint: Constraint, quantity):
    patches = drawn(2, 3, 4, 5, seed=3) * torch.tensor([1.0, 4.0])[:, None, None, None]
    images = 100 * drawn(2, 3, 4, 5)
    assert constraint.needs_patches
    found = bound(constraint, torch.zeros_like(images), lambda: patches)
    expected = [quantity(patch.ravel()) for patch in patches.numpy()]
    np.testing.assert_allclose(found.budget.numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(found.measure(found.project(images)).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("constraint", [norm(), contrast(), ball(1.0), ball(2.0), ball(math.inf)])
def test_patch_of_zeros_leaves_no_budget_and_no_nan(constraint: Constraint):
    images = drawn(2, 3, 4, 5).requires_grad_()
    found = bound(constraint, torch.zeros(2, 3, 4, 5).double(), lambda: torch.zeros(2, 3, 4, 5))
    projected = found.project(images)
    assert found.measure(projected).max() < 1e-12
    (gradient,) = torch.autograd.grad(projected.sum(), images)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", [*ALL, "none"])
def test_patches_are_asked_for_only_where_they_are_needed(name: str):
    constraint = none() if name == "none" else ALL[name]()
    assert not constraint.needs_patches
    bound(constraint, drawn(1, 3, 2, 2))  # whose patches raise


def test_none_is_the_identity():
    images = drawn(2, 3, 4, 5)
    found = bound(none(), images)
    assert found.project(images) is images
    assert found.budget.isnan().all()
    assert found.measure(images).shape == (2,)


def test_later_changes_of_the_starts_do_not_move_the_ball():
    starts = torch.zeros(1, 3, 2, 2)
    found = bound(ball(math.inf, 1.0, "start"), starts)
    starts += 100
    assert found.project(torch.full((1, 3, 2, 2), 9.0)).max() == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: norm(0.0), "constraint.value: 0.0 is not a positive number or 'natural'"),
        (lambda: norm("normal"), "constraint.value: normal is not a positive number or 'natural'"),
        (
            lambda: contrast(float("inf")),
            "constraint.value: inf is not a positive number or 'natural'",
        ),
        (
            lambda: contrast(1.0, mean=float("nan")),
            "constraint.mean: nan is not a finite number; null keeps each image's own",
        ),
        (
            lambda: mean(float("nan")),
            "constraint.value: nan is not a finite number or 'natural'",
        ),
        (
            lambda: clip(1.0, 1.0),
            "constraint.lowest: 1.0 is not below constraint.highest, 1.0, in every channel",
        ),
        (
            lambda: clip([0.0, 0.0, 2.0], 1.0),
            "constraint.lowest: [0.0, 0.0, 2.0] is not below constraint.highest, 1.0, in every"
            " channel",
        ),
        (
            lambda: clip([], 1.0),
            "constraint.lowest: [] is not a finite number, or one for each channel",
        ),
        (
            lambda: clip(0.0, float("nan")),
            "constraint.highest: nan is not a finite number, or one for each channel",
        ),
        (lambda: ball(3.0), "constraint.p: 3.0 is not 1, 2 or .inf"),
        (
            lambda: ball(radius=-1.0),
            "constraint.radius: -1.0 is not a positive number or 'natural'",
        ),
        (lambda: ball(center="mean"), "constraint.center: 'mean' is not 'zero' or 'start'"),
    ],
)
def test_bad_value_is_refused(make, message: str):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message
