"""Layers by name and selections of units."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pipeline.errors import ConfigError
from pipeline.networks.graph import Graph
from pipeline.networks.layers import convolutions, find_layers, parse_units, select_units
from pipeline.networks.load import torchvision_network


class Net(nn.Module):
    """One of everything that a layer's name can mean."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.shared = nn.Conv2d(4, 4, 1)
        self.relu = nn.ReLU()
        self.unused = nn.Conv2d(4, 9, 1)
        self.split = Split()
        self.flat = nn.Flatten(2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, 5)

    def forward(self, images):
        maps = self.relu(self.shared(self.relu(self.shared(self.stem(images)))))
        one, other = self.split(maps)
        joined = torch.cat((one, other), 1)
        tokens = self.flat(joined)
        pooled = torch.flatten(self.pool(joined), 1)
        return self.head(pooled) + tokens.mean()


class Split(nn.Module):
    """A module with two outputs."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(4, 6, 1), nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, maps):
        return self.left(maps), self.right(maps)


@pytest.fixture(scope="module")
def graph():
    return Graph(Net().eval(), (10, 8))


@pytest.fixture(scope="module")
def resnet18():
    return torchvision_network("resnet18", "random").graph


def refused(graph, names, network="net"):
    with pytest.raises(ConfigError) as caught:
        find_layers(graph, names, network)
    return str(caught.value)


def test_convolutions_are_numbered_in_call_order(graph):
    found = [(layer.name, layer.module, layer.units) for layer in convolutions(graph)]
    assert found == [
        ("conv1", "stem.0", 4),
        ("conv2", "shared", 4),
        ("conv3", "shared", 4),
        ("conv4", "split.left", 6),
        ("conv5", "split.right", 2),
    ]
    assert find_layers(graph, "all", "net") == convolutions(graph)


def test_resnets_shortcut_comes_after_the_convolutions_it_runs_beside(resnet18):
    modules = [layer.module for layer in convolutions(resnet18)]
    assert modules[5:8] == ["layer2.0.conv1", "layer2.0.conv2", "layer2.0.downsample.0"]


def test_a_number_and_a_dotted_name_are_the_same_layer(graph):
    assert find_layers(graph, "conv1", "net") == find_layers(graph, ["stem.0"], "net")
    both = find_layers(graph, ["split.right", "conv5"], "net")
    assert [layer.name for layer in both] == ["conv5"]


def test_layers_come_in_call_order_each_once(graph):
    asked = ["head", "split.right", "conv1", "conv5", "stem"]
    assert [layer.name for layer in find_layers(graph, asked, "net")] == [
        "conv1",
        "stem",
        "conv5",
        "head",
    ]


def test_shapes_and_places_by_hand(graph):
    stem, relu, right, head = find_layers(graph, ["conv1", "stem", "conv5", "head"], "net")
    # 10 x 8 pixels lose one on each side. Calls: stem.0, stem.1, shared, relu, shared, relu ...
    assert (stem.units, stem.map_size, stem.index) == (4, (8, 6), 0)
    assert (relu.units, relu.map_size, relu.index) == (4, (8, 6), 1)
    assert (right.units, right.map_size, right.index) == (2, (8, 6), 7)
    assert (head.units, head.map_size, head.index) == (5, (1, 1), 10)


def test_a_block_responds_with_its_output(resnet18):
    (block,) = find_layers(resnet18, "layer1.0", "resnet18")
    assert (block.name, block.units, block.map_size) == ("layer1.0", 64, (56, 56))
    images = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    kept = []
    module = resnet18.module.layer1[0]
    handle = module.register_forward_hook(lambda *call: kept.append(call[2].clone()))
    with torch.no_grad():
        resnet18.module(images)
        found = resnet18.truncated([block.node])(images)
    handle.remove()
    assert torch.allclose(found, kept[0], atol=1e-6)


def test_a_sequential_responds_with_its_last_module():
    network = torchvision_network("alexnet", "random")
    (features,) = network.layers(["features"])
    (last,) = network.layers(["features.12"])
    assert features.node == last.node
    assert (features.units, features.map_size) == (256, (6, 6))


def test_an_unknown_layer_is_refused_with_the_nearest(graph, resnet18):
    assert refused(graph, ["conv6"]) == (
        "layers: 'conv6' is not in net, which has conv1 (stem.0) to conv5 (split.right);"
        " nearest: conv5"
    )
    assert refused(graph, "qqqqq") == (
        "layers: 'qqqqq' is not in net, which has conv1 (stem.0) to conv5 (split.right)"
    )
    assert refused(resnet18, ["conv1", "layer2.0.downsampel.0"], "resnet18") == (
        "layers: 'layer2.0.downsampel.0' is not in resnet18, which has conv1 (conv1) to conv20"
        " (layer4.1.conv2); nearest: layer2.0.downsample.0"
    )


def test_a_network_says_how_many_convolutions_it_has():
    lone = Graph(nn.Sequential(nn.Conv2d(3, 2, 3)).eval(), (9, 9))
    assert refused(lone, "zz") == "layers: 'zz' is not in net, which has conv1 (0)"
    none = Graph(nn.Sequential(nn.MaxPool2d(2)).eval(), (8, 8))
    assert refused(none, "zz") == "layers: 'zz' is not in net, which has no convolution"


def test_an_empty_list_is_refused(graph):
    expected = "layers: the list is empty; name at least one layer, or 'all'"
    assert refused(graph, []) == expected


def test_a_module_that_is_never_called_is_refused(graph):
    assert refused(graph, "unused") == "layers: 'unused' of net is never called on the image"


@pytest.mark.parametrize("name", ["relu", "shared", "split"])
def test_a_module_with_several_calls_or_outputs_is_refused(graph, name):
    assert refused(graph, name) == (
        f"layers: '{name}' of net has 2 outputs or calls, so that its response is not one map;"
        " name a layer inside or behind it"
    )


def test_an_output_that_is_no_map_of_units_is_refused(graph):
    assert refused(graph, "flat") == (
        "layers: the output of 'flat' has shape (1, 8, 48), not [1, units] or"
        " [1, units, rows, columns]; name another layer"
    )


def test_channels_last_maps_are_refused():
    network = torchvision_network("convnext_tiny", "random")
    with pytest.raises(ConfigError) as caught:
        network.layers("features.1.0.block.3")
    assert str(caught.value) == (
        "layers: the output of 'features.1.0.block.3' has shape (1, 56, 56, 384), not [1, units] or"
        " [1, units, rows, columns]; name another layer"
    )


@pytest.fixture(scope="module")
def layer(graph):
    (found,) = find_layers(graph, "conv4", "net")
    return found  # six units


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("all", [0, 1, 2, 3, 4, 5]),
        (3, [3]),
        ("3", [3]),
        (0, [0]),
        ([5, 1, 1], [1, 5]),
        ((2,), [2]),
        ("1:4", [1, 2, 3]),
        (":2", [0, 1]),
        ("4:", [4, 5]),
        (":", [0, 1, 2, 3, 4, 5]),
        (" 1 : 3 ", [1, 2]),
        ("0:6", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_selections_of_six_units(selection, expected, layer):
    assert select_units(selection, layer) == expected


@pytest.mark.parametrize(
    "selection",
    [
        "",
        "none",
        "3,4",
        "-1",
        "²",
        "1.5",
        "1:2:3",
        "a:b",
        "-3:",
        ":-1",
        "1.0:2",
        [],
        -1,
        [0, -1],
        True,
        [True],
        [False, 1],
        1.0,
        [1.0],
        ["1"],
        [[1]],
        None,
        {"a": 1},
    ],
    ids=repr,
)
def test_anything_else_is_refused(selection, layer):
    with pytest.raises(ConfigError) as caught:
        select_units(selection, layer)
    assert str(caught.value) == (
        f"units: {selection!r} is not 'all', a number, a list of numbers or a range like 0:64"
    )


@pytest.mark.parametrize("selection", [6, "6", [0, 6], "0:7", "6:", ":99", "8:9"], ids=repr)
def test_units_beyond_the_last_are_refused(selection, layer):
    with pytest.raises(ConfigError) as caught:
        select_units(selection, layer)
    expected = f"units: {selection!r} goes beyond conv4, which has units 0 to 5"
    assert str(caught.value) == expected


@pytest.mark.parametrize("selection", ["3:3", "4:2", "0:0", ":0"])
def test_ranges_without_a_unit_are_refused(selection, layer):
    with pytest.raises(ConfigError) as caught:
        select_units(selection, layer)
    assert str(caught.value) == f"units: {selection!r} selects no unit; use a range like 0:64"


bound = st.none() | st.integers(0, 9)


@given(start=bound, stop=bound)
def test_ranges_are_pythons_slices(start, stop, layer):
    text = f"{'' if start is None else start}:{'' if stop is None else stop}"
    assert parse_units(text) == slice(start, stop)
    expected = list(range(6))[start:stop]
    if expected and (stop is None or stop <= 6):
        assert select_units(text, layer) == expected
    else:
        with pytest.raises(ConfigError):
            select_units(text, layer)


@given(st.text(max_size=6))
def test_no_text_is_a_surprise(text):
    try:
        parsed = parse_units(text)
    except ConfigError:
        return
    assert parsed is None or isinstance(parsed, slice) or parsed == [int(text)]


@pytest.mark.parametrize("names", ["all", ["conv1", "conv2"]])
def test_layers_behind_a_transposed_convolution_are_refused_with_the_reason(names):
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.Conv2d(3, 4, 3, stride=2)
            self.up = nn.ConvTranspose2d(4, 4, 3, stride=2)
            self.out = nn.Conv2d(4, 2, 3)

        def forward(self, images):
            return self.out(self.up(self.down(images)))

    graph = Graph(Decoder().eval(), (16, 16))
    assert [layer.name for layer in find_layers(graph, "conv1", "decoder")] == ["conv1"]
    with pytest.raises(ConfigError) as caught:
        find_layers(graph, names, "decoder")
    assert str(caught.value) == (
        "layers: 'conv2' of decoder lies behind the transposed convolution 'up', whose units see"
        " different fields by turns; name layers before it"
    )
