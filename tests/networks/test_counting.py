"""Operations against PyTorch's own counter and by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pipeline.networks.cropping import Crop
from pipeline.networks.graph.counting import forward_operations, largest_held
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import find_layers
from pipeline.networks.loading.torchvision import torchvision_network
from tests.networks.conftest import Net


def counted(module: nn.Module, size: int) -> int:
    """Count as PyTorch does; fused attention would escape it."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(torch.zeros(1, 3, size, size))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return counter.get_total_flops()


def of_all(graph: Graph) -> int:
    return forward_operations(graph, graph.traced.graph.output_node().all_input_nodes)


def test_alexnet_counts_as_by_hand():
    graph = torchvision_network("alexnet", "random").graph
    conv1, conv2 = find_layers(graph, ["conv1", "conv2"], "alexnet")
    # A multiplication and an addition for each weight of a kernel, at every position of a map.
    first = 2 * (3 * 11 * 11) * 64 * 55 * 55
    second = 2 * (64 * 5 * 5) * 192 * 27 * 27
    assert forward_operations(graph, [conv1.node]) == first
    assert forward_operations(graph, [conv2.node]) == first + second
    assert forward_operations(graph, [conv1.node, conv2.node]) == first + second


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_network_counts_as_by_pytorch(name: str):
    network = torchvision_network(name, "random")
    assert of_all(network.graph) == counted(network.module, network.preprocessing.crop)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["densenet121", "inception_v3", "convnext_tiny", "vit_b_32", "swin_t", "maxvit_t"]
)
def test_large_network_counts_as_by_pytorch(name: str):
    network = torchvision_network(name, "random")
    assert of_all(network.graph) == counted(network.module, network.preprocessing.crop)


def _attention(net, images):
    tokens = net.conv(images).flatten(2).transpose(1, 2)
    attended = net.attention(tokens, tokens, tokens, need_weights=False)[0]
    scores = torch.einsum("bid,bjd->bij", attended, tokens)
    mixed = nn.functional.scaled_dot_product_attention(tokens, tokens, scores @ tokens)
    return torch.bmm(mixed, tokens.transpose(1, 2))


def test_products_and_attention_count_as_by_pytorch():
    parts = {
        "conv": nn.Conv2d(3, 8, 4, 4),
        "attention": nn.MultiheadAttention(8, 2, batch_first=True),
    }
    module = Net(_attention, **parts).eval()
    assert of_all(Graph(module, (12, 12))) == counted(module, 12)


def test_unit_that_sees_all_takes_as_much_as_the_network_but_for_its_own_layer():
    network = nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 10))
    graph = Graph(network.eval(), (8, 8))
    (layer,) = find_layers(graph, ["3"], "test")
    crop = Crop(graph, layer.node, (8, 8), (0, 0))
    conv, linear = 2 * 75 * 4 * 16, 2 * 64 * 10
    assert forward_operations(graph, [layer.node]) == conv + linear
    assert crop.operations == conv + linear // 10


def test_what_is_held_at_once_is_what_is_still_needed():
    def both(net, images):
        first = net.first(images)  # 2 x 8 x 8, needed until the end
        second = net.third(net.second(first))  # 6 x 8 x 8, then 2 x 8 x 8
        return first + second

    parts = {
        "first": nn.Conv2d(3, 2, 1),
        "second": nn.Conv2d(2, 6, 1),
        "third": nn.Conv2d(6, 2, 1),
    }
    graph = Graph(Net(both, **parts).eval(), (8, 8))
    last = graph.traced.graph.output_node().all_input_nodes
    assert largest_held(graph, last) == (2 + 6 + 2) * 64
    assert largest_held(graph, [graph.image]) == 3 * 64
