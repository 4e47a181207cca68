"""What follows a layer up to its nonlinearity, beside what torch computes of the same tensor."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import find_layers
from pipeline.networks.nonlinearity import Nonlinearity, nonlinearity


def after(module: nn.Module, layer: str = "conv1") -> Nonlinearity:
    graph = Graph(module.eval(), (6, 6), 3)
    return nonlinearity(graph, find_layers(graph, layer, "own")[0])


def normalization() -> nn.BatchNorm2d:
    batch_norm = nn.BatchNorm2d(4)
    with torch.no_grad():
        for values in (batch_norm.weight, batch_norm.bias, batch_norm.running_mean):
            assert values is not None
            values.copy_(torch.tensor([-2.0, 0.5, 1.0, 3.0]))
    return batch_norm.eval()


@pytest.mark.parametrize(
    "modules",
    [
        [nn.ReLU(inplace=True)],
        [nn.Dropout(), nn.Identity(), nn.GELU()],
        [normalization(), nn.SiLU(inplace=True)],
        [nn.PReLU(4, init=0.1)],
    ],
)
def test_activations_are_those_of_the_modules(modules: list[nn.Module]):
    found = after(nn.Sequential(nn.Conv2d(3, 4, 3), *modules, nn.Conv2d(4, 2, 3)))
    responses = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    before, expected = responses.clone(), responses.clone()[:, :, None, None]
    for module in modules:
        expected = module.eval()(expected)
    torch.testing.assert_close(found(responses), expected[:, :, 0, 0], rtol=0, atol=0)
    torch.testing.assert_close(responses, before, rtol=0, atol=0)  # though some work in place


class ByFunctions(nn.Module):
    """A convolution, batch normalization by a function, and a nonlinearity."""

    def __init__(self, nonlinear: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.nonlinear = nn.Conv2d(3, 4, 3), nonlinear
        self.mean, self.variance = nn.Buffer(torch.arange(4.0)), nn.Buffer(torch.full((4,), 4.0))

    def forward(self, images: Tensor) -> Tensor:
        return self.nonlinear(F.batch_norm(self.conv(images), self.mean, self.variance))


@pytest.mark.parametrize("nonlinear", [F.relu, F.hardswish, torch.tanh, Tensor.relu_])
def test_functions_and_methods_count_as_modules_do(nonlinear: Callable[[Tensor], Tensor]):
    responses = torch.tensor([[-1.0, 2.0, 5.0, 3.0]])
    expected = nonlinear((responses - torch.arange(4.0)) / (4 + 1e-5) ** 0.5)
    torch.testing.assert_close(after(ByFunctions(nonlinear))(responses), expected)


def test_units_of_a_linear_layer_have_no_map():
    found = after(nn.Sequential(nn.Flatten(), nn.Linear(108, 5)), "output")
    assert found.reason == "no nonlinearity of its own follows output"
    found = after(nn.Sequential(nn.Flatten(), nn.Linear(108, 5), nn.Sigmoid()), "1")
    torch.testing.assert_close(found(torch.zeros(2, 5)), torch.full((2, 5), 0.5))


class Branches(nn.Module):
    """A block whose nonlinearity is behind the sum of two branches."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm = normalization()

    def forward(self, images: Tensor) -> Tensor:
        seen = self.first(images)
        return torch.relu(self.norm(self.second(seen)) + seen)


def test_a_nonlinearity_behind_a_sum_is_not_the_layers_own():
    found = after(Branches(), "conv2")
    assert found.reason == "no nonlinearity of its own follows conv2, but 'add'"
    shared = after(Branches(), "conv1")
    assert shared.reason == "no nonlinearity of its own follows conv1, but several operations"
    with pytest.raises(ValueError, match="no nonlinearity of its own follows conv1"):
        shared(torch.zeros(1, 4))


def test_a_nonlinearity_behind_another_convolution_is_not_the_layers_own():
    found = after(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1), nn.ReLU()))
    assert found.reason == "no nonlinearity of its own follows conv1, but '1'"


class EndsInReLU(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block, self.head = block, nn.Conv2d(4, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.block(images))


def test_a_nonlinearity_and_a_block_that_ends_in_one_are_after_it_already():
    responses = torch.tensor([[0.0, 2.0, 5.0, 3.0]])
    for module, layer in (
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1)), "1"),
        (EndsInReLU(Branches()), "block"),
    ):
        found = after(module, layer)
        assert found.reason == ""
        torch.testing.assert_close(found(responses), responses, rtol=0, atol=0)
