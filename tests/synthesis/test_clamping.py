from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.synthesis.clamping import clamp_inward


def clamped_gradient(value: float, gradient: float) -> float:
    values = torch.tensor([value], requires_grad=True)
    (found,) = torch.autograd.grad(
        clamp_inward(values, -1.0, 1.0), values, torch.tensor([gradient])
    )
    return found.item()


@pytest.mark.parametrize(
    ("value", "gradient", "passed"),
    [
        (0.5, 2.0, 2.0),
        (0.5, -2.0, -2.0),
        (1.0, -2.0, -2.0),  # on the bound is inside
        (-1.0, 2.0, 2.0),
        (1.0001, -2.0, -2.0),  # on the bound up to rounding
        (-1.0001, 2.0, 2.0),
        (1.001, -2.0, 0.0),
        (-1.001, 2.0, 0.0),
        (1.5, -2.0, 0.0),  # descending would raise it further
        (1.5, 2.0, 2.0),
        (-1.5, 2.0, 0.0),
        (-1.5, -2.0, -2.0),
    ],
)
def test_gradient_passes_only_where_descent_leads_back_inside(value, gradient, passed):
    assert clamped_gradient(value, gradient) == passed


@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=20))
def test_values_are_those_of_a_plain_clamp(numbers):
    for dtype in (torch.float32, torch.float64):
        values = torch.tensor(numbers, dtype=dtype)
        assert torch.equal(clamp_inward(values, -0.5, 1.25), values.clamp(-0.5, 1.25))


def test_bounds_may_differ_by_channel():
    values = torch.tensor([[[-5.0, 5.0]], [[-5.0, 5.0]]])[None]
    low, high = torch.tensor([-1.0, -2.0])[:, None, None], torch.tensor([3.0, 4.0])[:, None, None]
    expected = torch.tensor([[[-1.0, 3.0]], [[-2.0, 4.0]]])[None]
    assert torch.equal(clamp_inward(values, low, high), expected)


def test_descent_from_outside_comes_back_where_a_plain_clamp_is_stuck():
    def descend(clamp) -> float:
        value = torch.tensor([5.0], requires_grad=True)
        for _ in range(100):
            (gradient,) = torch.autograd.grad(
                (clamp(value, -1.0, 1.0) - 0.25).square().sum(), value
            )
            value = (value - 0.1 * gradient).detach().requires_grad_()
        return value.item()

    assert descend(torch.clamp) == 5.0
    assert descend(clamp_inward) == pytest.approx(0.25, abs=1e-4)


def test_nan_stays_nan():
    values = torch.tensor([math.nan, 7.0])
    found = clamp_inward(values, -1.0, 1.0)
    assert found[0].isnan()
    assert found[1] == 1
