"""Each rewrite alone: the same values and gradients as what it replaces."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import fx, nn

from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import find_layers
from pipeline.networks.loading.torchvision import torchvision_network
from pipeline.networks.lowering import ImageConvolution, NarrowConvolution, lower
from pipeline.networks.receptive_fields import Canvas, receptive_field
from pipeline.networks.unit_networks import UnitNetwork, unit_network
from tests.networks.conftest import Net

pairs = st.tuples

modest = settings(max_examples=60, deadline=None)


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def double(module, filled):
    return filled(module).double().requires_grad_(False)


def value_and_gradient(module, images, seed=1):
    """Return a module's output and the gradient of a random weighing of it."""
    images = images.clone().requires_grad_()
    output = module(images)
    (gradient,) = torch.autograd.grad(output, images, drawn(*output.shape, seed=seed))
    return output.detach(), gradient


def check_same(module, other, images):
    for found, expected in zip(
        value_and_gradient(module, images), value_and_gradient(other, images), strict=True
    ):
        assert found.shape == expected.shape
        scale = expected.abs().max()
        assert scale > 0
        assert (found - expected).abs().max() <= 1e-13 * scale


def lowered(module):
    return lower(fx.symbolic_trace(module))


def kinds(network):
    return [
        type(network.get_submodule(str(node.target)))
        for node in network.graph.nodes
        if node.op == "call_module"
    ]


@pytest.mark.parametrize("kernel", range(1, 13))
@pytest.mark.parametrize("stride", range(1, 5))
def test_an_image_convolution_is_the_convolution(kernel, stride, filled):
    conv = double(nn.Conv2d(3, 5, kernel, stride), filled)
    # From one position of the output to several, the last pixels seen or not.
    for rows, columns in product((0, 1, stride, 3 * stride + 1), (0, 2 * stride - 1)):
        images = drawn(2, 3, kernel + rows, kernel + columns)
        check_same(ImageConvolution(conv), conv, images)
        _, gradient = value_and_gradient(ImageConvolution(conv), images)
        below, beside = (rows // stride * stride + kernel, columns // stride * stride + kernel)
        assert (gradient[:, :, below:] == 0).all()
        assert (gradient[..., beside:] == 0).all()
        assert (gradient[:, :, :kernel, :kernel] != 0).all()


@modest
@given(
    channels=pairs(st.integers(1, 14), st.integers(1, 6)),
    kernel=pairs(st.integers(1, 12), st.integers(1, 12)),
    stride=st.integers(1, 6),
    beyond=pairs(st.integers(0, 25), st.integers(0, 25)),
    batch=st.integers(1, 3),
    last=st.booleans(),
)
def test_image_convolutions_of_any_shape(filled, channels, kernel, stride, beyond, batch, last):
    bias = bool(sum(beyond) % 2)
    conv = double(nn.Conv2d(*channels, kernel, stride, bias=bias), filled)
    images = drawn(batch, channels[0], kernel[0] + beyond[0], kernel[1] + beyond[1])
    if last:
        images = images.contiguous(memory_format=torch.channels_last)
    check_same(ImageConvolution(conv), conv, images)


def test_a_block_of_pixels_by_hand():
    conv = nn.Conv2d(1, 1, 3, 2, bias=False)
    conv.weight.data = torch.arange(1.0, 10).reshape(1, 1, 3, 3)
    images = torch.zeros(1, 1, 5, 6, requires_grad=True)
    # Two rows and two columns of the output; rows overlap in row 2, column 5 is not seen.
    ImageConvolution(conv)(images).sum().backward()
    assert images.grad[0, 0].tolist() == [
        [1, 2, 3 + 1, 2, 3, 0],
        [4, 5, 6 + 4, 5, 6, 0],
        [7 + 1, 8 + 2, 9 + 7 + 3 + 1, 8 + 2, 9 + 3, 0],
        [4, 5, 6 + 4, 5, 6, 0],
        [7, 8, 9 + 7, 8, 9, 0],
    ]


@modest
@given(
    channels=pairs(st.integers(1, 5), st.integers(1, 6)),
    kernel=pairs(st.integers(1, 4), st.integers(1, 4)),
    stride=pairs(st.integers(1, 3), st.integers(1, 3)),
    dilation=pairs(st.integers(1, 3), st.integers(1, 3)),
    beyond=pairs(st.integers(0, 7), st.integers(0, 7)),
    batch=st.integers(1, 3),
    last=st.booleans(),
)
def test_narrow_convolutions_of_any_shape(
    filled, channels, kernel, stride, dilation, beyond, batch, last
):
    bias = bool(sum(beyond) % 2)
    conv = nn.Conv2d(*channels, kernel, stride, 0, dilation, bias=bias)
    conv = double(conv, filled)
    sides = [d * (k - 1) + 1 + b for d, k, b in zip(dilation, kernel, beyond, strict=True)]
    maps = drawn(batch, channels[0], *sides)
    if last:
        maps = maps.contiguous(memory_format=torch.channels_last)
    check_same(NarrowConvolution(conv), conv, maps)


def test_a_narrow_convolution_of_a_part_of_a_map(filled):
    conv = double(nn.Conv2d(4, 3, (2, 3)), filled)
    maps = drawn(2, 6, 9, 9)
    for part in (maps[:, 1:5, 2:6, 3:8], maps[:, :4].transpose(2, 3), maps[:, :4, ::2, ::2]):
        check_same(NarrowConvolution(conv), conv, part)
        check_same(ImageConvolution(conv), conv, part)
    check_same(NarrowConvolution(conv), conv, maps[:, 1:5, 2:6, 3:8].expand(2, -1, -1, -1))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_a_batch_norm_goes_into_the_convolution_before_it(bias, affine, filled):
    conv = nn.Conv2d(3, 4, 3, 2, 1, groups=1, bias=bias)
    module = double(nn.Sequential(conv, nn.BatchNorm2d(4, affine=affine), nn.ReLU()), filled)
    weight = conv.weight.clone()
    found = lowered(module)
    assert nn.BatchNorm2d not in kinds(found)
    assert torch.equal(conv.weight, weight)
    check_same(found, module, drawn(2, 3, 9, 10))


def test_a_batch_norm_stays_where_the_convolution_is_read_elsewhere(filled):
    parts = {"conv": nn.Conv2d(3, 4, 3, padding=1), "norm": nn.BatchNorm2d(4)}

    def both(net, images):
        maps = net.conv(images)
        return maps.sigmoid() + net.norm(maps)

    module = double(Net(both, **parts), filled)
    assert nn.BatchNorm2d in kinds(lowered(module))
    check_same(lowered(module), module, drawn(2, 3, 9, 10))


def test_one_convolution_before_two_batch_norms(filled):
    conv, first, second = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    module = double(nn.Sequential(conv, first, conv, second, first, conv), filled)
    check_same(lowered(module), module, drawn(2, 3, 9, 10))


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(3, 2),
        nn.MaxPool2d((2, 3), 1, 1),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.MaxPool2d(2, 1, 1, dilation=2),
    ],
)
@pytest.mark.parametrize("relu", [nn.ReLU(), nn.ReLU(inplace=True)])
def test_relu_moves_behind_max_pooling(pool, relu, filled):
    module = double(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), relu, pool), filled)
    found = lowered(module)
    # A ReLU called as a function, behind the pool.
    assert nn.ReLU not in kinds(found)
    assert found.graph.output_node().args[0].target is F.relu
    check_same(found, module, drawn(3, 3, 9, 10))


def test_relu_stays_before_other_pools(filled):
    for pool in (nn.AvgPool2d(2), nn.AdaptiveMaxPool2d(2), nn.LPPool2d(2, 2)):
        module = double(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), pool), filled)
        check_same(lowered(module), module, drawn(2, 3, 9, 10))


def test_relu_stays_before_a_pool_that_names_its_places(filled):
    pool = nn.MaxPool2d(2, return_indices=True)
    parts = {"conv": nn.Conv2d(3, 4, 3), "pool": pool, "relu": nn.ReLU()}
    module = double(Net(lambda net, x: net.pool(net.relu(net.conv(x)))[0], **parts), filled)
    check_same(lowered(module), module, drawn(2, 3, 9, 10))


def residual(net, images):
    maps = net.conv(images)
    return net.relu(maps) + maps


def two_relus(net, images):
    maps = net.conv(images)
    return net.relu(maps) * F.relu(-maps + 0.3)


def of_the_image(net, images):
    return net.conv(net.relu(images)) + images.mean()


def chained(net, images):
    maps = net.relu(net.relu(net.conv(images)))
    return maps + net.pool(maps)


def of_a_sum(net, images):
    maps = net.conv(images)
    summed = maps + net.norm(maps)
    return net.relu(summed) + summed * maps


def of_a_pool(net, images):
    pooled = net.pool(net.conv(images))
    return net.relu(pooled) + net.relu(net.norm(pooled))


def of_a_slice(net, images):
    maps = net.conv(images)
    return net.relu(maps[:, :2]) * maps[:, 2:]


def squared(net, images):
    maps = net.conv(images)
    return net.relu(maps * maps - 1) * maps


@pytest.mark.parametrize(
    "function",
    [residual, two_relus, of_the_image, chained, of_a_sum, of_a_pool, of_a_slice, squared],
)
def test_a_relu_overwrites_nothing_that_is_read_elsewhere(function, filled):
    parts = {"conv": nn.Conv2d(3, 4, 3, padding=1), "norm": nn.BatchNorm2d(4)}
    parts |= {"relu": nn.ReLU(), "pool": nn.MaxPool2d(3, 1, 1)}
    module = double(Net(function, **parts), filled)
    images = drawn(2, 3, 8, 9)
    kept = images.clone()
    check_same(lowered(module), module, images)
    with torch.no_grad():
        lowered(module)(images)
    assert torch.equal(images, kept)


def test_identities_and_dropouts_are_left_out(filled):
    parts = [nn.Identity(), nn.Conv2d(3, 4, 3), nn.Dropout(), nn.Dropout2d(), nn.Identity()]
    module = double(nn.Sequential(*parts), filled)
    found = lowered(module)
    assert kinds(found) == [ImageConvolution]
    check_same(found, module, drawn(2, 3, 8, 9))


def deep():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(4, 6, 3, padding=1, padding_mode="zeros"),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 5, 3, padding=3),
    )


def state(module):
    return {
        name: (id(tensor), tensor.stride(), tensor.requires_grad, tensor.clone())
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
    }


def check_unchanged(module, before):
    now = state(module)
    assert now.keys() == before.keys()
    for name, (*traits, values) in now.items():
        assert traits == list(before[name][:3]), name
        assert torch.equal(values, before[name][3]), name


def test_a_unit_network_leaves_the_weights_of_the_network_alone(filled):
    module = double(deep(), filled)
    before = state(module)
    graph = Graph(module, (40, 40))
    (layer,) = find_layers(graph, ["conv3"], "net")
    asked = unit_network(graph, layer)
    asked(drawn(2, 3, *asked.input_size), torch.tensor([0, 4]))
    check_unchanged(module, before)


def test_a_unit_asked_through_the_whole_network_leaves_its_weights_alone(filled):
    module = double(deep(), filled)
    before = state(module)
    graph = Graph(module, (16, 16))
    (layer,) = find_layers(graph, ["conv3"], "net")
    # The unit in the corner sees nothing but padding.
    box = receptive_field(graph, layer.node, (0, 0), clip=True)
    asked = UnitNetwork(graph, layer.node, Canvas((16, 16), (0, 0), box))
    asked(drawn(2, 3, *asked.input_size), torch.tensor([0, 4]))
    check_unchanged(module, before)


def test_a_reflected_convolution_keeps_its_weights(filled):
    reflected = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
    module = double(nn.Sequential(nn.Conv2d(3, 4, 3), reflected, nn.Conv2d(4, 2, 3)), filled)
    before = state(module)
    graph = Graph(module, (12, 12))
    unit_network(graph, find_layers(graph, ["2"], "net")[0])
    check_unchanged(module, before)


def test_alexnet_is_computed_in_the_fast_forms():
    network = torchvision_network("alexnet", "random")
    (layer,) = network.find_layers("conv5")
    found = unit_network(network.graph, layer).network
    # Maps of 39, 19, 15, 7, 5 and 3 positions a side; the layer itself is taken off.
    assert kinds(found) == [
        ImageConvolution,
        nn.MaxPool2d,
        nn.Conv2d,
        nn.MaxPool2d,
        NarrowConvolution,
        nn.ReLU,
        NarrowConvolution,
        nn.ReLU,
    ]
