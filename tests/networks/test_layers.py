"""Layers by name and selections of units."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pipeline.errors import ConfigError
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import convolutions, find_layers
from pipeline.networks.loading.torchvision import torchvision_network
from pipeline.networks.units.selection import parse_units, select_units


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
    # 10 x 8 pixels lose one on each side.
    assert (stem.units, stem.map_size) == (4, (8, 6))
    assert (relu.units, relu.map_size) == (4, (8, 6))
    assert (right.units, right.map_size) == (2, (8, 6))
    assert (head.units, head.map_size) == (5, (1, 1))


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
    (features,) = network.find_layers(["features"])
    (last,) = network.find_layers(["features.12"])
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


def test_a_module_with_several_outputs_is_refused(graph):
    assert refused(graph, "split") == (
        "layers: 'split' of net has 2 outputs, so that its response is not one map; name a layer"
        " inside or behind it"
    )


@pytest.mark.parametrize("name", ["relu", "shared", "shared@2", "shared@2@1"])
def test_a_module_that_is_called_several_times_is_no_single_layer(graph, name):
    module = name.partition("@")[0]
    known = (
        f"layers: '{name}' of net is not one layer, as '{module}' is called 2 times;"
        f" name a call: {module}@0, {module}@1"
    )
    unknown = f"layers: '{name}' is not in net, which has conv1 (stem.0) to conv5 (split.right)"
    assert refused(graph, name).startswith(unknown if "@2@" in name else known)


class Recurrent(nn.Module):
    """A block that is called three times: as fx follows it, as export does, or neither."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
        self.responses = []

    def forward(self, images):
        maps = self.first(images)
        times = 3
        if self.kind == "export":
            times = 3 if maps.shape[1] == 4 else 1
        if self.kind == "opaque":
            times = 3 if float(maps.sum()) < 1e9 else 1
        for _ in range(times):
            maps = self.block(maps) + maps
        return maps


@pytest.mark.parametrize("kind", ["fx", "export", "opaque"])
def test_every_call_of_a_module_is_a_layer_of_its_own(kind, filled):
    network = filled(Recurrent(kind)).double()
    graph = Graph(network, (8, 8))
    called = [(layer.name, layer.module, layer.call) for layer in convolutions(graph)]
    assert called == [
        ("conv1", "first", "first"),
        ("conv2", "block.0", "block.0@0"),
        ("conv3", "block.0", "block.0@1"),
        ("conv4", "block.0", "block.0@2"),
    ]
    responses = []
    hook = network.block[0].register_forward_hook(lambda *call: responses.append(call[2].clone()))
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    network(images[:1]), network(images[1:])
    hook.remove()
    layers = find_layers(graph, ["conv2", "block.0@1", "conv4"], "net")
    assert [layer.name for layer in layers] == ["conv2", "conv3", "conv4"]
    found = graph.truncated([layer.node for layer in layers])(images)
    for call in range(3):
        expected = torch.cat([responses[call], responses[3 + call]])
        assert torch.allclose(found[call], expected, rtol=1e-12)
    if kind != "opaque":  # which knows leaf modules alone
        (block,) = find_layers(graph, "block@1", "net")
        after = torch.relu(torch.cat([responses[1], responses[4]]))
        assert torch.allclose(graph.truncated([block.node])(images), after, rtol=1e-12)


class Standardized(nn.Conv2d):
    """A convolution of one's own: its weights are standardized at every call."""

    def forward(self, maps):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(maps, weight, self.bias, self.stride, self.padding)


class Functional(nn.Module):
    """Convolutions by modules, by modules of one's own, and by the function."""

    def __init__(self):
        super().__init__()
        self.own = Standardized(3, 4, 3)
        self.plain = nn.Conv2d(4, 4, 3)
        self.kernels = nn.Parameter(torch.ones(2, 4, 1, 1))
        self.others = nn.Parameter(torch.ones(2, 2, 1, 1))

    def forward(self, images):
        maps = F.conv2d(self.plain(self.own(images)), self.kernels)
        return F.conv2d(maps, self.others) + F.conv2d(maps, weight=self.others.flip(0))


def test_convolutions_are_found_by_what_they_compute():
    layers = convolutions(Graph(Functional().eval(), (9, 9)))
    found = [(layer.name, layer.call, layer.units) for layer in layers]
    assert found == [
        ("conv1", "own", 4),
        ("conv2", "plain", 4),
        ("conv3", "kernels", 2),
        ("conv4", "others", 2),
        ("conv5", "conv2d_3", 2),
    ]


def test_all_convolutions_of_a_network_without_any_are_refused():
    graph = Graph(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).eval(), (2, 2))
    assert refused(graph, "all") == (
        "layers: net has no convolution, and 'all' means all of them; name layers, such as output"
        " or '0' or '1'"
    )
    assert find_layers(graph, ["output"], "net")[0].units == 3


def test_an_output_that_is_no_map_of_units_is_refused(graph):
    assert refused(graph, "flat") == (
        "layers: the output of 'flat' has shape (1, 8, 48), not [1, units],"
        " [1, units, rows, columns] or [1, tokens, units]; name another layer"
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
        " fields that alternate in size; name layers before it"
    )
