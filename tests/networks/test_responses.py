"""Responses of many layers in one pass, against forward hooks."""

import pytest
import torch
from torch import nn

from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import find_layers
from pipeline.networks.loading.torchvision import torchvision_network
from pipeline.networks.responses import LayerResponses


def random_images(count, side):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def hooked(module, layers, images):
    """Return each layer's output, copied before anything else runs."""
    kept = {}
    modules = dict(module.named_modules())
    handles = [
        modules[layer.module].register_forward_hook(
            lambda _m, _i, output, name=layer.name: kept.update({name: output.clone()})
        )
        for layer in layers
    ]
    module(images)
    for handle in handles:
        handle.remove()
    return kept


def visited(graph, layers, images):
    found = {}
    with torch.no_grad():
        LayerResponses(graph, layers).visit(
            images, lambda layer, responses: found.update({layer.name: responses.clone()})
        )
    return found


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "squeezenet1_1"])
def test_all_layers_at_once_respond_as_their_modules_do(name):
    network = torchvision_network(name, "random")
    layers = network.find_layers("all")
    images = random_images(2, 96)
    found = visited(network.graph, layers, images)
    expected = hooked(network.module, layers, images)
    assert list(found) == [layer.name for layer in layers]
    for layer in layers:
        assert torch.equal(found[layer.name], expected[layer.name])
        assert found[layer.name].shape[1] == layer.units
        assert (found[layer.name] < 0).any(), "the nonlinearity behind it is in place"


def test_a_layer_in_front_of_an_in_place_sum_is_read_before_it():
    network = torchvision_network("resnet18", "random")
    layers = network.find_layers(["layer1.0.bn2", "layer1.0"])
    images = random_images(1, 64)
    found = visited(network.graph, layers, images)
    expected = hooked(network.module, layers, images)
    assert torch.equal(found["layer1.0.bn2"], expected["layer1.0.bn2"])
    assert torch.equal(found["layer1.0"], expected["layer1.0"])


def test_nothing_behind_the_last_layer_is_run(filled):
    class Traced(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(*(nn.Conv2d(3, 3, 3) for _ in range(3)))
            self.classifier = nn.Linear(3, 2)

        def forward(self, images):
            return self.classifier(self.features(images).mean((2, 3)))

    module = filled(Traced())
    graph = Graph(module, (12, 12))
    ran = []
    for name, part in module.named_modules():
        if name and name != "features":
            part.register_forward_hook(lambda *_, name=name: ran.append(name))
    visited(graph, find_layers(graph, ["conv1", "conv2"], "net"), random_images(1, 12))
    assert ran == ["features.0", "features.1"]
    ran.clear()
    visited(graph, find_layers(graph, ["conv1"], "net"), random_images(1, 12))
    assert ran == ["features.0"]


def test_a_vector_has_one_row_and_one_column():
    network = torchvision_network("alexnet", "random")
    layers = network.find_layers(["classifier.6"])
    images = random_images(2, 80)
    (responses,) = visited(network.graph, layers, images).values()
    assert responses.shape == (2, 1000, 1, 1)
    with torch.no_grad():
        assert torch.equal(responses[:, :, 0, 0], network.module(images))


def test_the_same_pass_serves_any_batch_and_size(filled):
    module = filled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)))
    graph = Graph(module, (12, 12))
    layers = find_layers(graph, "all", "net")
    found = []
    runs = LayerResponses(graph, layers)
    for count, side in ((1, 12), (3, 20)):
        runs.visit(random_images(count, side), lambda _, responses: found.append(responses.shape))
    assert found == [(1, 4, 10, 10), (3, 4, 18, 18)]
