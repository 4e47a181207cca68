from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit

from pipeline.synthesis.parameterizations import (
    Setting,
    clamp,
    compose,
    sigmoid,
    tanh,
    unbounded,
)

PIECES = {"sigmoid": sigmoid(), "tanh": tanh(), "clamp": clamp(), "unbounded": unbounded()}
MEAN = np.array([0.485, 0.456, 0.406])[:, None, None]


def chain(setting: Setting, name: str):
    return compose({name: PIECES[name]}, setting)


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("sigmoid", expit),
        ("tanh", lambda v: expit(2 * v)),  # an identity: (tanh(v) + 1) / 2 = sigmoid(2 v)
        ("clamp", lambda v: np.clip(MEAN + v, 0, 1)),
        ("unbounded", lambda v: MEAN + v),
    ],
)
def test_values_become_pixels_and_network_input(setting, name, pixels):
    own = setting((4, 5))
    values = 2 * torch.randn(2, 3, 4, 5, dtype=torch.float64)
    expected = own.preprocessing.normalize(torch.tensor(pixels(values.numpy())))
    torch.testing.assert_close(chain(own, name).decode([values]), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "clamp"])
def test_pixels_stay_from_0_to_1(setting, name):
    own = setting((4, 5))
    images = chain(own, name).decode([100 * torch.randn(5, 3, 4, 5)])
    lowest = own.preprocessing.normalize(torch.zeros(3, 1, 1))
    highest = own.preprocessing.normalize(torch.ones(3, 1, 1))
    assert (images >= lowest - 1e-6).all()
    assert (images <= highest + 1e-6).all()


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_zero_is_gray(setting, name):
    own = setting((1, 1))
    expected = own.preprocessing.normalize(torch.full((1, 3, 1, 1), 0.5))
    torch.testing.assert_close(chain(own, name).decode([torch.zeros(1, 3, 1, 1)]), expected)


@pytest.mark.parametrize("name", ["clamp", "unbounded"])
def test_zero_is_the_mean_color(setting, name):
    decoded = chain(setting((1, 1)), name).decode([torch.zeros(1, 3, 1, 1)])
    torch.testing.assert_close(decoded, torch.zeros(1, 3, 1, 1))


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_black_and_white_become_finite_values(setting, name):
    own = setting((1, 2))
    extremes = own.preprocessing.normalize(torch.tensor([0.0, 1.0]).expand(1, 3, 1, 2))
    (values,) = chain(own, name).encode(extremes)
    # logit(0.99) = 4.5951; tanh needs half of it.
    expected = torch.tensor([-4.59512, 4.59512]) / (2 if name == "tanh" else 1)
    torch.testing.assert_close(values, expected.expand(1, 3, 1, 2), rtol=1e-4, atol=1e-4)


def test_a_clamped_pixel_is_led_back_inside_but_not_further_out(setting):
    space = chain(setting((1, 3)), "clamp")
    values = torch.tensor([-2.0, 0.0, 2.0]).repeat(1, 3, 1, 1).requires_grad_()
    images = space.decode([values])
    for uphill in (True, False):  # as an optimizer would minimize -sum and +sum
        (gradient,) = torch.autograd.grad(
            -images.sum() if uphill else images.sum(), values, retain_graph=True
        )
        moves = -gradient[0, 0, 0].sign()
        assert moves.tolist() == ([1, 1, 0] if uphill else [0, -1, -1])


def test_no_pixel_is_stuck_after_it_left_the_range(setting):
    own = setting((2, 2))
    space = chain(own, "clamp")
    target = own.preprocessing.normalize(torch.full((1, 3, 2, 2), 0.75))
    values = torch.full((1, 3, 2, 2), -3.0, requires_grad=True)
    optimizer = torch.optim.SGD([values], lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        (space.decode([values]) - target).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(space.decode([values.detach()]), target)
