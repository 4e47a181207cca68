"""ONNX files of layers: what they compute is what PyTorch computes, gradients included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import NetworkError
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import find_layers
from pipeline.networks.onnx import export as onnx_export
from pipeline.networks.onnx.backward import (
    adaptive_average_pool_backward,
    average_pool_backward,
    convolution_backward,
    max_pool_backward,
)
from pipeline.networks.onnx.export import OnnxNetwork, ask_onnx, export_onnx, open_onnx
from pipeline.networks.unit_networks import LayerNetwork, layer_network, unit_network

sides = st.integers(4, 11)


def layer_of(module: nn.Module, size: int, name: str = "all") -> LayerNetwork:
    graph = Graph(module.eval().requires_grad_(False), (size, size))
    return layer_network(graph, find_layers(graph, [name] if name != "all" else name, "net")[-1])


def asked(exported: OnnxNetwork, images: Tensor, unit: int) -> list[np.ndarray]:
    feeds = {"images": images.numpy(), "unit": np.array([unit])}
    return ask_onnx(open_onnx(exported.gradient), feeds)


def test_the_gradient_of_a_convolution_is_its_kernel():
    conv = nn.Conv2d(3, 2, (2, 3))
    exported = export_onnx(layer_of(nn.Sequential(conv), 9))
    assert exported.size == (2, 3)
    assert exported.units == 2
    images = torch.arange(18.0).view(1, 3, 2, 3)
    responses, response, gradient = asked(exported, images, 1)
    by_hand = (conv.weight * images).sum((1, 2, 3)) + conv.bias
    np.testing.assert_allclose(responses[0], by_hand.numpy(), rtol=1e-5)
    np.testing.assert_allclose(response, by_hand[1:].numpy(), rtol=1e-5)
    np.testing.assert_array_equal(gradient[0], conv.weight[1].numpy())
    (alone,) = ask_onnx(open_onnx(exported.forward), {"images": images.numpy()})
    np.testing.assert_array_equal(alone, responses)


def test_responses_and_gradients_are_those_of_the_unit_network():
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
        nn.Conv2d(6, 8, 3, padding=2, dilation=2, groups=2),
        nn.SiLU(),
        nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
        nn.Conv2d(8, 5, 2),
    )
    module[1].running_mean.normal_()
    network = layer_of(module, 40)
    exported = export_onnx(network)
    graph = Graph(module, (40, 40))
    unit_alone = unit_network(graph, find_layers(graph, "all", "net")[-1])
    images = torch.randn(1, 3, *exported.size)
    for unit in (0, 4):
        climbed = images.clone().requires_grad_()
        expected = unit_alone(climbed, torch.tensor([unit]))
        expected.sum().backward()
        _, response, gradient = asked(exported, images, unit)
        np.testing.assert_allclose(response, expected.detach().numpy(), rtol=1e-5)
        np.testing.assert_allclose(gradient, climbed.grad.numpy(), atol=1e-6)


def test_an_export_does_not_depend_on_what_has_run_before():
    """Neither on how the weights lie in memory, which a search changes, nor on other exports."""
    module = nn.Sequential(nn.Conv2d(3, 16, 5), nn.ReLU(), nn.Conv2d(16, 8, 3))
    first = export_onnx(layer_of(module, 24))
    export_onnx(layer_of(module, 24, "conv1"))
    module.to(memory_format=torch.channels_last)
    lying = [parameter.stride() for parameter in module.parameters()]
    assert export_onnx(layer_of(module, 24)) == first
    assert [parameter.stride() for parameter in module.parameters()] == lying


def test_the_gradient_of_a_tie_goes_where_it_goes_in_pytorch():
    module = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(3, 1, 2))
    exported = export_onnx(layer_of(module, 12))
    images = torch.zeros(1, 3, *exported.size)
    climbed = images.clone().requires_grad_()
    module(climbed).sum().backward()
    _, _, gradient = asked(exported, images, 0)
    np.testing.assert_allclose(gradient, climbed.grad.numpy(), atol=1e-7)
    assert (gradient != 0).sum() == 3 * 4  # one place of each window


def test_attention_and_global_pooling_are_written_too():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.last = nn.Conv2d(3, 4, 4, 4), nn.Linear(4, 3)

        def forward(self, images):
            tokens = self.conv(images).flatten(2).transpose(1, 2)
            tokens = F.scaled_dot_product_attention(tokens, tokens, tokens)
            return self.last(F.adaptive_avg_pool2d(tokens.transpose(1, 2)[..., None], 1)[..., 0, 0])

    module = Attends()
    exported = export_onnx(layer_of(module, 12, "output"))
    images = torch.randn(1, 3, 12, 12, requires_grad=True)
    module(images)[0, 2].backward()
    _, _, gradient = asked(exported, images.detach(), 2)
    np.testing.assert_allclose(gradient, images.grad.numpy(), atol=1e-6)


class Exotic(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images):
        return self.conv(torch.lgamma(images.abs() + 1))


def test_what_onnx_cannot_express_is_refused_by_name():
    with pytest.raises(
        NetworkError, match=r"cannot be written as ONNX \(ONNX lacks prims.lgamma\)"
    ):
        export_onnx(layer_of(Exotic(), 8))


def test_a_file_that_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Conv2d(4, 2, 1))

    def doubled(*given: object) -> tuple[Tensor, None, None]:
        gradient, *rest = convolution_backward(*given)  # type: ignore[arg-type]
        return 2 * gradient, *rest

    wrong = {torch.ops.aten.convolution_backward.default: doubled}
    monkeypatch.setattr(onnx_export, "BACKWARD", wrong)
    with pytest.raises(
        NetworkError,
        match=r"computes something else: responses deviate by \d.\de.0\d, gradients by 3.0e\+00 of",
    ):
        export_onnx(layer_of(module, 9))


# Backward passes against autograd's own.


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.integers(1, 3), st.integers(1, 3), st.booleans(), st.booleans(), st.data())
def test_average_pools_spread_gradients_as_autograd_does(
    height, width, kernel, stride, ceil_mode, include, data
):
    padding = data.draw(st.integers(0, kernel // 2))
    divisor = data.draw(st.none() | st.integers(1, 5))
    images = torch.randn(2, 3, height, width, dtype=torch.float64, requires_grad=True)
    pooled = F.avg_pool2d(images, kernel, stride, padding, ceil_mode, include, divisor)
    back = torch.randn_like(pooled)
    (expected,) = torch.autograd.grad(pooled, images, back)
    found = average_pool_backward(
        back, images, [kernel] * 2, [stride] * 2, [padding] * 2, ceil_mode, include, divisor
    )
    torch.testing.assert_close(found, expected)


@settings(max_examples=20, deadline=None)
@given(sides, sides, st.integers(1, 5), st.integers(1, 5))
def test_adaptive_pools_spread_gradients_as_autograd_does(height, width, rows, columns):
    images = torch.randn(2, 3, height, width, dtype=torch.float64, requires_grad=True)
    pooled = F.adaptive_avg_pool2d(images, (rows, columns))
    back = torch.randn_like(pooled)
    (expected,) = torch.autograd.grad(pooled, images, back)
    torch.testing.assert_close(adaptive_average_pool_backward(back, images), expected)


@settings(max_examples=20, deadline=None)
@given(sides, sides, st.integers(1, 3), st.booleans())
def test_max_pools_return_gradients_as_autograd_does(height, width, stride, ceil_mode):
    images = torch.randint(3, (2, 3, height, width)).double().requires_grad_()  # with many ties
    pooled, indices = F.max_pool2d(images, 3, stride, 1, 1, ceil_mode, return_indices=True)
    back = torch.randn_like(pooled)
    (expected,) = torch.autograd.grad(pooled, images, back)
    given_by_torch = ([3, 3], [stride] * 2, [1, 1], [1, 1], ceil_mode, indices)
    torch.testing.assert_close(max_pool_backward(back, images, *given_by_torch), expected)


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.booleans())
def test_convolutions_return_gradients_as_autograd_does(
    height, width, stride, padding, dilation, transposed
):
    images = torch.randn(1, 4, height, width, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 2, 2, 2, dtype=torch.float64)
    call = F.conv_transpose2d if transposed else F.conv2d
    plan = {"stride": stride, "padding": padding, "dilation": dilation, "groups": 2}
    mapped = call(images, weight, None, **plan)
    back = torch.randn_like(mapped)
    (expected,) = torch.autograd.grad(mapped, images, back)
    pairs = ([stride] * 2, [padding] * 2, [dilation] * 2)
    found, _, _ = convolution_backward(
        back, images, weight, None, *pairs, transposed, [0, 0], 2, [True, False, False]
    )
    torch.testing.assert_close(found, expected)
