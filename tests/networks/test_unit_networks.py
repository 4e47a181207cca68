"""The unit network's response and gradient against those of the whole, padded network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer, find_layers
from pipeline.networks.loading.torchvision import torchvision_network
from pipeline.networks.loading.weights import seeded
from pipeline.networks.receptive_fields import (
    Box,
    Canvas,
    receptive_field,
    receptive_fields,
    smallest_canvas,
)
from pipeline.networks.unit_networks import unit_network
from tests.networks.conftest import inside

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


def random_images(count, size, dtype=torch.float32):
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(1), dtype=dtype)


def inside_places(graph, layer, size):
    """Some positions whose fields lie in the image, from first to last, at most three."""
    # Nine rows and nine columns: every box costs a walk through the graph.
    at = [np.unique(np.linspace(0, n - 1, 9).round().astype(int)) for n in layer.map_size]
    rows, columns = np.stack(np.meshgrid(*at, indexing="ij")).reshape(2, -1)
    boxes = receptive_fields(graph, layer.node, rows, columns).T.tolist()
    found = zip(rows.tolist(), columns.tolist(), boxes, strict=True)
    places = [(row, column) for row, column, box in found if inside(Box(*box), size)]
    return sorted({places[0], places[len(places) // 2], places[-1]}) if places else []


def compare(graph, layer, size, tolerance, dtype=torch.float32):
    """Cut the field out of an image: the response must be that on the whole image."""
    image = random_images(1, size, dtype)
    with torch.no_grad():
        whole = graph.truncated([layer.node])(image)[0]
    asked = unit_network(graph, layer)
    places = inside_places(graph, layer, size)
    units = torch.arange(layer.units)[:: max(1, layer.units // 6)]
    for row, column in places:
        box = receptive_field(graph, layer.node, (row, column))
        cut = image[..., box.top : box.bottom, box.left : box.right]
        assert tuple(cut.shape[2:]) == asked.input_size
        with torch.no_grad():
            alone = asked(cut.expand(len(units), -1, -1, -1), units)
        expected = whole[units, row, column]
        assert (alone - expected).abs().max() <= tolerance * whole.abs().max()
    return len(places) if whole.abs().max() > 0 else 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_drawn_networks_respond_alone_as_in_the_whole(drawn_networks, data):
    drawn = data.draw(drawn_networks)
    # Room for a few fields that lie wholly inside.
    graph = Graph(drawn.module, drawn.size)
    node = list(graph.operations)[-1]
    field = receptive_field(graph, node, (0, 0))
    size = (
        field.height + 2 * max(0, -field.top) + 3 * drawn.stride[0],
        field.width + 2 * max(0, -field.left) + 3 * drawn.stride[1],
    )
    size = (max(size[0], drawn.size[0]), max(size[1], drawn.size[1]))
    graph = Graph(drawn.module, size)
    node = list(graph.operations)[-1]
    shape = node.meta["tensor_meta"].shape
    layer = Layer("last", "last", "last", node, shape[1], (shape[2], shape[3]))
    # A ReLU at the end may have silenced all units: then both are zero.
    compare(graph, layer, size, 1e-12, torch.float64)
    assert inside_places(graph, layer, size)


NETWORKS = {
    "alexnet": (127, ["conv1", "conv2", "conv3", "features.3"]),
    "resnet18": (112, ["conv1", "layer1.0", "conv4", "conv8", "layer2.0"]),
    "googlenet": (112, ["conv1", "conv3", "inception3a.branch3.1.conv", "inception3a"]),
    "inception_v3": (128, ["conv1", "Conv2d_4a_3x3.conv", "Mixed_5b"]),
    "densenet121": (128, ["conv1", "features.denseblock1.denselayer3.conv2", "conv14"]),
    "squeezenet1_1": (128, ["conv1", "features.3", "conv10", "features.6"]),
    "mobilenet_v2": (128, ["conv2", "features.3", "features.5"]),
    "shufflenet_v2_x0_5": (128, ["conv1", "stage2.0", "stage2.1"]),
    "mnasnet0_5": (128, ["conv2", "layers.8", "layers.9.0"]),
    "convnext_tiny": (160, ["conv1", "features.1.0", "features.1.2"]),
}


# Sides of images that the networks run on and that are smaller than deep units' receptive fields.
KNOWN = {
    "alexnet": 79,
    "vgg16": 48,
    "resnet18": 64,
    "resnet50": 64,
    "googlenet": 64,
    "inception_v3": 107,
    "squeezenet1_1": 64,
    "densenet121": 64,
    "mobilenet_v2": 64,
    "efficientnet_b0": 64,
    "convnext_tiny": 64,
}
# They have siblings among the others, here or in the tests of single parts.
SLOW = {
    *("densenet121", "vgg16", "resnet50", "inception_v3", "efficientnet_b0", "convnext_tiny"),
}


def slowly(names, slow):
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]


# Of those whose gradients are looked at below, the responses are, too.
@pytest.mark.parametrize("name", slowly(NETWORKS, KNOWN.keys() - SLOW))
def test_known_networks_respond_alone_as_in_the_whole(name, filled):
    side, layers = NETWORKS[name]
    network = replace(torchvision_network(name, "random"), input_size=(side, side - 1))
    stir(network.module)
    for layer in network.find_layers(layers):
        assert compare(network.graph, layer, network.input_size, 1e-5) > 0, layer.name


def stir(module):
    """Shift biases and statistics, so that padding is never the same as what lies beside it."""
    generator = torch.Generator().manual_seed(2)
    for name, tensor in module.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator))


def test_gradients_are_those_of_the_whole_network():
    network = replace(torchvision_network("alexnet", "random"), input_size=(127, 127))
    stir(network.module)
    (layer,) = network.find_layers("conv3")
    (place, *_) = inside_places(network.graph, layer, (127, 127))
    box = receptive_field(network.graph, layer.node, place)
    image = random_images(1, (127, 127)).requires_grad_()
    whole = network.graph.truncated([layer.node])(image)[0]
    asked = unit_network(network.graph, layer)
    units = torch.tensor([3, 200])
    cut = image.detach()[..., box.top : box.bottom, box.left : box.right]
    cut = cut.repeat(2, 1, 1, 1).requires_grad_()
    asked(cut, units).sum().backward()
    for unit, alone in zip(units, cut.grad, strict=True):
        (expected,) = torch.autograd.grad(whole[unit, *place], image, retain_graph=True)
        inner = expected[0, :, box.top : box.bottom, box.left : box.right]
        assert expected.abs().sum() == pytest.approx(float(inner.abs().sum()), rel=1e-6)
        assert (alone - inner).abs().max() <= 1e-5 * inner.abs().max()


def test_each_sample_has_its_own_unit(filled):
    graph = Graph(filled(nn.Sequential(nn.Conv2d(3, 5, 3, stride=2, padding=1))), (9, 9))
    (layer,) = find_layers(graph, "conv1", "net")
    asked = unit_network(graph, layer)
    images = random_images(4, (3, 3))
    units = torch.tensor([4, 0, 2, 2])
    conv = graph.modules["0"]
    # A response is the dot product of image and kernel, and the bias.
    expected = (images * conv.weight[units]).sum((1, 2, 3)) + conv.bias[units]
    assert torch.allclose(asked(images, units), expected, atol=1e-6)


def test_squeeze_and_excitation_takes_the_whole_input():
    network = replace(torchvision_network("efficientnet_b0", "random"), input_size=(64, 48))
    stir(network.module)
    # The second block's expansion lies behind the first block's squeeze-and-excitation.
    (early, late) = network.find_layers(["conv2", "features.2.0.block.0.0"])
    assert unit_network(network.graph, early).input_size < (64, 48)
    asked = unit_network(network.graph, late)
    assert asked.input_size == asked.canvas.size == (64, 48)
    image = random_images(1, (64, 48))
    whole = network.graph.truncated([late.node])(image)[0]
    units = torch.arange(late.units)
    alone = asked(image.expand(late.units, -1, -1, -1), units)
    middle = whole[:, whole.shape[1] // 2, whole.shape[2] // 2]
    assert (alone - middle).abs().max() <= 1e-5 * middle.abs().max()


def test_a_linear_layer_takes_the_whole_input():
    network = replace(torchvision_network("alexnet", "random"), input_size=(96, 80))
    (layer,) = network.find_layers("classifier.6")
    assert layer.map_size == (1, 1)
    asked = unit_network(network.graph, layer)
    assert asked.input_size == (96, 80)
    image = random_images(2, (96, 80))
    units = torch.tensor([7, 999])
    with torch.no_grad():
        expected = network.module(image)[[0, 1], units]
        assert torch.allclose(asked(image, units), expected, rtol=1e-4, atol=1e-6)


def vision_transformer(side):
    """Return torchvision's with patches of 16 pixels, narrow and of two blocks."""
    with seeded(0):
        module = torchvision.models.VisionTransformer(side, 16, 2, 4, 96, 192)
        nn.init.normal_(module.heads.head.weight, std=0.02)  # zero before training
    return module.eval().requires_grad_(False)


def test_a_patch_embedding_is_a_plain_convolution():
    graph = Graph(vision_transformer(64), (64, 64))
    (layer,) = find_layers(graph, ["conv1"], "vit")
    assert (layer.module, layer.units, layer.map_size) == ("conv_proj", 96, (4, 4))
    assert unit_network(graph, layer).input_size == (16, 16)
    assert compare(graph, layer, (64, 64), 1e-5) == 3


@pytest.mark.parametrize(
    "first", [nn.ZeroPad2d(-2), nn.ReflectionPad2d(2), nn.ReplicationPad2d((0, 2, 1, 0))]
)
def test_padding_that_holds_or_hides_pixels_is_not_taken_for_zeros(first, filled):
    module = filled(nn.Sequential(first, nn.Conv2d(3, 4, 3, padding=1)))
    graph = Graph(module, (12, 12))
    (layer,) = find_layers(graph, "conv1", "net")
    image = random_images(1, (12, 12))
    asked = unit_network(graph, layer)
    row, column = asked.canvas.position
    for place in inside_places(graph, layer, (12, 12)):
        top, left, bottom, right = receptive_field(graph, layer.node, place)
        cut = image[..., top:bottom, left:right].expand(4, -1, -1, -1)
        if cut.shape[2:] == image.shape[2:]:
            place = (row, column)
        whole = module(image)[0][(slice(None), *place)]
        assert torch.allclose(asked(cut, torch.arange(4)), whole, atol=1e-5)


def test_a_map_of_one_position_that_is_broadcast_does_not_shift(filled):
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)
            self.gate = nn.Conv2d(3, 4, (5, 1), stride=8)

        def forward(self, images):
            return self.conv(images) * self.gate(images)

    graph = Graph(filled(Gated()), (8, 8))
    node = list(graph.operations)[-1]
    # The gate sees rows 0 to 4 of column 0 and weighs every unit.
    assert receptive_field(graph, node, (6, 5)) == (0, 0, 8, 7)
    assert receptive_field(graph, node, (0, 5)) == (-1, 0, 5, 7)
    asked = unit_network(graph, Layer("last", "last", "last", node, 4, (8, 8)))
    # The unit in the middle: the convolution sees rows and columns 3 to 5, the gate from 0 on.
    assert asked.canvas.size == (8, 8)
    assert asked.input_size == (6, 6)
    image = random_images(1, (8, 8))
    whole = graph.module(image)[0, :, 4, 4]
    found = asked(image[:, :, :6, :6].expand(4, -1, -1, -1), torch.arange(4))
    assert torch.allclose(found, whole, atol=1e-6)


def small(name):
    side = KNOWN[name]
    network = replace(torchvision_network(name, "random"), input_size=(side, side + 5))
    stir(network.module)
    return network


def places(network, layers, side):
    """Yield where a layer's unit sees padding and, if that takes no large input, where it does not.

    With three units, from first to last.
    """
    for layer in layers:
        middle = tuple(n // 2 for n in layer.map_size)
        box = receptive_field(network.graph, layer.node, middle, clip=True)
        units = torch.linspace(0, layer.units - 1, 3).long()
        yield layer, Canvas(network.input_size, middle, box), units
        plan = smallest_canvas(network.graph, layer.node)
        if max(plan.size) <= side:
            yield layer, plan, units


def check_known(network, layers, asking, side):
    """Answers to three images in double precision, then in single."""
    graph, exact = network.graph, []
    network.module.double()
    for layer, plan, units in places(network, layers, side):
        asked = asking(graph, layer.node, plan, units)
        whole = asked.whole()
        assert asked.alone().apart(whole).within(1e-12), (layer.name, plan)
        exact.append(whole)
    network.module.float()
    for (layer, plan, units), expected in zip(places(network, layers, side), exact, strict=True):
        asked = asking(graph, layer.node, plan, units)
        alone, whole = asked.alone(), asked.whole()
        found = alone.apart(whole)
        assert found.response.max() <= 1e-5, (layer.name, plan)
        if found.gradient.min() > 1e-5:
            # Rounding decides a ReLU or a maximum otherwise now and then, and from there on the
            # gradient is another, which a mistake would be in every image. Where so much is nearly
            # equal that no image is spared, the whole network is as far from the exact gradient.
            rounding = whole.apart(expected).gradient.max()
            assert alone.apart(expected).gradient.min() <= 3 * rounding, (layer.name, plan)
    return len(exact)


@pytest.mark.parametrize("name", slowly(KNOWN, SLOW))
def test_units_of_known_networks_have_the_gradients_of_the_whole(name, asking):
    network = small(name)
    layers = network.find_layers("all")
    some = [layers[n * (len(layers) - 1) // 2] for n in range(3)]
    assert check_known(network, some, asking, 72) > len(some)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", KNOWN)
def test_all_units_of_known_networks_have_the_gradients_of_the_whole(name, asking):
    network = small(name)
    layers = network.find_layers("all")
    assert check_known(network, layers, asking, 240) > len(layers)


@torch.no_grad()
def climbed_one_by_one(network, layer, starts, units, rate, steps=20):
    """Ascend images singly through the padded, truncated network: the seed of the project."""
    whole = network.graph.truncated([layer.node])
    plan = smallest_canvas(network.graph, layer.node)
    seen = (..., slice(plan.box.top, plan.box.bottom), slice(plan.box.left, plan.box.right))
    ends = []
    for start, unit in zip(starts, units, strict=True):
        image = torch.zeros(1, 3, *plan.size, dtype=start.dtype)
        image[seen] = start
        for _ in range(steps):
            image.requires_grad_()
            with torch.enable_grad():
                response = whole(image)[0, unit, *plan.position]
            (gradient,) = torch.autograd.grad(response, image)
            image = image.detach() + rate * gradient
        ends.append(image[seen].clone())
        image[seen] = 0
        assert (image == 0).all(), "nothing outside the box has moved"
    return torch.cat(ends)


@torch.no_grad()
def climbed_together(asked, starts, units, rate, steps=20):
    images = starts.clone()
    for _ in range(steps):
        images.requires_grad_()
        with torch.enable_grad():
            total = asked(images, units).sum()
        (gradient,) = torch.autograd.grad(total, images)
        images = images.detach() + rate * gradient
    return images


@pytest.mark.parametrize(
    ("name", "side", "units"),
    [("conv2", 51, 192), pytest.param("conv3", 99, 384, marks=pytest.mark.slow)],
)
def test_ascents_are_those_of_the_seed(name, side, units):
    network = torchvision_network("alexnet", "random")
    (layer,) = network.find_layers(name)
    starts = random_images(6, (side, side))
    some = torch.linspace(0, units - 1, 6).long()
    # Which kernels compute a batch is up to the machine: equal bits are a matter of one plan, and
    # in single precision a rounding that decides a maximum leads elsewhere after some steps.
    asked = unit_network(network.graph, layer)
    first = climbed_together(asked, starts, some, rate=10.0)
    assert torch.equal(climbed_together(asked, starts, some, rate=10.0), first)
    single = climbed_one_by_one(network, layer, starts.clone(), some, rate=10.0, steps=1)
    assert torch.allclose(
        climbed_together(asked, starts, some, rate=10.0, steps=1), single, rtol=0, atol=1e-6
    )
    network.module.double()
    starts = starts.double()
    exact = climbed_one_by_one(network, layer, starts.clone(), some, rate=10.0)
    assert ((exact - starts).abs().amax((1, 2, 3)) > 0.1).all()
    asked = unit_network(network.graph, layer)
    found = climbed_together(asked, starts, some, rate=10.0)
    assert torch.allclose(found, exact, rtol=0, atol=1e-12)


def ask_head(network, name, size, asking):
    """Ask three units of a layer that sees the whole image through attention, which is smooth."""
    stir(network)
    graph = Graph(network.eval().requires_grad_(False), size)
    (layer,) = find_layers(graph, [name], "net")
    plan = smallest_canvas(graph, layer.node)
    assert plan == Canvas(size, (0, 0), Box(0, 0, *size))
    asked = asking(graph, layer.node, plan, torch.tensor([0, 500, layer.units - 1]))
    whole = asked.whole(network)
    for lowered in (True, False):
        assert asked.alone(lowered=lowered).apart(whole).within(1e-5)
    return whole.gradient


def test_a_vision_transformer_is_asked_behind_its_attention(asking):
    gradient = ask_head(vision_transformer(48), "heads.head", (48, 48), asking)
    # Each of nine patches reaches the class token.
    patches = gradient.unflatten(3, (3, 16)).unflatten(2, (3, 16))
    assert (patches.abs().amax((1, 3, 5)) > 0).all()


def test_a_swin_transformer_is_asked_behind_its_shifted_windows(asking):
    with seeded(0):
        swin = torchvision.models.SwinTransformer([4, 4], 24, [2, 2], [2, 4], [7, 7])
    gradient = ask_head(swin, "head", (64, 32), asking)
    assert (gradient.abs().amax(1) > 0).all()
    (layer,) = find_layers(Graph(swin, (64, 32)), ["conv1"], "swin")
    assert layer.map_size == (16, 8)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("efficientnet_b0", "features.4.1.block.0.0"),
        pytest.param("maxvit_t", "conv9", marks=pytest.mark.slow),
    ],
)
def test_a_map_behind_something_global_is_asked_in_its_middle(name, layer, asking):
    size = (224, 224) if name == "maxvit_t" else (64, 48)
    network = replace(torchvision_network(name, "random"), input_size=size)
    stir(network.module)
    (found,) = network.find_layers(layer)
    plan = smallest_canvas(network.graph, found.node)
    assert plan == Canvas(size, tuple(n // 2 for n in found.map_size), Box(0, 0, *size))
    asked = asking(network.graph, found.node, plan, torch.tensor([0, found.units - 1]))
    assert asked.alone().apart(asked.whole()).within(1e-5)


def test_a_reflected_convolution_is_a_layer_like_others(filled, asking):
    parts = [nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")]
    graph = Graph(filled(nn.Sequential(*parts, nn.Conv2d(4, 2, 3))).double(), (12, 11))
    layers = find_layers(graph, "all", "net")
    assert [(layer.module, layer.map_size) for layer in layers] == [
        ("0", (10, 9)),
        ("1", (10, 9)),
        ("2", (8, 7)),
    ]
    for layer in layers[1:]:
        plan = smallest_canvas(graph, layer.node)
        asked = asking(graph, layer.node, plan, torch.arange(layer.units))
        assert asked.alone().apart(asked.whole()).within(1e-12)


@pytest.mark.parametrize("side", ["before", "after"])
def test_padding_behind_pixels_that_were_cut_off_is_not_seen_alone(side, filled, asking):
    """A slice or negative padding hides pixels, behind which the next convolution pads a map."""

    class Cut(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 5, padding=2)

        def forward(self, images):
            maps = self.first(images)
            return self.last(maps[:, :, 4:, 5:] if side == "before" else maps[:, :, :-4, :-5])

    graph = Graph(filled(Cut()).double(), (24, 26))
    (_, layer) = find_layers(graph, "all", "net")
    image = random_images(1, (24, 26), torch.float64)
    with torch.no_grad():
        whole = graph.module(image)[0]
        middle = tuple(n // 2 for n in layer.map_size)
        box = receptive_field(graph, layer.node, middle)
        cut = image[..., box.top : box.bottom, box.left : box.right].expand(4, -1, -1, -1)
        alone = unit_network(graph, layer)(cut, torch.arange(4))
    assert torch.allclose(alone, whole[:, *middle], rtol=1e-12)
