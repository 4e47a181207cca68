"""Climbs of Gabors: bounds, the best that was seen, and broken scores."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.stimuli.gabors import gabor_patterns
from pipeline.synthesis.gabors import (
    BOUNDED,
    COLUMNS,
    GaborStarts,
    at_bounds,
    bounds,
    climb_gabors,
    climbed_together,
    gabor_climb,
    gabor_images,
)
from pipeline.synthesis.optimizers import adam

CANVAS = (12, 16)
GABOR = torch.tensor([[0.5, -0.5, 0.3, 0.15, 0.2, 2.0, 2.0]], dtype=torch.float64)


def starts(count: int) -> GaborStarts:
    ones = torch.ones(count, dtype=torch.float64)
    return GaborStarts(GABOR.repeat(count, 1), ones[:, None].expand(-1, 3), 0.8 * ones)


def test_parameters_stay_within_bounds_however_large_the_steps():
    wanted = torch.randn(30, 3, *CANVAS, generator=torch.Generator().manual_seed(0))
    seen: list[Tensor] = []

    def score(images: Tensor, units: Tensor) -> Tensor:
        seen.append(images.detach())
        return (images * wanted[units]).sum((1, 2, 3))

    found = climb_gabors(score, torch.arange(30), starts(30), CANVAS, adam(steps=15, lr=3.0))
    low, high = bounds(CANVAS)
    values = found.gabors[:, COLUMNS]
    assert ((values >= low - 1e-9) & (values <= high + 1e-9)).all()
    assert any(at_bounds(found.gabors, CANVAS))
    rms = torch.cat(seen).double().square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(rms, torch.full_like(rms, 0.8), rtol=1e-5, atol=0)


def test_the_best_that_was_seen_is_kept_with_its_parameters():
    wanted = torch.randn(4, 3, *CANVAS, generator=torch.Generator().manual_seed(1))
    every: list[Tensor] = []

    def score(images: Tensor, units: Tensor) -> Tensor:
        found = (images * wanted[units]).sum((1, 2, 3))
        every.append(found.detach())
        return found

    given = starts(4)  # such steps leave the maximum again
    found = climb_gabors(score, torch.arange(4), given, CANVAS, adam(steps=30, lr=1.0))
    responses = torch.stack(every)
    assert torch.equal(found.responses.float(), responses.amax(0))
    assert torch.equal(found.first.float(), responses[0])
    assert not torch.equal(responses[-1], responses.amax(0))
    again = gabor_images(found.gabors, found.colors, given.rms, CANVAS)
    torch.testing.assert_close((again * wanted).sum((1, 2, 3)), responses.amax(0))


def test_responses_that_are_not_finite_never_win_and_stop_nothing():
    def score(images: Tensor, units: Tensor) -> Tensor:
        return images[:, 0, 6, 8] * torch.tensor([1.0, torch.nan, 1.0])[units]

    found = climb_gabors(score, torch.arange(3), starts(3), CANVAS, gabor_climb(10))
    assert found.responses.isfinite().tolist() == [True, False, True]
    assert found.responses[0] == found.responses[2] > found.first[0]


def test_a_place_moves_the_envelope_and_leaves_the_wave():
    # A response to the power under a narrow window far away can only grow by moving there.
    window = gabor_patterns(torch.tensor([[4.0, 2.0, 0, 1e-3, 0, 1.5, 1.5]]), CANVAS)[0]

    def score(images: Tensor, _units: Tensor) -> Tensor:
        return (images.square() * window).sum((1, 2, 3))

    found = climb_gabors(score, torch.arange(1), starts(1), CANVAS, gabor_climb(100))
    assert (found.gabors[0, :2] - torch.tensor([4.0, 2.0])).abs().max() < 0.6


def test_bounds_by_name():
    at = GABOR.clone()
    at[0, [0, 3]] = torch.tensor([7.99, 0.4999], dtype=torch.float64)
    assert at_bounds(torch.cat([GABOR, at]), CANVAS) == ["", "x, frequency"]
    assert bounds(CANVAS)[:, BOUNDED.index("x")].tolist() == [-8.0, 8.0]


def test_units_are_climbed_alone_on_a_cpu():
    assert climbed_together([4, 2, 7], "cpu", 64) == [[4], [2], [7]]
    assert climbed_together([4, 2, 7], "cuda", 2) == [[4, 2], [7]]
