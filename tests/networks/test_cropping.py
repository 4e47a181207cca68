"""What one unit sees, computed alone, against the whole, padded network."""

import logging
import operator
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from pipeline.networks.cropping import Crop, crop_network
from pipeline.networks.graph.graph import Graph
from pipeline.networks.loading.torchvision import torchvision_network
from pipeline.networks.receptive_fields import Box, Canvas, receptive_field, smallest_canvas
from pipeline.networks.unit_networks import UnitNetwork
from tests.networks.conftest import Net

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
SIZE = ROWS, COLUMNS = (8, 9)


def conv(before, after, kernel=3, padding=1, **options):
    return nn.Conv2d(before, after, kernel, padding=padding, **options)


def between(function, channels=4, kernel=3, **parts):
    """One operation between a convolution to four maps and one to two, both padded."""
    return Net(
        lambda net, images: net.last(function(net, net.first(images))),
        first=conv(3, 4),
        last=conv(channels, 2, kernel, kernel // 2),
        **parts,
    )


def inside(part):
    return between(lambda net, maps: net.part(maps), part=part)


def parameter(*shape):
    return nn.Parameter(torch.zeros(*shape))


def last(graph):
    return list(graph.operations)[-1]


def seen_at(graph, node, place, size):
    return Canvas(size, place, receptive_field(graph, node, place, size, clip=True))


def check_everywhere(module, asking):
    """Response and gradient from one corner of the last map to the other, lowered and plain."""
    graph = Graph(module.double().requires_grad_(False), SIZE)
    node = last(graph)
    units, rows, columns = node.meta["tensor_meta"].shape[1:]
    places = {(n * rows // 3, n * columns // 3) for n in range(3)} | {(rows - 1, columns - 1)}
    places |= {(0, columns - 1), (rows - 1, columns // 2), (rows // 2, 0)}
    for place in sorted(places):
        asked = asking(graph, node, seen_at(graph, node, place, SIZE), torch.arange(units))
        expected = asked.whole(module)
        for lowered in (True, False):
            assert asked.alone(lowered=lowered).apart(expected).within(1e-12), (place, lowered)


def cases(networks):
    return [pytest.param(network, id=name) for name, network in networks.items()]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_unit_anywhere_answers_alone_as_in_the_whole(drawn_networks, asking, data):
    drawn = data.draw(drawn_networks)
    module = drawn.module.requires_grad_(False)
    graph = Graph(module, drawn.size)
    node = last(graph)
    # Not only on images of the traced size.
    size = tuple(side + data.draw(st.integers(0, 6)) for side in drawn.size)
    maps = [graph.sizes(size[axis], axis)[node] for axis in (0, 1)]
    place = tuple(data.draw(st.sampled_from([0, n - 1]) | st.integers(0, n - 1)) for n in maps)
    units = torch.arange(node.meta["tensor_meta"].shape[1])
    asked = asking(graph, node, seen_at(graph, node, place, size), units)
    expected = asked.whole(module)
    for lowered in (True, False):
        assert asked.alone(lowered=lowered).apart(expected).within(1e-12)


PARTS = {
    "asymmetric padding": nn.Sequential(nn.ZeroPad2d((3, 0, 1, 2)), nn.Conv2d(4, 4, (4, 2))),
    "constant padding": nn.ConstantPad2d((1, 0, 0, 2), 3.0),
    "padding that cuts": nn.ZeroPad2d((-1, 2, 0, -2)),
    "same padding of an even kernel": nn.Conv2d(4, 4, (4, 2), padding="same", dilation=(1, 2)),
    "dilation": conv(4, 4, (2, 3), (2, 1), dilation=(3, 2)),
    "strides": conv(4, 4, 3, stride=(2, 3)),
    "groups": conv(4, 4, groups=2),
    "a channel each": conv(4, 4, groups=4, bias=False),
    "max pool": nn.MaxPool2d(3, 2, 1),
    "max pool with ceil": nn.MaxPool2d((3, 2), 2, (1, 0), ceil_mode=True),
    "max pool with dilation": nn.MaxPool2d(2, 1, 1, dilation=(2, 3)),
    "average pool": nn.AvgPool2d(3, 2, 1),
    "average pool with ceil": nn.AvgPool2d((2, 3), (3, 2), 1, ceil_mode=True),
    "average without padding": nn.AvgPool2d(3, (1, 2), 1, count_include_pad=False),
    "average with ceil and without padding": nn.AvgPool2d(
        (2, 3), (3, 2), 1, ceil_mode=True, count_include_pad=False
    ),
    "a fifth of the sum": nn.AvgPool2d(3, 2, 1, ceil_mode=True, divisor_override=5),
    "adaptive average": nn.AdaptiveAvgPool2d((3, 5)),
    "adaptive maximum": nn.AdaptiveMaxPool2d((5, 4)),
    "adaptive along columns": nn.AdaptiveAvgPool2d((None, 5)),
    "one row": nn.AdaptiveMaxPool2d((1, 4)),
    "relu before max pool": nn.Sequential(nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)),
    "batch norm": nn.Sequential(conv(4, 4), nn.BatchNorm2d(4), nn.ReLU(inplace=True)),
    "batch norm of padding": nn.Sequential(nn.BatchNorm2d(4), conv(4, 4, 3, 2)),
    "silu": nn.SiLU(inplace=True),
    "padding by reflection": nn.ReflectionPad2d(1),
    "circular padding": conv(4, 4, padding_mode="circular"),
    "upsampling": nn.Upsample(scale_factor=2),
    "instance norm": nn.InstanceNorm2d(4, affine=True),
}


@pytest.mark.parametrize("part", cases(PARTS))
def test_a_module_is_on_a_part_what_it_is_on_the_whole(part, filled, asking):
    check_everywhere(filled(inside(part)), asking)


def shuffled(net, maps):
    batch, channels, rows, columns = maps.size()
    pairs = maps.view(batch, 2, channels // 2, rows, columns).transpose(1, 2).contiguous()
    return pairs.view(batch, -1, rows, columns)


def split(net, maps):
    one, other = shuffled(net, maps).chunk(2, dim=1)
    return torch.cat((other, net.part(one)), 1)


def added_in_place(net, maps):
    summed = net.part(maps)
    summed += maps
    return summed


def cut_and_joined(net, maps):
    return torch.cat((maps[:, 2:], net.part(maps)[:, :1], maps[:, 1].unsqueeze(1)), dim=1)


def read_before_and_after(net, maps):
    before = maps + 1
    after = maps.relu_()
    return before + net.part(after) * maps


def pooled_and_read(net, maps):
    positive = maps.relu()
    return net.part(positive) + positive


FUNCTIONS = {
    "convolution": between(
        lambda net, maps: F.conv2d(maps, net.weight, net.bias, (1, 2), (1, 0), (1, 2), 2),
        6,
        weight=parameter(6, 2, 3, 2),
        bias=parameter(6),
    ),
    "convolution by keywords": between(
        lambda net, maps: F.conv2d(input=maps, weight=net.weight, stride=2, padding="valid"),
        weight=parameter(4, 4, 3, 3),
    ),
    "convolution with computed weights": between(
        lambda net, maps: F.conv2d(maps, net.weight / net.weight.norm(), padding="same"),
        weight=parameter(4, 4, 3, 2),
    ),
    "max pool": between(lambda _, maps: F.max_pool2d(maps, 3, 2, 1)),
    "max pool by keywords": between(
        lambda _, maps: torch.max_pool2d(maps, kernel_size=(2, 3), stride=1, ceil_mode=True)
    ),
    "average pool": between(lambda _, maps: F.avg_pool2d(maps, 3, 2, 1, True, False)),
    "adaptive pool": between(lambda _, maps: F.adaptive_max_pool2d(maps, (5, 4))),
    "padding": between(lambda _, maps: F.pad(maps, (1, 2, 0, 3), value=1.5)),
    "padding of channels": between(lambda _, maps: F.pad(maps, (0, 0, 0, 0, 1, 1)), 6),
    "torch.relu_": between(lambda _, maps: torch.relu_(maps)),
    "relu_ of a tensor": between(lambda _, maps: maps.relu_()),
    "mul_ and clamp_": between(lambda _, maps: maps.mul_(2).clamp_(min=-0.1)),
    "relu in place": between(
        lambda net, maps: net.part(F.relu(maps, inplace=True)), part=conv(4, 4)
    ),
    "+= of a branch": between(added_in_place, part=conv(4, 4)),
    "add_ of a branch": between(lambda net, maps: net.part(maps).add_(maps), part=conv(4, 4)),
    "read before and after relu_": between(read_before_and_after, part=conv(4, 4)),
    "imul": between(lambda _, maps: operator.imul(maps + 0, 3)),
    "channel shuffle": between(shuffled),
    "chunks": between(split, part=conv(2, 2)),
    "split": between(lambda _, maps: torch.cat(torch.split(maps, 3, 1)[::-1], 1)),
    "slices": between(cut_and_joined, part=conv(4, 4)),
    "channels last": between(
        lambda net, maps: net.part(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
        part=nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4), nn.GELU()),
    ),
    "strided branches": between(
        lambda net, maps: net.part(maps) + net.other(maps),
        part=conv(4, 4, 5, 2, stride=2),
        other=conv(4, 4, 1, 0, stride=2),
    ),
    "every second position": between(lambda _, maps: maps[:, :, ::2, 1:]),
    "one part called twice": between(
        lambda net, maps: net.part(net.part(maps)) + maps, part=conv(4, 4)
    ),
    "relu that is pooled and read": between(pooled_and_read, part=nn.MaxPool2d(3, 1, 1)),
    "weighed by the mean": between(
        lambda _, maps: maps * maps.mean((2, 3), keepdim=True).sigmoid()
    ),
    "weighed by rows": between(lambda _, maps: maps * F.adaptive_avg_pool2d(maps, (None, 1))),
    "the mean as a vector": between(lambda _, maps: maps - maps.mean((2, 3))[:, :, None, None]),
    "tokens and back": between(
        lambda net, maps: net.mix(maps.flatten(2)).reshape(-1, 4, *SIZE), mix=nn.Linear(72, 72)
    ),
}


@pytest.mark.parametrize("module", cases(FUNCTIONS))
def test_a_function_is_on_a_part_what_it_is_on_the_whole(module, filled, asking):
    check_everywhere(filled(module), asking)


# Where positions are no longer kept apart the whole map is read, and a part of another map must not
# be put together with it.
MIXED = {
    "a sum with what is resized": between(
        lambda _, maps: maps + F.interpolate(F.avg_pool2d(maps, 2), size=SIZE)
    ),
    "such a sum read at one position": between(
        lambda _, maps: maps + F.interpolate(F.avg_pool2d(maps, 2), size=SIZE), kernel=1
    ),
    "beside what is resized": between(
        lambda _, maps: torch.cat((maps, F.interpolate(maps[:, :1], size=SIZE)), 1), 5
    ),
    "a residual behind group norm": between(
        lambda net, maps: maps + net.norm(net.part(maps)), part=conv(4, 4), norm=nn.GroupNorm(2, 4)
    ),
    "weighed by the mean of channels": between(
        lambda _, maps: maps * maps.mean(1, keepdim=True).sigmoid(), kernel=1
    ),
    "weighed by a convolution of that": between(
        lambda net, maps: maps * net.gate(maps.mean(1, keepdim=True)).sigmoid(), gate=conv(1, 1)
    ),
    "weighed by half the positions": between(
        lambda _, maps: maps[:, :, :4] * maps[:, :, 4:], kernel=1
    ),
    "beside channels of padding": between(
        lambda _, maps: torch.cat((maps, F.pad(maps[:, :1], (0, 0, 0, 0, 1, 1))), 1), 7
    ),
    "batch norm by the map's own statistics": inside(nn.BatchNorm2d(4, track_running_stats=False)),
    "pooled behind resizing": inside(
        nn.Sequential(nn.Upsample(scale_factor=2), nn.AdaptiveAvgPool2d(4), conv(4, 4, 1, 0))
    ),
    "reflected at the last layer": Net(
        lambda net, images: net.last(net.first(images)),
        first=nn.Conv2d(3, 4, 5, 3),
        last=nn.Conv2d(4, 4, 3, 2, 1, padding_mode="reflect"),
    ),
}


@pytest.mark.parametrize("module", cases(MIXED))
def test_what_mixes_positions_is_read_as_a_whole(module, filled, asking):
    check_everywhere(filled(module), asking)


def test_adaptive_pools_behind_an_unknown_operation_read_the_whole_map(filled, asking):
    norm, pool = nn.LocalResponseNorm(2), nn.AdaptiveAvgPool2d((3, 4))
    check_everywhere(filled(inside(nn.Sequential(norm, pool, conv(4, 4, 1, 0)))), asking)


CONSTANTS = {
    "a map": between(lambda net, maps: maps + net.map, map=parameter(1, 4, *SIZE)),
    "along columns": between(lambda net, maps: maps * net.map, map=parameter(COLUMNS)),
    "along rows": between(lambda net, maps: net.map - maps, map=parameter(4, ROWS, 1)),
    "by channel": between(lambda net, maps: maps * net.map, map=parameter(4, 1, 1)),
    "of channels last": between(
        lambda net, maps: (maps.permute(0, 2, 3, 1) + net.map).permute(0, 3, 1, 2),
        map=parameter(*SIZE, 4),
    ),
    "computed": between(lambda net, maps: maps + net.map.tanh() * 2, map=parameter(1, 4, *SIZE)),
    "computed, read at one position": between(
        lambda net, maps: maps + net.map.tanh() * 2, kernel=1, map=parameter(1, 4, *SIZE)
    ),
    "expanded": between(lambda net, maps: maps + net.map.expand(4, *SIZE), map=parameter(4, 1, 1)),
    "convolved": between(
        lambda net, maps: maps + net.part(net.map), map=parameter(1, 4, *SIZE), part=conv(4, 4)
    ),
    "beside the map": between(
        lambda net, maps: torch.cat((maps, net.map.expand(maps.size(0), -1, -1, -1)), 1),
        6,
        map=parameter(1, 2, *SIZE),
    ),
    "larger than the map": between(
        lambda net, maps: F.adaptive_avg_pool2d(maps, 1) + net.map, map=parameter(1, 4, 5, 5)
    ),
    "of a functional batch norm": between(
        lambda net, maps: F.batch_norm(maps, net.mean, net.running_var, net.weight, net.bias),
        mean=nn.Buffer(torch.zeros(4)),
        running_var=nn.Buffer(torch.ones(4)),
        weight=parameter(4),
        bias=parameter(4),
    ),
    "of the name of a part": Net(
        lambda net, images: net.norm_weight(images) * net.norm.weight,
        norm_weight=conv(3, 4),
        norm=nn.ParameterDict({"weight": parameter(4, 1, 1)}),
    ),
}


@pytest.mark.parametrize("module", cases(CONSTANTS))
def test_constants_lie_where_they_do_on_the_whole(module, filled, asking):
    check_everywhere(filled(module), asking)


def test_a_layer_with_a_map_of_constants_is_looked_at_where_the_constants_are(filled, asking):
    module = filled(CONSTANTS["a map"]).double()
    graph = Graph(module, SIZE)
    plan = smallest_canvas(graph, last(graph))
    # On another input than the network's own, the constants would be others.
    assert plan.size == SIZE
    assert plan.position == (ROWS // 2, COLUMNS // 2)
    asked = asking(graph, last(graph), plan, torch.arange(2))
    assert asked.alone().apart(asked.whole(module)).within(1e-12)


def overwritten_slice(_, maps):
    part = maps[:, :2]
    part.relu_()
    return maps


def read_by_a_view(_, maps):
    channels_last = maps.permute(0, 2, 3, 1)
    maps.relu_()
    return channels_last.permute(0, 3, 1, 2)


def behind_dropout(net, maps):
    net.part(maps).relu_()
    return maps


def set_to_a_number(_, maps):
    maps[:, :2] = 0.5
    return maps


OVERWRITTEN = {
    "through a slice": between(overwritten_slice),
    "and read by a view": between(read_by_a_view),
    "behind a dropout": between(behind_dropout, part=nn.Dropout()),
    "by a number": between(set_to_a_number),
    "by hardtanh_": between(lambda _, maps: F.hardtanh_(maps)),
    "by elu_": between(lambda _, maps: F.elu_(maps)),
    "by leaky_relu_": between(lambda _, maps: F.leaky_relu_(maps)),
}


@pytest.mark.parametrize("module", cases(OVERWRITTEN))
def test_what_is_overwritten_is_so_for_a_unit_alone(module, filled, asking):
    check_everywhere(filled(module), asking)


PADDED = {
    "the image": nn.Sequential(conv(3, 4, 1, 4), conv(4, 2, 2)),
    "a map": nn.Sequential(conv(3, 4), conv(4, 4, 1, 2), nn.ReLU(), conv(4, 2, 2)),
    "columns of a map": nn.Sequential(conv(3, 4), conv(4, 4, 1, (0, 3)), conv(4, 2)),
    "rows of a map": nn.Sequential(conv(3, 4), conv(4, 4, 1, (3, 0)), conv(4, 2)),
}


@pytest.mark.parametrize("module", cases(PADDED))
def test_a_unit_that_sees_nothing_but_padding_has_no_gradient(module, filled, asking, caplog):
    module = filled(module).double().requires_grad_(False)
    graph = Graph(module, SIZE)
    node = last(graph)
    units, rows, columns = node.meta["tensor_meta"].shape[1:]
    blind = 0
    for place in product(range(rows), range(columns)):
        plan = seen_at(graph, node, place, SIZE)
        if min(plan.box.height, plan.box.width) > 0:
            continue
        blind += 1
        caplog.clear()
        with caplog.at_level(logging.INFO, "pipeline.networks.unit_networks"):
            asked = UnitNetwork(graph, node, plan)
        assert "computed with the whole network, as" in caplog.text
        assert "sees nothing but padding of" in caplog.text
        # Images of no pixels: the answer is the same whatever the whole network sees.
        with torch.no_grad():
            found = asked(torch.zeros(units, 3, *asked.input_size).double(), torch.arange(units))
            expected = module(torch.randn(1, 3, *SIZE).double())[0, :, *place]
        assert torch.allclose(found, expected, rtol=1e-12)
        Crop(graph, node, SIZE, place).operations  # noqa: B018 - counted without complaint
    assert blind > 0
    check_everywhere(module, asking)


def test_what_hangs_over_the_edge_of_the_image_is_not_looked_at(filled):
    module = filled(nn.Sequential(conv(3, 4), nn.ReLU(), conv(4, 2))).double().requires_grad_(False)
    graph = Graph(module, SIZE)
    node = last(graph)
    box = receptive_field(graph, node, (0, 7), SIZE)
    assert box == Box(-2, 5, 3, 10)
    image = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(0)).double()
    images = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(1)).double()
    images[:, :, 2:, :4] = image[:, :, :3, 5:]  # two rows above and one column beside hang over
    images.requires_grad_()
    found = UnitNetwork(graph, node, Canvas(SIZE, (0, 7), box))(images, torch.arange(2))
    assert torch.allclose(found, module(image)[0, :, 0, 7], rtol=1e-12)
    (gradient,) = torch.autograd.grad(found.sum(), images)
    assert (gradient[:, :, :2] == 0).all()
    assert (gradient[..., 4:] == 0).all()
    assert (gradient[:, :, 2:, :4] != 0).any(1).all()


def test_sizes_that_are_read_as_numbers_are_those_of_the_whole_map(filled):
    module = filled(between(lambda _, maps: maps / maps.size(2), kernel=1))
    module = module.double().requires_grad_(False)
    graph = Graph(module, SIZE)
    image = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(0)).double()
    plan = Canvas(SIZE, (4, 4), receptive_field(graph, last(graph), (4, 4)))
    top, left, bottom, right = plan.box
    assert plan.box == Box(3, 3, 6, 6)
    cut = image[..., top:bottom, left:right].expand(2, -1, -1, -1)
    found = UnitNetwork(graph, last(graph), plan)(cut, torch.arange(2))
    assert torch.allclose(found, module(image)[0, :, 4, 4], rtol=1e-12)


def test_a_layer_that_reads_sizes_as_numbers_is_asked_on_the_network_s_own_input(filled, asking):
    module = filled(between(lambda _, maps: maps / maps.size(2), kernel=1)).double()
    graph = Graph(module, SIZE)
    plan = smallest_canvas(graph, last(graph))
    assert plan.size == SIZE
    asked = asking(graph, last(graph), plan, torch.arange(2))
    assert asked.alone().apart(asked.whole(module)).within(1e-12)


def test_parts_of_a_padded_network_by_hand():
    module = nn.Sequential(conv(3, 4), nn.MaxPool2d(2), conv(4, 2, (3, 1), (1, 0), stride=2))
    graph = Graph(module.eval(), (12, 12))
    first, pool, second = list(graph.operations)[1:]
    crop = Crop(graph, second, (12, 12), (0, 2))
    # Row 0 of three sees rows -1, 0 and 1 of the pooled map; column 2 sees column 4.
    assert crop.part(second) == ((0, 1), (2, 3))
    assert crop.part(pool) == ((0, 2), (4, 5))
    assert crop.part(first) == ((0, 4), (8, 10))
    assert crop.part(graph.image) == ((0, 5), (7, 11))
    # 2 * outputs * weights of an output * positions; of the last layer, one unit alone.
    assert crop.operations == 2 * 4 * 27 * (4 * 2) + 2 * 12
    assert crop.activations == 3 * 5 * 4 + 4 * 4 * 2 + 4 * 2 + 2


# Multiplications and additions of one response, forward and backward, without the layer's own dot
# product: SPEED's table, in units of 1e6.
ALEXNET = {"conv2": (51, 11.2), "conv3": (99, 109.4), "conv4": (131, 261.9), "conv5": (163, 516.0)}


@pytest.mark.parametrize("name", ALEXNET)
def test_operations_of_alexnet_are_those_counted_by_hand(name):
    side, millions = ALEXNET[name]
    network = torchvision_network("alexnet", "random")
    (layer,) = network.find_layers(name)
    plan = smallest_canvas(network.graph, layer.node)
    crop = Crop(network.graph, layer.node, plan.size, plan.position)
    inputs = {"conv2": 64 * 25, "conv3": 192 * 9, "conv4": 384 * 9, "conv5": 256 * 9}
    # Sides of the maps of the convolutions before, from the first on.
    sides = {"conv2": [11], "conv3": [23, 7], "conv4": [31, 11, 3], "conv5": [39, 15, 5, 3]}
    outputs = zip((64, 192, 384, 256), (363, *inputs.values()), strict=False)
    before = sum(
        2 * maps * weights * side**2
        for (maps, weights), side in zip(outputs, sides[name], strict=False)
    )
    assert (plan.box.height, plan.box.width) == (side, side)
    assert crop.operations == before + 2 * inputs[name]
    assert 2 * before / 1e6 == pytest.approx(millions, abs=0.05)


def test_operations_of_linear_maps_are_those_of_the_positions_seen(filled):
    module = filled(FUNCTIONS["channels last"])
    graph = Graph(module, (50, 60))
    plan = smallest_canvas(graph, last(graph))
    crop = Crop(graph, last(graph), plan.size, plan.position)
    assert plan.box.height == plan.box.width == 5
    # First 9 positions of 4 from 27 numbers, then a linear map of 4 at each, then one unit of 36.
    assert crop.operations == 2 * 9 * 4 * 27 + 2 * 9 * 4 * 4 + 2 * 36
    # The image, and behind it the convolution, two layouts, three layers and a unit.
    assert crop.activations == 3 * 25 + 6 * 4 * 9 + 2


def sizes_seen(module, image):
    """Run a module and return the side of the map that each of its parts reads and gives."""
    found = []
    for name, part in module.named_children():
        part.register_forward_hook(
            lambda _, inputs, output, name=name: found.append(
                (name, tuple(inputs[0].shape[2:]), tuple(output.shape[2:]))
            )
        )
    module(image)
    return found


def test_nothing_that_a_unit_does_not_see_is_computed():
    network = torchvision_network("alexnet", "random")
    (layer,) = network.find_layers("conv3")
    plan = smallest_canvas(network.graph, layer.node)
    module = crop_network(Crop(network.graph, layer.node, plan.size, plan.position))
    assert sizes_seen(module, torch.zeros(1, 3, 99, 99)) == [
        ("features_0", (99, 99), (23, 23)),
        ("features_1", (23, 23), (23, 23)),
        ("features_2", (23, 23), (11, 11)),
        ("features_3", (11, 11), (7, 7)),
        ("features_4", (7, 7), (7, 7)),
        ("features_5", (7, 7), (3, 3)),
        ("features_6", (3, 3), (1, 1)),
    ]
    assert {part.padding for part in module.children() if hasattr(part, "padding")} in (
        {(0, 0)},
        {(0, 0), 0},
    )


def test_branches_are_computed_where_they_are_joined(filled):
    wide, narrow = conv(3, 4, 5, 2), nn.Sequential(conv(3, 4, 1, 0), conv(4, 4))
    module = filled(Net(lambda n, x: n.wide(x) + n.narrow(x), wide=wide, narrow=narrow))
    graph = Graph(module, (20, 20))
    cropped = crop_network(Crop(graph, last(graph), (20, 20), (10, 10)))
    # The narrow branch sees 3 x 3 of the 5 x 5 pixels, and that is all it computes.
    assert sizes_seen(cropped, torch.zeros(1, 3, 5, 5)) == [
        ("wide", (5, 5), (1, 1)),
        ("narrow_0", (3, 3), (3, 3)),
        ("narrow_1", (3, 3), (1, 1)),
    ]


def test_a_crop_leaves_the_network_as_it_was(filled):
    module = filled(inside(nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(inplace=True), conv(4, 4))))
    graph = Graph(module, SIZE)
    kept = {name: (id(p), p.requires_grad, p.clone()) for name, p in module.named_parameters()}
    crop_network(Crop(graph, last(graph), SIZE, (4, 4)))(torch.zeros(1, 3, 7, 7))
    for name, now in module.named_parameters():
        identity, trained, values = kept[name]
        assert id(now) == identity
        assert now.requires_grad == trained, name
        assert torch.equal(now, values)
    assert module.part[1].inplace
