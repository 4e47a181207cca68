"""Backgrounds are pieces of the photographs given, and of no others."""

import torch

from pipeline.miniature.backgrounds import CONTRAST, random_backgrounds


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_pixels_stay_in_range_and_vary():
    photographs = [torch.rand(3, 120, 150, generator=generator()), torch.rand(3, 300, 200)]
    pieces = random_backgrounds(photographs, 20, 96, generator())
    assert pieces.shape == (20, 3, 96, 96)
    assert pieces.min() >= 0
    assert pieces.max() <= 1
    assert pieces.flatten(1).unique(dim=0).shape[0] == 20


def test_a_flat_photograph_gives_flat_backgrounds_only():
    flat, striped = torch.full((3, 200, 200), 0.5), torch.zeros(3, 200, 200)
    striped[:, ::2] = 1
    from_flat = random_backgrounds([flat], 8, 96, generator())
    from_striped = random_backgrounds([striped], 8, 96, generator())
    assert from_flat.std((2, 3)).max() < 1e-5
    assert from_striped.std((2, 3)).min() > 0.01


def test_contrast_is_reduced_so_that_shapes_stand_out():
    halves = torch.zeros(3, 96, 96)
    halves[:, :, 48:] = 1
    pieces = random_backgrounds([halves], 50, 96, generator())
    difference = pieces.amax((1, 2, 3)) - pieces.amin((1, 2, 3))
    # The tint adds a little to the difference between the lightest and the darkest channel.
    assert difference.max() < CONTRAST[1] + 0.2


def test_a_photograph_of_exactly_the_size_is_used_whole_and_mirrored_half_of_the_time():
    ramp = torch.linspace(0, 1, 96).expand(3, 96, 96).contiguous()
    pieces = random_backgrounds([ramp], 60, 96, generator())
    rising = (pieces[:, :, :, -1] > pieces[:, :, :, 0]).all(2).all(1)
    falling = (pieces[:, :, :, -1] < pieces[:, :, :, 0]).all(2).all(1)
    assert (rising | falling).all()
    assert 15 < rising.sum() < 45


def test_the_generator_decides_everything():
    photographs = [torch.rand(3, 120, 150, generator=generator())]
    once, again = (random_backgrounds(photographs, 4, 96, generator(3)) for _ in range(2))
    other = random_backgrounds(photographs, 4, 96, generator(4))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
