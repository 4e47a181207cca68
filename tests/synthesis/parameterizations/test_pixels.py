from __future__ import annotations

import torch

from pipeline.synthesis.parameterizations import compose, low_resolution, pixel


def test_a_step_on_pixels_adds_exactly_the_scaled_gradient(setting):
    space = compose({"pixel": pixel()}, setting((5, 4)))
    start = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(1))
    weights = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(2))
    parameters = [tensor.clone().requires_grad_() for tensor in space.encode(start)]
    (-(space.decode(parameters) * weights).sum()).backward()
    torch.optim.SGD(parameters, lr=0.1).step()
    assert torch.equal(space.decode(parameters), torch.add(start, weights, alpha=0.1))


def test_a_drawn_image_is_the_noise_of_its_generator(setting):
    space = compose({"low_resolution": low_resolution(2.0)}, setting((5, 4)))
    (drawn,) = space.draw([torch.Generator().manual_seed(seed) for seed in (3, 4)], 0.5)
    expected = 0.5 * torch.randn(3, 3, 2, generator=torch.Generator().manual_seed(4))
    assert torch.equal(drawn[1], expected)
