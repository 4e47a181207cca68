from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.synthesis.parameterizations import compose, cppn


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def filled(parameters: list[torch.Tensor]) -> list[torch.Tensor]:
    """The parameters with random numbers in place of zeros."""
    source = torch.Generator().manual_seed(99)
    return [p if p.any() else 0.5 * torch.randn(p.shape, generator=source) for p in parameters]


def test_color_is_a_network_of_the_place(setting):
    space = compose({"cppn": cppn(layers=3, width=4)}, setting((5, 7)))
    parameters = [p.double() for p in filled(space.draw(generators(2), 0.0))]
    images = space.decode(parameters)
    w1, b1, w2, b2, w3, b3 = (p[1].numpy() for p in parameters)

    def activation(x: np.ndarray) -> np.ndarray:
        return np.concatenate([np.arctan(x) / 0.67, np.arctan(x) ** 2 / 0.6])

    # Row 4 is the last of 5, column 3 the middle one of 7.
    place = np.array([np.sqrt(3), 0.0])
    color = w3 @ activation(w2 @ activation(w1 @ place + b1) + b2) + b3
    np.testing.assert_allclose(images[1, :, 4, 3].numpy(), color, rtol=1e-10)


def test_the_same_network_draws_the_same_image_at_any_resolution(setting):
    coarse = compose({"cppn": cppn()}, setting((9, 6)))
    fine = compose({"cppn": cppn()}, setting((17, 11)))
    parameters = [p.double() for p in filled(coarse.draw(generators(2), 0.0))]
    torch.testing.assert_close(fine.decode(parameters)[:, :, ::2, ::2], coarse.decode(parameters))


def test_images_are_zero_at_first_and_can_leave_it(setting):
    space = compose({"cppn": cppn()}, setting((6, 6)))
    parameters = [p.requires_grad_() for p in space.draw(generators(3), 0.0)]
    images = space.decode(parameters)
    assert not images.any()
    images[:, 0].sum().backward()
    assert parameters[-2].grad.any()  # the weights of the last layer


def test_values_keep_their_size_through_the_layers(setting):
    space = compose({"cppn": cppn()}, setting((20, 20)))
    parameters = space.draw(generators(10), 0.0)
    assert len(parameters) == 2 * 8
    assert [tuple(p.shape[1:]) for p in parameters[:4]] == [(24, 2), (24,), (24, 48), (24,)]
    last = torch.randn(10, 3, 48, generator=torch.Generator().manual_seed(1)) / 48**0.5
    assert 0.5 < space.decode([*parameters[:-2], last, parameters[-1]]).std().item() < 2


def test_hidden_weights_have_the_variance_of_one_over_their_inputs(setting):
    parameters = compose({"cppn": cppn()}, setting((6, 6))).draw(generators(40), 0.0)
    assert parameters[0].std().item() == pytest.approx(2**-0.5, rel=0.05)
    assert parameters[6].std().item() == pytest.approx(48**-0.5, rel=0.02)


def test_an_image_cannot_be_encoded(setting):
    space = compose({"cppn": cppn()}, setting((6, 6)))
    assert not space.invertible
    with pytest.raises(ConfigError) as caught:
        space.encode(torch.zeros(1, 3, 6, 6))
    assert str(caught.value) == (
        "parameterization: a cppn has no inverse, so that it cannot start from an image; use"
        " init=[parameters]"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: cppn(layers=1),
            "parameterization.cppn.layers: 1 is too few; use 2 or more",
        ),
        (
            lambda: cppn(width=0),
            "parameterization.cppn.width: 0 is not positive; use 1 or more",
        ),
    ],
)
def test_bad_value_is_refused(make, message: str):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message
