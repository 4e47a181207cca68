"""Tracing: by torch.fx, by torch.export, or layer by layer through the whole network."""

import logging
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.errors import NetworkError
from pipeline.images.batches import Batch
from pipeline.networks.graph.geometry import EVERYTHING, Interval
from pipeline.networks.graph.graph import Graph
from pipeline.networks.graph.opaque import Opaque
from pipeline.networks.layers import convolutions, find_layers
from pipeline.networks.receptive_fields import (
    Canvas,
    center,
    receptive_field,
    receptive_fields,
    smallest_canvas,
)
from pipeline.networks.responses import LayerResponses
from pipeline.networks.unit_networks import unit_network
from pipeline.search.top_patches import find_peaks
from tests.networks.conftest import Net

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
LOGGER = "pipeline.networks.graph.tracing"
SIZE = (14, 15)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def last(graph):
    return list(graph.operations)[-1]


class Plain(nn.Module):
    """A small network of many kinds of layers."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, 2, 1)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, 1, 1, ceil_mode=True)
        self.conv2 = nn.Conv2d(6, 6, (2, 3), padding="same", groups=2)
        self.act = nn.Hardswish(inplace=True)
        self.mean = nn.AvgPool2d(2, 1, count_include_pad=False)
        self.drop = nn.Dropout(0.5)
        self.conv3 = nn.Conv2d(6, 4, 3, padding=(0, 1))

    def forward(self, images):
        maps = self.pool(self.relu(self.norm(self.conv1(images))))
        maps = self.act(self.conv2(maps)) + maps
        return self.conv3(self.drop(self.mean(maps)))


class Deciding(Plain):
    """The same, with Python that asks for numbers and that only running it can answer."""

    def forward(self, images):
        maps = self.conv1(images)
        if maps.shape[2] < 2:
            return maps
        maps = self.pool(self.relu(self.norm(maps)))
        for part in [self.conv2][: max(1, maps.shape[-1] // 8)]:
            maps = self.act(part(maps)) + maps
        return self.conv3(self.drop(self.mean(maps)))


class Choosing(nn.Module):
    """What is computed depends on what is seen."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4, 5, 3)
        self.head = nn.Linear(5, 2)

    def forward(self, images):
        maps = self.relu(self.conv1(images))
        if images.mean() > 0:
            maps = maps * 2
        return self.head(self.conv2(maps).mean((2, 3)))


class Calling(Net):
    """A function behind a branch that torch.fx cannot follow."""

    def forward(self, images):
        return self.function(self, images if images.shape[2] > 2 else images * 2)


def test_a_network_with_branches_on_shapes_is_its_plain_twin(filled, caplog):
    plain, deciding = (filled(module).double() for module in (Plain(), Deciding()))
    with caplog.at_level(logging.INFO, LOGGER):
        graphs = [Graph(module, SIZE) for module in (plain, deciding)]
    assert not [record for record in caplog.records if record.name == LOGGER]
    layers = [find_layers(graph, "all", "net") for graph in graphs]
    names = [(layer.name, layer.module, layer.units, layer.map_size) for layer in layers[0]]
    assert names == [(o.name, o.module, o.units, o.map_size) for o in layers[1]]
    assert [layer.module for layer in layers[1]] == ["conv1", "conv2", "conv3"]
    images = drawn(2, 3, *SIZE)
    for one, other in zip(*layers, strict=True):
        for place in ((0, 0), (2, 3), (one.map_size[0] - 1, one.map_size[1] - 1)):
            boxes = [
                receptive_field(graph, layer.node, place, clip=clip)
                for graph, layer in zip(graphs, (one, other), strict=True)
                for clip in (False, True)
            ]
            assert boxes[:2] == boxes[2:]
        assert smallest_canvas(graphs[0], one.node) == smallest_canvas(graphs[1], other.node)
        assert torch.equal(
            graphs[0].truncated([one.node])(images), graphs[1].truncated([other.node])(images)
        )
    assert torch.equal(graphs[1].truncated([last(graphs[1])])(images), deciding(images))


def test_units_of_a_network_with_branches_on_shapes_answer_as_in_the_whole(filled, asking):
    module = filled(Deciding()).double().requires_grad_(False)
    graph = Graph(module, SIZE)
    units = torch.arange(4)
    plain = Graph(filled(Plain()).double(), SIZE)
    for place in ((0, 0), (1, 3), (3, 6)):
        box = receptive_field(graph, last(graph), place, clip=True)
        assert box == receptive_field(plain, last(plain), place, clip=True)
        plan = Canvas(SIZE, place, box)
        asked = asking(graph, last(graph), plan, units)
        assert asked.alone().apart(asked.whole(module)).within(1e-12)


def test_an_exported_network_takes_any_number_of_images(filled):
    module = filled(Deciding()).double()
    graph = Graph(module, SIZE)
    for count in (1, 2, 5):
        images = drawn(count, 3, *SIZE, seed=count)
        assert torch.equal(graph.truncated([last(graph)])(images), module(images))


# What leaf modules do, they do as modules in the exported network as well.
LEAVES = {
    "batch norm": nn.BatchNorm2d(4),
    "max pool": nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "average pool": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "adaptive average": nn.AdaptiveAvgPool2d((3, 4)),
    "adaptive maximum": nn.AdaptiveMaxPool2d((5, 4)),
    "even kernel": nn.Conv2d(4, 4, (2, 3), padding="same"),
    "reflected padding": nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
    "constant padding": nn.ConstantPad2d((1, 2, 0, 1), 2.0),
    "relu6": nn.ReLU6(inplace=True),
    "prelu": nn.PReLU(4),
    "dropout": nn.Dropout(0.5, inplace=True),
    "group norm": nn.GroupNorm(2, 4),
    "upsampling": nn.Upsample(scale_factor=2),
    "several": nn.Sequential(nn.MaxPool2d(2), nn.Identity(), nn.SiLU(inplace=True)),
}


@pytest.mark.parametrize("leaf", [pytest.param(leaf, id=name) for name, leaf in LEAVES.items()])
def test_leaf_modules_are_put_back(leaf, filled, asking):
    parts = {"first": nn.Conv2d(3, 4, 3), "leaf": leaf, "last": nn.Conv2d(4, 4, 3, padding=1)}
    twins = [
        filled(kind(lambda net, x: net.last(net.last(net.leaf(net.first(x)))), **parts)).double()
        for kind in (Net, Calling)
    ]
    followed, exported = (Graph(twin.requires_grad_(False), SIZE) for twin in twins)
    assert [layer.module for layer in convolutions(exported)] == [
        layer.module for layer in convolutions(followed)
    ]
    at = np.array([0, 1, 2])
    boxes = [receptive_fields(graph, last(graph), at, at) for graph in (followed, exported)]
    assert (boxes[0] == boxes[1]).all()
    for place in ((0, 0), (1, 2)):
        plan = Canvas(SIZE, place, receptive_field(exported, last(exported), place, clip=True))
        asked = asking(exported, last(exported), plan, torch.arange(4))
        assert asked.alone().apart(asked.whole(twins[0])).within(1e-12)


def test_a_part_with_two_inputs_is_called_with_both(filled):
    parts = {"conv": nn.Conv2d(3, 4, (14, 15)), "both": nn.Bilinear(4, 4, 2)}
    module = filled(
        Calling(lambda n, x: n.both(n.conv(x).flatten(1), n.conv(-x).flatten(1)), **parts)
    )
    graph = Graph(module.double(), SIZE)
    images = drawn(3, 3, *SIZE)
    assert torch.equal(graph.truncated([last(graph)])(images), module(images))


def read_after_relu(net, images):
    maps = net.first(images)
    positive = maps.relu_()
    return net.second(positive) + net.third(maps)


def read_after_module(net, images):
    maps = net.first(images)
    positive = net.relu(maps)
    return net.second(positive) + net.third(maps)


def read_after_function(net, images):
    maps = net.first(images)
    positive = F.relu(maps, inplace=True)
    return net.second(positive) + net.third(maps)


def read_after_sum(net, images):
    maps = other = net.first(images)
    maps += maps.sigmoid()
    maps.mul_(1.5)
    return net.second(maps) + net.third(other)


def read_before_too(net, images):
    maps = net.first(images)
    doubled = maps * 2
    torch.relu_(maps)
    return net.second(doubled) + net.third(maps)


def read_after_two(net, images):
    maps = net.first(images)
    maps.clamp_(max=0.5).relu_()
    return net.second(maps) + net.third(maps)


def image_overwritten(net, images):
    images = images + 0
    images.relu_()
    return net.second(net.first(images)) + net.third(net.first(images))


@pytest.mark.parametrize("kind", [Net, Calling])
@pytest.mark.parametrize(
    "function",
    [
        read_after_relu,
        read_after_module,
        read_after_function,
        read_after_sum,
        read_before_too,
        read_after_two,
        image_overwritten,
    ],
)
def test_what_is_read_after_it_was_overwritten_is_the_result(kind, function, filled, asking):
    parts = {"first": nn.Conv2d(3, 4, 3), "relu": nn.ReLU(inplace=True)}
    parts |= {name: nn.Conv2d(4, 2, 3, padding=1) for name in ("second", "third")}
    module = filled(kind(function, **parts)).double().requires_grad_(False)
    graph = Graph(module, SIZE)
    images = drawn(2, 3, *SIZE)
    assert torch.equal(graph.truncated([last(graph)])(images), module(images))
    plan = Canvas(SIZE, (0, 5), receptive_field(graph, last(graph), (0, 5), clip=True))
    # What was computed before is not overwritten for a unit alone, although nothing is in place.
    asked = asking(graph, last(graph), plan, torch.arange(2))
    assert asked.alone().apart(asked.whole(module)).within(1e-12)


def through_a_second_name(net, images):
    maps = net.first(images)
    part = maps.relu_()[:, :2]
    part.add_(1)
    return net.second(maps)


def through_unbound_maps(net, images):
    maps = net.first(images)
    unbound = maps.unbind(1)
    maps.relu_()
    return net.second(torch.stack(unbound, 1))


def through_a_transposed_name(net, images):
    maps = net.first(images)
    maps.mT.relu_()
    return net.second(maps)


def through_an_output_argument(net, images):
    maps = net.first(images)
    torch.add(maps, 1, out=maps)
    return net.second(maps)


def through_a_kept_map(net, images):
    net.kept = net.first(images)
    F.relu(net.kept, inplace=True)
    return net.second(net.kept)


@torch.no_grad()
@pytest.mark.parametrize(
    ("kind", "function"),
    [
        (Net, through_a_second_name),
        (Calling, through_a_second_name),
        (Net, through_unbound_maps),
        (Calling, through_unbound_maps),
        (Net, through_a_transposed_name),
        (Calling, through_a_transposed_name),
        (Net, through_an_output_argument),
        (Calling, through_an_output_argument),
        (Net, through_a_kept_map),
        (Calling, through_a_kept_map),
    ],
)
def test_what_is_overwritten_under_another_name_is_found_out(kind, function, filled):
    parts = {"first": nn.Conv2d(3, 4, 3), "second": nn.Conv2d(4, 2, 3), "kept": None}
    module = filled(kind(function, **parts)).double()
    graph = Graph(module, SIZE)
    images = drawn(2, 3, *SIZE)
    assert torch.equal(graph.truncated([last(graph)])(images), module(images))


def test_an_encoder_behind_a_branch_on_shapes_is_traced(filled):
    def encoded(net, images):
        return net.head(net.encoder(net.conv(images).flatten(2).transpose(1, 2)).mean(1))

    encoder = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    parts = {"conv": nn.Conv2d(3, 4, 7, 7), "encoder": encoder, "head": nn.Linear(4, 2)}
    module = filled(Calling(encoded, **parts)).requires_grad_(False)
    graph = Graph(module, SIZE)
    (layer,) = find_layers(graph, ["head"], "net")
    images = drawn(2, 3, *SIZE).float()
    found = unit_network(graph, layer)(images, torch.tensor([0, 1]))
    assert torch.allclose(found, module(images)[[0, 1], [0, 1]], atol=1e-5)


def test_what_cannot_be_traced_is_asked_as_a_whole_and_the_log_says_so(filled, caplog, capfd):
    module = filled(Choosing())
    with caplog.at_level(logging.INFO, LOGGER):
        graph = Graph(module, (8, 9))
    (message,) = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert message.startswith("model: cannot be traced (fx: symbolically traced variables cannot")
    assert "; export: Could not guard on data-dependent expression" in message
    assert message.endswith(
        "so units are computed with the whole network, and their receptive field is the whole image"
    )
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")
    conv1, conv2, head = find_layers(graph, ["conv1", "conv2", "head"], "net")
    assert [conv1.module, conv2.module, head.module] == ["conv1", "conv2", "head"]
    assert [layer.name for layer in find_layers(graph, "all", "net")] == ["conv1", "conv2"]
    assert (conv1.units, conv2.units, head.units) == (4, 5, 2)
    assert (conv1.map_size, conv2.map_size, head.map_size) == ((8, 9), (6, 7), (1, 1))
    for layer in (conv1, conv2, head):
        assert graph.reach(layer.node, Interval(0, 1), 8, 0) == EVERYTHING
        assert receptive_field(graph, layer.node, (0, 0)) == (0, 0, 8, 9)
        plan = smallest_canvas(graph, layer.node)
        rows, columns = layer.map_size
        assert plan == Canvas((8, 9), (rows // 2, columns // 2), (0, 0, 8, 9))
    assert center(graph, conv2.node) == (3, 3)


@pytest.mark.parametrize("name", ["conv1", "conv2", "head"])
def test_units_of_what_cannot_be_traced_answer_as_in_the_network(name, filled):
    module = filled(Choosing()).double().requires_grad_(False)
    graph = Graph(module, (8, 9))
    (layer,) = find_layers(graph, [name], "net")
    row, column = (n // 2 for n in layer.map_size)
    for image in (drawn(1, 3, 8, 9).abs(), -drawn(1, 3, 8, 9).abs()):
        for unit in range(layer.units):
            at = image.clone().requires_grad_()
            maps = module.conv1(at)
            if name != "conv1":
                maps = module.conv2(maps.relu() * (2 if image.mean() > 0 else 1))
            if name == "head":
                maps = module.head(maps.mean((2, 3)))[:, :, None, None]
            expected = maps[0, unit, row, column]
            (gradient,) = torch.autograd.grad(expected, at)
            asked = image.clone().requires_grad_()
            found = unit_network(graph, layer)(asked, torch.tensor([unit]))
            assert torch.allclose(found, expected, rtol=1e-12)
            (alone,) = torch.autograd.grad(found.sum(), asked)
            assert (alone - gradient).abs().max() <= 1e-12 * gradient.abs().max()


def test_several_layers_of_what_cannot_be_traced_are_searched_in_one_visit(filled):
    module = filled(Choosing()).double()
    graph = Graph(module, (8, 9))
    layers = find_layers(graph, ["conv1", "conv2", "head"], "net")
    images = drawn(3, 3, 8, 9)
    found = {}
    with torch.inference_mode():
        LayerResponses(graph, layers).visit(
            images, lambda layer, responses: found.update({layer.name: responses.clone()})
        )
    with torch.no_grad():
        conv1 = module.conv1(images)
        # Each image is decided on by itself, whatever else is in the batch.
        factor = torch.where(images.mean((1, 2, 3)) > 0, 2.0, 1.0)[:, None, None, None]
        assert len(factor.unique()) == 2
        conv2 = module.conv2(conv1.relu() * factor)
        head = module.head(conv2.mean((2, 3)))
    # Of a layer whose units see the whole image, only the one in the middle is looked at.
    assert list(found) == ["conv1", "conv2", "head"]
    assert torch.allclose(found["conv1"], conv1[:, :, 4:5, 4:5])
    assert (conv1 < 0).any()
    assert torch.allclose(found["conv2"], conv2[:, :, 3:4, 3:4])
    assert torch.allclose(found["head"], head[:, :, None, None])
    batch = Batch(torch.arange(3), images, torch.arange(3), {})
    peaks = find_peaks(LayerResponses(graph, layers), batch)
    assert torch.allclose(peaks.by_layer["conv2"][1][0], conv2[:, :, 3, 3].T)


def test_no_hook_is_left_behind(filled):
    module = filled(Choosing())
    graph = Graph(module, (8, 9))
    layers = find_layers(graph, ["conv1", "conv2"], "net")
    LayerResponses(graph, layers).visit(torch.zeros(2, 3, 8, 9), lambda *_: None)
    with pytest.raises(RuntimeError, match="should be the same"):
        LayerResponses(graph, layers).visit(torch.zeros(2, 3, 8, 9).double(), lambda *_: None)
    assert not any(part._forward_hooks for part in module.modules())


def test_a_layer_that_is_not_reached_is_named():
    class Seldom(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, images):
            return self.conv1(images) if images.sum() > 0 else self.conv2(images)

    graph = Graph(Seldom().eval(), (4, 4))
    (layer,) = convolutions(graph)  # conv2: the image of zeros goes there
    assert layer.module == "conv2"
    with pytest.raises(NetworkError, match=r"^model: 'conv2' was not called 1 time"):
        graph.truncated([layer.node])(torch.ones(1, 3, 4, 4))


def test_several_threads_may_ask_what_cannot_be_traced(filled):
    module = filled(Choosing()).double()
    asked = {name: Opaque(module, name) for name in ("conv1", "conv2", "head")}
    images = drawn(2, 3, 8, 9).abs()
    with torch.no_grad():
        expected = {name: opaque(images) for name, opaque in asked.items()}
    wrong = []

    def ask(name):
        with torch.no_grad():
            for _ in range(50):
                if not torch.equal(asked[name](images), expected[name]):
                    wrong.append(name)

    threads = [threading.Thread(target=ask, args=(name,)) for name in [*asked] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert expected["head"].shape == (2, 2)


class Broken(nn.Module):
    def forward(self, images):
        raise ValueError("the first line\nand the second")


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (
            nn.Sequential(nn.Conv2d(3, 2, 7)),
            "Calculated padded input size per channel: (4 x 9). Kernel size: (7 x 7). Kernel size"
            " can't be greater than actual input size",
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(10, 2)),
            "addmm: mat1 and mat2 shapes cannot be multiplied (1x108 and 10x2)",
        ),
        (Broken(), "the first line"),
    ],
)
def test_a_network_that_does_not_run_is_refused_without_a_traceback(module, reason, capfd):
    with pytest.raises(NetworkError) as caught:
        Graph(module.eval(), (4, 9))
    assert str(caught.value) == f"model: the network does not run at (4, 9) pixels ({reason})"
    assert capfd.readouterr() == ("", "")


def test_a_network_that_does_not_run_is_not_said_to_be_untraceable(caplog):
    with caplog.at_level(logging.INFO, LOGGER), pytest.raises(NetworkError):
        Graph(Broken().eval(), (4, 9))
    assert not [record for record in caplog.records if record.name == LOGGER]


def reshaped_by_view(net, images):
    maps = net.conv(images)
    return net.head(maps.view(maps.size(0), -1))


@pytest.mark.parametrize("kind", [Net, Calling])
def test_views_of_maps_do_not_depend_on_how_they_lie_in_memory(kind, filled):
    parts = {"conv": nn.Conv2d(3, 4, 3), "head": nn.Linear(4 * 12 * 13, 2)}
    module = filled(kind(reshaped_by_view, **parts)).double().requires_grad_(False)
    graph = Graph(module, SIZE)
    (layer,) = find_layers(graph, ["head"], "net")
    images = drawn(2, 3, *SIZE)
    expected = module(images)
    found = unit_network(graph, layer)(images, torch.tensor([0, 1]))
    assert torch.allclose(found, expected[[0, 1], [0, 1]], rtol=1e-12)
    # The search hands images over with the channels last.
    batch = Batch(torch.arange(2), images, torch.arange(2), {})
    peaks = find_peaks(LayerResponses(graph, [layer]), batch)
    assert torch.allclose(peaks.by_layer["head"][1][0], expected.T)


def test_networks_that_other_threads_run_are_not_caught_by_a_trace():
    running = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(6, 5))
    expected = running(torch.ones(1, 3, 8, 8))
    got: list[Tensor] = []

    class Meanwhile(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, images):
            other = threading.Thread(target=lambda: got.append(running(torch.ones(1, 3, 8, 8))))
            other.start()
            other.join()
            return self.conv(images)

    graph = Graph(Meanwhile().eval(), (8, 8))
    assert len(got) > 0
    assert all(torch.equal(each, expected) for each in got)
    assert [node.name for node in graph.traced.graph.nodes] == ["images", "conv", "output"]
