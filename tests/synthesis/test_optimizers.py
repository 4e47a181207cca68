"""Steps by hand, schedules, normalizations, and every optimizer of torch: one image, one path."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.optimizers import (
    NORMALIZATIONS,
    Optimizer,
    adam,
    momentum,
    named,
    normalized,
    sgd,
)

KINDS = sorted(
    name
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type)
    and issubclass(kind, torch.optim.Optimizer)
    and kind is not torch.optim.Optimizer
)
REFUSED = {
    "Muon": "Muon only supports 2D parameters",
    "SparseAdam": "SparseAdam does not support dense gradients",
}


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def climbed(optimizer: Optimizer, starts: Tensor, targets: Tensor) -> Tensor:
    """Return images after all steps down |x - target|^2 / 2."""
    images = starts.clone()
    step = optimizer.build([images])
    for _ in range(optimizer.steps):
        step([images.detach() - targets])
    return images


# Normalization.


def test_a_step_by_the_largest_gradient_moves_by_exactly_the_step_size():
    images = torch.zeros(3, 3, 4, 5)
    gradient = drawn(3, 3, 4, 5).float() * torch.tensor([1e-4, 1.0, 1e5]).view(3, 1, 1, 1)
    sgd(steps=1, lr=0.25, normalize="max").build([images])([gradient])
    assert images.abs().amax((1, 2, 3)).tolist() == [0.25] * 3


def test_normalizations_are_those_of_numpy():
    gradient = drawn(4, 3, 5, 6)
    flat = gradient.numpy().reshape(4, -1)
    by = {
        "max": np.abs(flat).max(1),
        "mean": np.abs(flat).mean(1),
        "norm": np.sqrt((flat**2).sum(1)),
        "std": flat.std(1, ddof=1),  # unbiased
    }
    for kind, numbers in by.items():
        (found,) = normalized([gradient], kind)
        expected = (flat / numbers[:, None]).reshape(4, 3, 5, 6)
        np.testing.assert_allclose(found.numpy(), expected)
    (found,) = normalized([gradient], "standardize")
    expected = (flat - flat.mean(1, keepdims=True)) / by["std"][:, None]
    np.testing.assert_allclose(found.numpy().reshape(4, -1), expected)


def test_what_stands_for_one_image_is_normalized_together():
    parts = [drawn(2, 3, 4), drawn(2, 5, seed=1)]
    found = normalized(parts, "norm")
    lengths = torch.cat([part.flatten(1) for part in found], 1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(2).double())
    torch.testing.assert_close(found[0][0] / parts[0][0], (found[1][0] / parts[1][0])[:4].mean()
                               .expand(3, 4))  # fmt: skip


@pytest.mark.parametrize("kind", NORMALIZATIONS)
def test_zero_gradient_stays_zero(kind: str):
    (found,) = normalized([torch.zeros(2, 3, 4, 4)], kind)
    assert torch.equal(found, torch.zeros(2, 3, 4, 4))


# Schedules.


def test_learning_rate_goes_linearly_from_start_towards_end():
    steps, start, end = 5, 0.5, 0.1
    images = torch.zeros(1, 3, 1, 1, dtype=torch.float64)
    step, before, moved = sgd(steps, [start, end]).build([images]), 0.0, []
    for _ in range(steps):
        step([-torch.ones(1, 3, 1, 1, dtype=torch.float64)])
        moved.append(float(images[0, 0, 0, 0]) - before)
        before = float(images[0, 0, 0, 0])
    expected = [start * (steps - i) / steps + end * i / steps for i in range(steps)]
    assert moved == pytest.approx(expected)
    assert moved[-1] > end  # the end itself is not reached


def test_every_kind_of_optimizer_can_change_its_rate():
    for name in ("Adam", "LBFGS", "Adafactor"):
        optimizer = named(name, steps=4, lr=[1e-3, 1e-4])
        step = optimizer.build([torch.ones(2, 3, 4, 4)])
        for _ in range(4):
            step([torch.ones(2, 3, 4, 4)])
        rates = {float(group["lr"]) for made in step.made for group in made.param_groups}
        assert rates == {1e-3 * 1 / 4 + 1e-4 * 3 / 4}


# torch's optimizers.


@pytest.mark.parametrize("name", KINDS)
def test_optimizer_of_torch_treats_each_image_alone_or_is_refused(name: str):
    if name in REFUSED:
        sentence = f"optimizer.name: torch.optim.{name} cannot update images with these settings"
        with pytest.raises(ConfigError, match=re.escape(f"{sentence} ({REFUSED[name]}")):
            named(name)
        return
    optimizer = named(name, steps=4, lr=0.01)
    starts, targets = drawn(3, 3, 5, 4), drawn(3, 3, 5, 4, seed=1)
    together = climbed(optimizer, starts, targets)
    assert (together != starts).flatten(1).any(1).all()
    for index in range(3):
        one = slice(index, index + 1)
        alone = climbed(optimizer, starts[one], targets[one])
        torch.testing.assert_close(together[one], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "own"), [("Adam", adam), ("SGD", sgd)])
@pytest.mark.parametrize("lr", [0.1, [0.3, 0.01]], ids=["steady", "falling"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_named_optimizer_is_the_one_of_that_name(name: str, own, lr, dtype):
    starts, targets = drawn(2, 3, 4, 4).to(dtype), drawn(2, 3, 4, 4, seed=1).to(dtype)
    first = climbed(named(name, steps=25, lr=lr), starts, targets)
    assert torch.equal(first, climbed(own(steps=25, lr=lr), starts, targets))


def test_settings_reach_the_optimizer():
    starts, targets = drawn(2, 3, 4, 4), drawn(2, 3, 4, 4, seed=1)
    first = climbed(named("SGD", steps=25, lr=0.1, settings={"momentum": 0.9}), starts, targets)
    assert torch.equal(first, climbed(momentum(steps=25, lr=0.1), starts, targets))
    betas = {"betas": (0.5, 0.75)}
    first = climbed(named("Adam", steps=25, lr=0.1, settings=betas), starts, targets)
    own = adam(steps=25, lr=0.1, beta1=0.5, beta2=0.75)
    assert torch.equal(first, climbed(own, starts, targets))


def test_lbfgs_finds_the_top_of_a_parabola_in_a_few_steps():
    starts, targets = drawn(3, 3, 4, 4), drawn(3, 3, 4, 4, seed=1)
    found = climbed(named("LBFGS", steps=8, lr=1.0), starts, targets)
    torch.testing.assert_close(found, targets, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sgd(steps=0), "optimizer.steps: 0 is not positive; use 1 or more"),
        (
            lambda: sgd(lr=-0.1),
            "optimizer.lr: -0.1 is not a number of 0 or more, or two of them; write one value or"
            " [start, end]",
        ),
        (
            lambda: adam(lr=float("nan")),
            "optimizer.lr: nan is not a number of 0 or more, or two of them; write one value or"
            " [start, end]",
        ),
        (
            lambda: sgd(lr=0.0),
            "optimizer.lr: 0.0 is not a positive number; ascent adds lr * gradient",
        ),
        (
            lambda: sgd(lr=[0.5, 0.4, 0.3]),
            "optimizer.lr: [0.5, 0.4, 0.3] is not a number of 0 or more, or two of them; write one"
            " value or [start, end]",
        ),
        (lambda: momentum(momentum=1.0), "optimizer.momentum: 1.0 is not from 0 to below 1"),
        (lambda: adam(beta2=1.5), "optimizer.beta2: 1.5 is not from 0 to below 1"),
        (
            lambda: sgd(normalize="maximum"),
            "optimizer.normalize: 'maximum' is not one of max, mean, norm, std, standardize or"
            " null; nearest: max",
        ),
        (
            lambda: named("RMSProp"),
            f"optimizer.name: 'RMSProp' is not in torch.optim, which has {', '.join(KINDS)};"
            " nearest: RMSprop",
        ),
        (
            lambda: named("SGD", settings={"momentun": 0.5}),
            "optimizer.name: torch.optim.SGD cannot update images with these settings"
            " (SGD.__init__() got an unexpected keyword argument 'momentun')",
        ),
    ],
)
def test_bad_value_is_refused(make, message: str):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message
