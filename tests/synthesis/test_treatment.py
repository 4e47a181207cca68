"""What images go through on their way to the network and between steps, in whole ascents."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.images.preprocessing import Preprocessing
from pipeline.synthesis import constraints, parameterizations, regularizers, smoothing, transforms
from pipeline.synthesis.constraints import ConstraintContext
from pipeline.synthesis.loop import Ascent, ascend
from pipeline.synthesis.optimizers import Optimizer, adam, sgd
from pipeline.synthesis.parameterizations import Chain, Setting, compose
from pipeline.synthesis.smoothing import Smoothing
from pipeline.synthesis.transforms import Transform
from pipeline.synthesis.treatment import PLAIN, Treatment

SIZE = (12, 12)
HALF = Preprocessing(resize=None, crop=12, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
UNITS = torch.tensor([0, 1, 2])


class Counted:
    """Scores image i by its dot product with the kernel of unit i, softly; counts its calls."""

    def __init__(self) -> None:
        self.kernels, self.shown = drawn(5, seed=9), list[Tensor]()

    def __call__(self, images: Tensor, units: Tensor) -> Tensor:
        self.shown.append(images.detach().clone())
        along = (images * self.kernels[units].to(images)).sum((1, 2, 3))
        return along + (images**3).mean((1, 2, 3))


def drawn(count: int = 3, seed: int = 0, std: float = 0.5) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return std * torch.randn(count, 3, *SIZE, generator=source, dtype=torch.float64)


def pictures() -> Tensor:
    return drawn(6, seed=5)


def chain(*names: str) -> Chain:
    pieces = {name: getattr(parameterizations, name)() for name in names}
    return compose(pieces, Setting(SIZE, HALF, pictures))


def climbed(treatment: Treatment, optimizer: Optimizer, score: Counted | None = None) -> Ascent:
    return ascend(score or Counted(), UNITS, drawn(), optimizer, treatment)


CHAINS = [
    ("pixel",),
    ("fourier",),
    ("fourier", "decorrelated", "sigmoid"),
    ("low_resolution", "tanh"),
    ("maco",),
    ("clamp",),
    ("decorrelated", "unbounded"),
]


@pytest.mark.parametrize("names", CHAINS)
@pytest.mark.parametrize("moved", [False, True])
def test_last_score_is_that_of_the_image_that_is_returned(names: tuple[str, ...], moved: bool):
    treatment = Treatment(
        chain(*names),
        regularizers=[regularizers.l2(weight=0.3)],
        transforms=[transforms.roll(3)] if moved else [],
        smoothings=[smoothing.blur(sigma=0.5)],
        seeds=[1, 2, 3],
    )
    done = climbed(treatment, adam(steps=4, lr=0.02))
    score = Counted()
    torch.testing.assert_close(done.responses[:, -1], score(done.images, UNITS))
    torch.testing.assert_close(done.responses[:, 0], score(done.starts, UNITS))
    assert done.status == ["ok"] * 3
    assert (done.images != done.starts).flatten(1).any(1).all()


def test_n_updates_take_n_and_one_forward_passes_and_one_more_with_transforms():
    plain, moved = Counted(), Counted()
    climbed(PLAIN, sgd(steps=7), plain)
    climbed(Treatment(transforms=[transforms.roll(3)], seeds=[1, 2, 3]), sgd(steps=7), moved)
    assert len(plain.shown) == 8
    assert len(moved.shown) == 9


def test_pixels_without_more_are_plain_ascent_to_the_bit():
    images, kernels = drawn(), Counted().kernels[UNITS]

    def linear(shown: Tensor, units: Tensor) -> Tensor:
        return (shown * kernels).sum((1, 2, 3))

    done = ascend(linear, UNITS, images, sgd(steps=5, lr=0.1), Treatment(chain("pixel")))
    for _ in range(5):
        images = images.add(kernels, alpha=0.1)
    assert torch.equal(done.images, images)


# Constraints.


BOUNDS = [
    constraints.norm(4.0),
    constraints.mean(0.1),
    constraints.contrast(0.3),
    constraints.contrast(0.3, mean=0.1),
    constraints.range(),
    constraints.clip(-0.2, 0.3),
    constraints.ball(1.0, 20.0),
    constraints.ball(2.0, 3.0),
    constraints.ball(math.inf, 0.2, center="start"),
]


@pytest.mark.parametrize("names", CHAINS)
@pytest.mark.parametrize("number", range(len(BOUNDS)))
def test_constraint_holds_at_the_end_under_every_parameterization(names, number: int):
    space = chain(*names)
    given = ConstraintContext(space.decode(space.encode(drawn())), HALF, pictures)
    bound = BOUNDS[number].bind(given)
    treatment = Treatment(space, bound.project, smoothings=[smoothing.blur(sigma=0.5)])
    done = climbed(treatment, adam(steps=5, lr=0.05))
    for images in (done.starts, done.images):
        assert (images - bound.project(images)).abs().max() <= 1e-6 * images.abs().max()
    known = bound.budget.isfinite()
    measured = bound.measure(done.images)
    exact = number < 4  # a value that is kept, not only a bound
    assert (measured[known] <= bound.budget[known] * (1 + 1e-6)).all()
    if exact:
        torch.testing.assert_close(measured[known], bound.budget[known], rtol=1e-6, atol=1e-6)


LIMITS = {
    "bounds": (constraints.range(), ("pixel", "unbounded")),
    "colors": (constraints.range(), ("pixel", "decorrelated")),
    "images": (constraints.range(), ("pixel",)),
    "clamped": (None, ("pixel", "clamp")),
}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("normalize", ["max", "mean", "norm", "std", "standardize"])
def test_steps_are_normalized_by_the_whole_gradient_and_end_within_bounds(
    name: str, normalize: str
):
    """As in DeepDream: x += lr * g / mean|g| with the g of all pixels, then clip."""
    constraint, names = LIMITS[name]
    space = chain(*names)
    starts = HALF.normalize(torch.where(drawn(std=1.0) > 0, 1.0, 0.0))  # saturated throughout
    given = ConstraintContext(starts, HALF, pictures)
    project = None if constraint is None else constraint.bind(given).project
    done = ascend(
        Counted(),
        UNITS,
        starts,
        sgd(steps=6, lr=0.05, normalize=normalize),
        Treatment(space, project),
    )
    sizes = {
        "max": lambda g: g.abs().max(),
        "mean": lambda g: g.abs().mean(),
        "norm": lambda g: g.norm(),
        "std": lambda g: g.std(),
        "standardize": lambda g: g.std(),
    }
    expected: list[Tensor] = []
    for unit, image in enumerate(starts):
        (values,) = space.encode(image[None])
        for _ in range(6):
            leaf = values.clone().requires_grad_()
            # Without the clamp: on the bounds, gradients are those of the image as it is.
            shown = compose(
                {
                    n: getattr(parameterizations, n if n != "clamp" else "unbounded")()
                    for n in names
                },
                Setting(SIZE, HALF, pictures),
            ).decode([leaf])
            (g,) = torch.autograd.grad(Counted()(shown, UNITS[unit : unit + 1]).sum(), leaf)
            g = g - g.mean() if normalize == "standardize" else g
            moved = space.decode([values + 0.05 * g / sizes[normalize](g)])
            low, high = HALF.normalize(torch.zeros(3, 1, 1)), HALF.normalize(torch.ones(3, 1, 1))
            (values,) = space.encode(moved.clamp(low.to(moved), high.to(moved)))
        expected.append(space.decode([values]))
    torch.testing.assert_close(done.images, torch.cat(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("center", ["zero", "start"])
def test_gradients_on_the_sphere_of_a_ball_are_those_of_the_image_as_it_is(p: float, center: str):
    images = drawn(40).float()
    given = ConstraintContext(drawn(40, seed=3).float(), HALF, pictures)
    bound = constraints.ball(p, 0.2 if p == math.inf else 3.0, center).bind(given)
    leaf = bound.project(images).requires_grad_()  # rounded, every other time to beyond the sphere
    assert (bound.measure(leaf) > bound.budget).any()
    gradient = drawn(40, seed=4).float()
    (found,) = torch.autograd.grad(bound.project(leaf), leaf, gradient)
    torch.testing.assert_close(found, gradient)


def test_nothing_piles_up_beyond_black_and_white():
    """A pixel that was pushed to white long and hard leaves it with the first step down."""
    sign = torch.ones(3, dtype=torch.float64)

    def turning(shown: Tensor, units: Tensor) -> Tensor:
        sign.copy_(torch.where(torch.tensor(len(seen) < 50), 1.0, -1.0))
        seen.append(shown.detach().clone())
        return (shown.sum((1, 2, 3))) * sign

    for constraint, names in LIMITS.values():
        seen: list[Tensor] = []
        given = ConstraintContext(drawn(), HALF, pictures)
        project = None if constraint is None else constraint.bind(given).project
        done = ascend(
            turning, UNITS, drawn(), sgd(steps=51, lr=0.1), Treatment(chain(*names), project)
        )
        assert (seen[50] == 2).any()
        assert (done.images < seen[50]).all(), names


# Regularizers.


def test_penalties_are_taken_off_what_is_climbed_and_not_off_the_score():
    kernels = Counted().kernels[UNITS]

    def linear(shown: Tensor, units: Tensor) -> Tensor:
        return (shown * kernels).sum((1, 2, 3))

    weight, lr, starts = 0.3, 0.1, drawn()
    treatment = Treatment(regularizers=[regularizers.l2(weight), regularizers.l1(0.2)])
    done = ascend(linear, UNITS, starts, sgd(steps=1, lr=lr), treatment)
    length = (starts.square().sum((1, 2, 3), keepdim=True) + 1e-6).sqrt()
    expected = starts + lr * (kernels - weight * starts / length - 0.2 * starts.sign())
    torch.testing.assert_close(done.images, expected)
    torch.testing.assert_close(done.responses[:, 0], linear(starts, UNITS))


def test_distance_to_the_start_pulls_back_to_each_image_s_own_start():
    far = climbed(PLAIN, sgd(steps=20, lr=0.02))
    near = climbed(
        Treatment(regularizers=[regularizers.distance_to_start(weight=30.0)]),
        sgd(steps=20, lr=0.02),
    )
    distances = [found.added.flatten(1).norm(dim=1) for found in (near, far)]
    assert (distances[0] < distances[1]).all()


# Smoothing.


def test_images_are_smoothed_after_every_kth_step():
    asked: list[int] = []

    def noted(images: Tensor, step: int, steps: int) -> Tensor:
        asked.append(step)
        assert steps == 6
        return images

    every = smoothing.blur(sigma=0.7, every=3)
    score = Counted()
    done = climbed(Treatment(smoothings=[Smoothing(image=noted), every]), sgd(steps=6), score)
    assert asked == [0, 1, 2, 3, 4, 5]
    images, kernels = drawn(), Counted()
    for step in range(6):
        leaf = images.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(kernels(leaf, UNITS).sum(), leaf)
        images = images + 0.1 * gradient
        if step in (2, 5):
            assert every.image is not None
            images = every.image(images, step, 6)
    torch.testing.assert_close(done.images, images)


def test_gradients_are_smoothed_before_they_are_followed():
    smoothed = smoothing.cascade()
    assert smoothed.gradient is not None
    done = climbed(Treatment(smoothings=[smoothed]), sgd(steps=1, lr=0.1))
    plain = climbed(PLAIN, sgd(steps=1, lr=0.1))
    expected = drawn() + 0.1 * smoothed.gradient(plain.added / 0.1, 0, 1)
    torch.testing.assert_close(done.images, expected)


def smooth_by_hand(gradient: Tensor, sigma: float) -> Tensor:
    """Return the mean of three blurs with kernels of 9 x 9, reflected at the edges."""
    places = torch.arange(9.0, dtype=torch.float64) - 4
    blurred: list[Tensor] = []
    for width in (0.5 * sigma, sigma, 2 * sigma):
        line = torch.exp(-((places / width) ** 2) / 2)
        kernel = torch.outer(line, line) / torch.outer(line, line).sum()
        padded = F.pad(gradient[None], [4] * 4, mode="reflect")
        blurred.append(F.conv2d(padded, kernel.repeat(3, 1, 1, 1), groups=3)[0])
    return torch.stack(blurred).mean(0)


def test_gradients_are_smoothed_as_the_network_saw_them():
    """Gordic's loop: roll, smooth, standardize, step, clip, roll back."""
    low, high = HALF.normalize(torch.zeros(3, 1, 1)), HALF.normalize(torch.ones(3, 1, 1))
    bound = constraints.range().bind(ConstraintContext(drawn(), HALF, pictures))
    treatment = Treatment(
        project=bound.project,
        transforms=[transforms.roll(5)],
        smoothings=[smoothing.cascade()],
        seeds=(4, 5, 6),
    )
    done = climbed(treatment, sgd(steps=4, lr=0.3, normalize="standardize"))
    for unit, image in enumerate(drawn().clamp(low, high)):
        source = torch.Generator().manual_seed(4 + unit)
        for step in range(4):
            shift = [int(torch.randint(11, (), generator=source)) - 5 for _ in range(2)]
            leaf = image.roll(shift, (1, 2)).requires_grad_()
            score = Counted()(leaf[None], UNITS[unit : unit + 1]).sum()
            (gradient,) = torch.autograd.grad(score, leaf)
            gradient = smooth_by_hand(gradient, 0.5 + 2 * (step + 1) / 4)
            moved = leaf.detach() + 0.3 * (gradient - gradient.mean()) / gradient.std()
            image = moved.clamp(low, high).roll([-n for n in shift], (1, 2))
        torch.testing.assert_close(done.images[unit], image)


def test_penalties_are_smoothed_with_the_score_wherever_the_image_was_rolled():
    both = Treatment(
        regularizers=[regularizers.l2(weight=0.3)],
        transforms=[transforms.roll(5)],
        smoothings=[smoothing.cascade()],
        seeds=(4, 5, 6),
    )
    found = climbed(both, sgd(steps=1, lr=1.0)).added
    apart = [
        climbed(replace(both, regularizers=()), sgd(steps=1, lr=1.0)).added,
        climbed(replace(both, transforms=[], smoothings=[]), sgd(steps=1, lr=1.0)).added
        - climbed(PLAIN, sgd(steps=1, lr=1.0)).added,
    ]
    shifts = [torch.Generator().manual_seed(seed) for seed in (4, 5, 6)]
    for image, (score, penalty) in enumerate(zip(*apart, strict=True)):
        shift = [int(torch.randint(11, (), generator=shifts[image])) - 5 for _ in range(2)]
        smoothed = smooth_by_hand(penalty.roll(shift, (1, 2)), 2.5).roll(
            [-n for n in shift], (1, 2)
        )
        torch.testing.assert_close(found[image], score + smoothed)


# Transforms.


NOISE = transforms.noise(std=0.2)


def moved(*stack: Transform, seeds: tuple[int, ...] = (4, 5, 6)) -> Treatment:
    return Treatment(transforms=list(stack), seeds=seeds)


def test_random_numbers_are_drawn_anew_at_every_step_and_are_each_image_s_own():
    first, second, alone = Counted(), Counted(), Counted()
    climbed(moved(NOISE), sgd(steps=3, lr=1e-9), first)
    climbed(moved(NOISE), sgd(steps=3, lr=1e-9), second)
    assert all(torch.equal(*pair) for pair in zip(first.shown, second.shown, strict=True))
    assert not torch.allclose(first.shown[0], first.shown[1])
    ascend(alone, UNITS[1:2], drawn()[1:2], sgd(steps=3, lr=1e-9), moved(NOISE, seeds=(5,)))
    for together, single in zip(first.shown[:3], alone.shown[:3], strict=True):
        assert torch.equal(together[1:2], single)


def test_transforms_of_pixels_come_before_the_normalization():
    """Lucent's order: what frames an image is gray, and what comes in is black."""
    dull = Preprocessing(resize=None, crop=12, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
    stack = [
        transforms.pad(2, fill=0.5),
        transforms.jitter(4, keeps_size=True),
        transforms.scale(),
        transforms.rotate(),
        transforms.resize(19),
    ]
    treatment = Treatment(
        transforms=[transforms.pixels(), *stack], seeds=(4, 5, 6), fits=False, preprocessing=dull
    )
    mean, std = (torch.tensor(each)[:, None, None].double() for each in (dull.mean, dull.std))
    pixels = drawn() * std + mean
    sources = treatment.generators()
    for transform in stack:
        pixels = transform.apply(pixels, sources)
    shown = treatment.shown(drawn(), treatment.generators()).images
    torch.testing.assert_close(shown, (pixels - mean) / std)
    black = -(mean / std)
    assert torch.isclose(shown[:, :, 0, 0], black[:, 0, 0]).all(1).any()
    framed = replace(treatment, transforms=[transforms.pixels(), stack[0]])
    corners = framed.shown(drawn(), treatment.generators()).images[:, :, 0, 0]
    torch.testing.assert_close(corners, ((0.5 - mean) / std)[:, 0, 0].expand(3, 3))


def test_looks_of_a_step_are_averaged():
    counted = Counted()
    done = climbed(moved(transforms.boxes(0.8, pixels=12, count=3)), sgd(steps=2, lr=0.1), counted)
    assert len(counted.shown) == 2 * 3 + 2
    leaf = drawn().requires_grad_()
    sources, scores = moved(NOISE).generators(), list[Tensor]()
    for _ in range(3):
        box = transforms.boxes(0.8, pixels=12).apply(leaf, sources)
        scores.append(Counted()(box, UNITS))
    (gradient,) = torch.autograd.grad(torch.stack(scores).mean(0).sum(), leaf)
    first = climbed(moved(transforms.boxes(0.8, pixels=12, count=3)), sgd(steps=1, lr=0.1))
    torch.testing.assert_close(first.images, drawn() + 0.1 * gradient)
    assert done.responses.shape == (3, 3)


def test_images_are_shown_at_their_own_size_where_the_network_needs_it():
    stack = (transforms.pad(3), transforms.jitter(2))
    cut, free = Counted(), Counted()
    climbed(moved(*stack), sgd(steps=1, lr=1e-9), cut)
    assert cut.shown[0].shape[2:] == SIZE
    images = drawn()
    larger = Treatment(transforms=list(stack), seeds=(4, 5, 6), fits=False)
    free.shown.append(larger.shown(images, larger.generators()).images)
    assert free.shown[0].shape[2:] == (16, 16)


class Explosive(Counted):
    """The first unit's score overflows at the third step."""

    def __call__(self, images: Tensor, units: Tensor) -> Tensor:
        scores = super().__call__(images, units)
        steps = len(self.shown)
        if steps % 7 == 3:
            scores = scores.clone()
            scores[units == 0] *= math.inf
        return scores


def test_second_climb_past_a_failure_draws_the_same_random_numbers():
    score = Explosive()
    done = ascend(score, UNITS, drawn(), sgd(steps=5, lr=0.01), moved(NOISE))
    plain = climbed(moved(NOISE), sgd(steps=5, lr=0.01))
    assert done.status == ["not_finite", "ok", "ok"]
    assert torch.equal(done.images[1:], plain.images[1:])
    assert torch.equal(done.responses[1:], plain.responses[1:])
    assert done.images.isfinite().all()
    assert len(score.shown) == 2 * 7


def test_parameters_without_an_image_are_climbed_as_they_are():
    space = chain("cppn", "sigmoid")
    parameters = space.draw([torch.Generator().manual_seed(n) for n in range(3)], 0.01)
    before = [parameter.clone() for parameter in parameters]
    done = ascend(Counted(), UNITS, parameters, adam(steps=5, lr=0.01), Treatment(space))
    assert all(torch.equal(*pair) for pair in zip(parameters, before, strict=True))
    torch.testing.assert_close(done.starts, space.decode(parameters))
    assert (done.responses[:, -1] > done.responses[:, 0]).all()


def test_step_is_told_before_it_is_taken():
    told: list[int] = []
    climbed(Treatment(at_step=told.append), sgd(steps=4))
    assert told == [0, 1, 2, 3]
