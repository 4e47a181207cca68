"""What happens to a module after it was made a network: seen, or refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import pipeline
from pipeline.errors import NetworkError
from pipeline.networks.loading.network import Network
from pipeline.networks.loading.weights import seeded
from pipeline.synthesis.optimizers import sgd

IMAGES = torch.randn(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def used() -> Network:
    """A network that has been traced, searched and climbed."""
    with seeded(0):
        module = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3)
        ).eval()
    net = pipeline.network(module, input_size=20)
    pipeline.responses(net, IMAGES, "conv2")
    pipeline.ascend(net, "conv2", [0], optimizer=sgd(steps=1))
    return net


def _double_in_place(module: nn.Sequential) -> None:
    with torch.no_grad():
        module[3].weight.mul_(2)
        module[1].running_mean.add_(1)


def _load(module: nn.Sequential) -> None:
    module.load_state_dict({name: value + 1 for name, value in module.state_dict().items()})


@pytest.mark.parametrize("change", [_double_in_place, _load])
def test_weights_that_change_in_place_are_seen(used: Network, change: Callable[..., None]):
    before = used.module(IMAGES)
    change(used.module)
    expected = used.module(IMAGES)
    assert (expected - before).abs().max() > 0.1
    found = pipeline.responses(used, IMAGES, "conv2", at="all")["conv2"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    field = IMAGES[:1, :, :5, :5]
    response = used.unit_network("conv2")(field, torch.tensor([3]))
    torch.testing.assert_close(response[0], expected[0, 3, 0, 0], rtol=0, atol=1e-5)
    start = pipeline.ascend(used, "conv2", [3], start=field, optimizer=sgd(steps=1))
    torch.testing.assert_close(start.responses[0, 0], expected[0, 3, 0, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda module: module.__setitem__(3, nn.Conv2d(4, 5, 3)), "module '3' of Sequential"),
        (lambda module: module.append(nn.ReLU()), "module '4' of Sequential"),
        (
            lambda module: setattr(module[3], "weight", nn.Parameter(torch.ones(5, 4, 3, 3))),
            "parameter '3.weight' of Sequential",
        ),
        (
            lambda module: setattr(module[1], "running_mean", torch.ones(4)),
            "buffer '1.running_mean' of Sequential",
        ),
        (lambda module: module.double(), "parameter '0.weight' of Sequential"),
        (lambda module: module.train(), "Sequential is in training mode again; call net.module.ev"),
    ],
)
def test_parts_that_are_replaced_are_refused(
    used: Network, change: Callable[[nn.Module], object], sentence: str
):
    change(used.module)
    for ask in (
        lambda: pipeline.responses(used, IMAGES, "conv2"),
        lambda: pipeline.ascend(used, "conv2", [0]),
        lambda: used.unit_network("conv2"),
        lambda: used.sized((30, 30)),
    ):
        with pytest.raises(NetworkError, match=f"^model: {sentence}"):
            ask()


def test_a_network_that_was_moved_and_moved_back_is_the_same(used: Network):
    before = pipeline.responses(used, IMAGES, "conv2")["conv2"]
    buffer = used.module[1].running_mean
    used.module._apply(torch.clone)  # what a move does to every tensor
    assert used.module[1].running_mean is not buffer
    np.testing.assert_array_equal(pipeline.responses(used, IMAGES, "conv2")["conv2"], before)


def test_a_network_made_again_sees_what_was_replaced(used: Network):
    used.module[3] = nn.Conv2d(4, 7, 3)
    again = pipeline.network(used.module, input_size=20)
    found = pipeline.responses(again, IMAGES, "conv2", at="all")["conv2"]
    np.testing.assert_allclose(found, used.module(IMAGES), rtol=0, atol=1e-5)


class Untraceable(nn.Module):
    """Decides by what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return a map."""
        seen = [self.a(image) for image in images.split(1)]
        return torch.cat([self.b(each.relu() if each.mean() > 0 else each) for each in seen])


def test_a_module_that_cannot_be_traced_keeps_its_own_weights():
    module = Untraceable().eval()
    before = [*module.parameters()]
    net = pipeline.network(module, input_size=12)
    pipeline.ascend(net, "conv2", [0], optimizer=sgd(steps=1))
    pipeline.dream(net, "conv1", torch.zeros(3, 12, 12), levels=1)
    assert all(one is other for one, other in zip(module.parameters(), before, strict=True))


class Twice(nn.Module):
    """Returns a tensor twice, and what is none."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3)

    def forward(self, images: torch.Tensor) -> tuple[object, ...]:
        """Return several things."""
        seen = self.a(images)
        return seen, seen, None, {"rectified": seen.relu(), "number": 3}


def test_a_module_that_returns_several_things_is_traced():
    net = pipeline.network(Twice().eval(), input_size=20)
    assert net.layers.field.tolist() == [(3, 3)]
    found = pipeline.responses(net, IMAGES, "conv1", at="all")["conv1"]
    np.testing.assert_allclose(found, net.module.a(IMAGES), rtol=0, atol=1e-5)
