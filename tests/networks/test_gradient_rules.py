"""Other gradients of ReLU and max pooling: the same values, and gradients by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from pipeline.errors import ConfigError, NetworkError
from pipeline.networks.gradient_rules import (
    GradientRule,
    apply_rule,
    at_step,
    check_rule,
    guided,
    plain,
    redirected_relu,
    smooth_pooling,
)
from pipeline.networks.loading.weights import seeded


class Mixed(nn.Module):
    """ReLU as a module, a function and a method, and max pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return F.relu(self.second(self.pool(self.relu(self.first(images))))).sub(0.1).relu()


@pytest.fixture(autouse=True)
def first_step():
    at_step(0)
    yield
    at_step(0)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def ruled(module: nn.Module, rule: GradientRule) -> fx.GraphModule:
    network = fx.symbolic_trace(module)
    apply_rule(network, rule)
    return network


def handed_down(rule: GradientRule, numbers: list[list[float]], gradients: list[list[float]]):
    """Return the gradients of numbers, one image each, behind a single ReLU."""
    given = torch.tensor(numbers, requires_grad=True)
    out = ruled(nn.Sequential(nn.ReLU()), rule)(given)
    (found,) = torch.autograd.grad(out, given, torch.tensor(gradients))
    return found.tolist()


@pytest.mark.parametrize(
    "rule",
    [
        redirected_relu(),
        redirected_relu(None),
        guided(),
        smooth_pooling(),
        smooth_pooling("guided"),
    ],
)
def test_values_are_the_same_to_the_bit(rule: GradientRule):
    with seeded(0):
        module = Mixed().requires_grad_(False)
    shown = images(3, 3, 17, 14).requires_grad_()
    assert torch.equal(ruled(module, rule)(shown), module(shown))


def test_redirected_relu_lets_through_what_would_raise_silent_numbers():
    # The gradients are of what is minimized: a negative one asks for more.
    silent = [-1.0, -2.0, -0.5]
    asked = [-3.0, 2.0, 0.0]
    assert handed_down(redirected_relu(), [silent], [asked]) == [[-3.0, 0.0, 0.0]]


def test_redirection_is_for_images_for_which_all_gradient_would_vanish():
    numbers = [[-1.0, 2.0], [-1.0, -2.0]]
    gradients = [[-3.0, 1.5], [-3.0, 1.5]]
    assert handed_down(redirected_relu(), numbers, gradients) == [[0.0, 1.5], [-3.0, 0.0]]


def test_redirection_ends_after_its_first_steps():
    numbers, gradients = [[-1.0, -1.0]], [[-3.0, 1.0]]
    for step, expected in ((0, [-3.0, 0.0]), (1, [-3.0, 0.0]), (2, [0.0, 0.0]), (9, [0.0, 0.0])):
        at_step(step)
        assert handed_down(redirected_relu(2), numbers, gradients) == [expected]
        assert handed_down(redirected_relu(None), numbers, gradients) == [[-3.0, 0.0]]


def test_guided_backpropagation_lets_through_what_raises_active_numbers():
    numbers, gradients = [[1.0, 1.0, -1.0, -1.0]], [[-2.0, 3.0, -2.0, 3.0]]
    assert handed_down(guided(), numbers, gradients) == [[-2.0, 0.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2),
        nn.MaxPool2d(3, 2),
        nn.MaxPool2d(3, 2, padding=1),
        nn.MaxPool2d((2, 3), (1, 2), padding=(1, 0)),
    ],
)
def test_smooth_pooling_has_the_gradient_of_average_pooling(pool: nn.MaxPool2d):
    maps = images(2, 3, 9, 11).double().requires_grad_()
    smooth = ruled(nn.Sequential(pool), smooth_pooling())(maps)
    assert torch.equal(smooth, pool(maps))
    mean = F.avg_pool2d(maps, pool.kernel_size, pool.stride, pool.padding)
    gradients = images(*smooth.shape, seed=1).double()
    (found,) = torch.autograd.grad(smooth, maps, gradients)
    (expected,) = torch.autograd.grad(mean, maps, gradients)
    torch.testing.assert_close(found, expected)


def test_smooth_pooling_at_the_edge_shares_out_to_what_is_there():
    # ceil_mode and dilation, by hand: every number gets 1 / 9 of the gradient of each window.
    pool = nn.MaxPool2d(3, 2, dilation=2, ceil_mode=True)
    maps = images(1, 1, 8, 7).double().requires_grad_()
    out = ruled(nn.Sequential(pool), smooth_pooling())(maps)
    assert torch.equal(out, pool(maps))
    gradients = images(*out.shape, seed=1).double()
    (found,) = torch.autograd.grad(out, maps, gradients)
    expected = torch.zeros(8, 7, dtype=torch.float64)
    for row in range(out.shape[2]):
        for column in range(out.shape[3]):
            for y in (2 * row, 2 * row + 2, 2 * row + 4):
                for x in (2 * column, 2 * column + 2, 2 * column + 4):
                    if y < 8 and x < 7:
                        expected[y, x] += gradients[0, 0, row, column] / 9
    torch.testing.assert_close(found[0, 0], expected)


def test_smooth_pooling_stands_beside_a_rule_of_relu():
    with seeded(0):
        module = Mixed().requires_grad_(False)
    network = ruled(module, smooth_pooling("guided"))
    kinds = [type(found).__name__ for _, found in network.named_modules()]
    assert kinds.count("RuledReLU") == 3
    assert kinds.count("SmoothMaxPool") == 1


def test_plain_rule_is_plain():
    assert plain().is_plain
    assert not guided().is_plain
    assert not smooth_pooling().is_plain


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: redirected_relu(0),
            "gradient.steps: 0 is not positive; use 1 or more, or null",
        ),
        (
            lambda: smooth_pooling("guidet"),
            "gradient.relu: 'guidet' is not one of plain, redirected, guided; nearest: guided",
        ),
    ],
)
def test_bad_value_is_refused(make, message: str):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize(("rule", "what"), [(guided(), "ReLU"), (smooth_pooling(), "max pooling")])
def test_rule_about_what_a_network_has_not_is_refused(rule: GradientRule, what: str):
    network = fx.symbolic_trace(nn.Sequential(nn.Conv2d(3, 2, 1)))
    with pytest.raises(NetworkError) as caught:
        check_rule(network, rule)
    assert str(caught.value) == (
        f"gradient: the network has no {what} to which the rule could apply; use gradient=plain"
    )


def test_pooling_by_a_function_is_smoothed_as_that_by_a_module_is():
    class Functional(nn.Module):
        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            return F.max_pool2d(maps, 3, stride=2, padding=1)

    maps = torch.randn(2, 3, 7, 8, generator=torch.Generator().manual_seed(0))
    gradients = []
    for network in (Functional(), nn.Sequential(nn.MaxPool2d(3, 2, 1))):
        traced = fx.symbolic_trace(network)
        apply_rule(traced, smooth_pooling())
        images = maps.clone().requires_grad_()
        traced(images).square().sum().backward()
        gradients.append(images.grad)
    assert torch.equal(gradients[0], gradients[1])
