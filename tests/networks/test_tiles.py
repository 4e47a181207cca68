"""Gradients summed over tiles against those of the whole network."""

import logging
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from pipeline.errors import ConfigError
from pipeline.networks.cropping import Crop, crop_network
from pipeline.networks.graph.geometry import Interval
from pipeline.networks.graph.graph import Graph
from pipeline.networks.receptive_fields import Box
from pipeline.networks.tiles import tiles
from tests.networks.conftest import Net, inside

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")

OBJECTIVES = {"sum": lambda maps: maps.sum((1, 2, 3)), "squares": lambda m: (m**2).sum((1, 2, 3))}


def alexnet():
    """AlexNet's geometry from the first convolution to the third, with few channels."""
    return nn.Sequential(
        nn.Conv2d(3, 5, 11, 4, 2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(5, 6, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(6, 4, 3, padding=1),
    )


def pooled_with_ceil():
    return nn.Sequential(
        nn.Conv2d(3, 4, (3, 5), (2, 1), 1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2),
        nn.AvgPool2d(2, 2, 1, ceil_mode=True, count_include_pad=False),
        nn.Conv2d(4, 3, 3, padding=1),
    )


class Residual(nn.Module):
    """A block of a residual network, whose short cut may stride."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, 1, 1)
        self.short = nn.Conv2d(before, after, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, maps):
        added = self.second(F.relu(self.norm(self.first(maps)), inplace=True))
        added += self.short(maps)
        return F.relu(added)


def residual():
    stem = nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    return nn.Sequential(stem, Residual(4, 4, 1), Residual(4, 6, 2), Residual(6, 6, 1))


def inception():
    return Net(
        lambda net, images: torch.cat((net.wide(net.stem(images)), net.pool(net.stem(images))), 1),
        stem=nn.Conv2d(3, 4, 3, 2),
        wide=nn.Sequential(nn.Conv2d(4, 2, (1, 7), padding=(0, 3)), nn.ReLU()),
        pool=nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(4, 3, 1)),
    )


NETWORKS = {
    "alexnet": alexnet,
    "ceil": pooled_with_ceil,
    "residual": residual,
    "inception": inception,
}


def traced(module, size):
    graph = Graph(module.double().requires_grad_(False).eval(), size)
    return graph, list(graph.operations)[-1]


def images_of(size, count=2):
    return torch.randn(
        count, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )


def whole_answer(module, images, objective):
    images = images.clone().requires_grad_()
    scores = objective(module(images))
    return scores.detach(), torch.autograd.grad(scores.sum(), images)[0]


def tiled_answer(parts, images, objective):
    score, gradient = torch.zeros(len(images), dtype=images.dtype), torch.zeros_like(images)
    for part in parts:
        top, left, bottom, right = part.box
        seen = images[..., top:bottom, left:right].clone().requires_grad_()
        own = objective(part.network(seen))
        (found,) = torch.autograd.grad(own.sum(), seen)
        score += own.detach()
        gradient[..., top:bottom, left:right] += found
    return score, gradient


def check(module, graph, node, size, tile):
    parts, images = tiles(graph, node, size, tile), images_of(size)
    for objective in OBJECTIVES.values():
        score, gradient = whole_answer(module, images, objective)
        found, added = tiled_answer(parts, images, objective)
        assert (found - score).abs().max() <= 1e-10 * score.abs().max()
        assert (added - gradient).abs().max() <= 1e-10 * gradient.abs().max()
    return parts


@pytest.mark.parametrize("size", [(131, 97), pytest.param((83, 150), marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_tiles_add_up_to_that_of_the_whole(name, size, filled):
    module = filled(NETWORKS[name]())
    graph, node = traced(module, size)
    for tile in (1000, 64, 41, 24):
        parts = check(module, graph, node, size, tile)
        assert (len(parts) > 1) == (tile < 1000)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_network_is_the_sum_of_its_tiles(drawn_networks, data):
    drawn = data.draw(drawn_networks)
    size = tuple(side + data.draw(st.integers(0, 12)) for side in drawn.size)
    graph, node = traced(drawn.module, drawn.size)  # windows alone: for any size
    check(drawn.module, graph, node, size, data.draw(st.integers(3, 20)))


@pytest.mark.parametrize("tile", [pytest.param(9, marks=pytest.mark.slow), 17, 50, 400])
@pytest.mark.parametrize("name", NETWORKS)
def test_regions_part_the_map_and_boxes_are_little_more_than_tiles(name, tile, filled):
    size = (137, 90)
    graph, node = traced(filled(NETWORKS[name]()), size)
    parts = tiles(graph, node, size, tile)
    shape = node.meta["tensor_meta"].shape[2:]
    covered = torch.zeros(shape, dtype=torch.int64)
    field = [graph.reach(node, Interval(0, 1), size[axis], axis) for axis in (0, 1)]
    height, width = (int(side.stop - side.start) for side in field)
    for part in parts:
        (top, bottom), (left, right) = part.region
        covered[top:bottom, left:right] += 1
        assert inside(part.box, size)
        answer = part.network(torch.zeros(1, 3, part.box.height, part.box.width).double())
        assert answer.shape[2:] == (bottom - top, right - left)
        assert part.box.height <= tile + height
        assert part.box.width <= tile + width
    assert (covered == 1).all()
    assert [part.region for part in parts] == sorted(part.region for part in parts)


def test_tiles_of_a_plain_convolution_by_hand(filled):
    module = filled(nn.Sequential(nn.Conv2d(3, 2, 3, 2, 1)))
    graph, node = traced(module, (12, 8))
    parts = tiles(graph, node, (12, 8), 4)
    # Rows 0-1, 2-3 and 4-5 of six; columns 0-1 and 2-3 of four. Row i sees 2 i - 1 to 2 i + 1.
    assert [part.region for part in parts] == list(
        product([(0, 2), (2, 4), (4, 6)], [(0, 2), (2, 4)])
    )
    assert [part.box for part in parts[:3]] == [Box(0, 0, 4, 4), Box(0, 3, 4, 8), Box(3, 0, 8, 4)]


def test_tiles_of_equal_geometry_share_one_network(filled):
    size = (400, 300)
    graph, node = traced(filled(alexnet()), size)
    parts = tiles(graph, node, size, 32)
    networks = {id(part.network) for part in parts}
    assert len(parts) == 12 * 9
    # Two kinds at the first edge, one inside, and at most two at the last, along each axis.
    assert len(networks) <= 25
    check(graph.module, graph, node, size, 32)


def saved_bytes(run):
    """Return what a forward pass keeps for the backward pass, weights included."""
    saved = {}

    def pack(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        answer = run()
    answer.sum()
    return sum(saved.values())


def test_a_tile_keeps_less_in_memory_than_the_whole(filled):
    size = (301, 299)
    module = filled(residual())
    graph, node = traced(module, size)
    images = images_of(size, 1)
    whole = saved_bytes(lambda: module(images.clone().requires_grad_()))
    most = 0
    for part in tiles(graph, node, size, 64):
        top, left, bottom, right = part.box
        seen = images[..., top:bottom, left:right].clone().requires_grad_()
        most = max(most, saved_bytes(lambda part=part, seen=seen: part.network(seen)))
    assert most < whole / 3


WHOLE = {
    "weighed by the mean": Net(
        lambda net, images: net.last(net.first(images) * images.mean((1, 2, 3), keepdim=True)),
        first=nn.Conv2d(3, 4, 3, padding=1),
        last=nn.Conv2d(4, 2, 3, padding=1),
    ),
    "no map": nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_sees_everything_is_one_tile(name, filled):
    module = filled(WHOLE[name])
    graph, node = traced(module, (30, 23))
    (part,) = tiles(graph, node, (30, 23), 8)
    assert part.box == (0, 0, 30, 23)
    images = images_of((30, 23))
    assert torch.allclose(part.network(images), module(images), rtol=1e-12)


def test_adaptive_pooling_and_maps_of_constants_lie_where_they_do_in_the_whole(filled):
    module = filled(
        Net(
            lambda net, images: net.last(net.pool(net.first(images)) + net.map),
            first=nn.Conv2d(3, 4, 3, padding=1),
            pool=nn.AdaptiveAvgPool2d((9, 7)),
            map=nn.Parameter(torch.zeros(1, 4, 9, 7)),
            last=nn.Conv2d(4, 2, 3, padding=1),
        )
    )
    graph, node = traced(module, (50, 41))
    parts = check(module, graph, node, (50, 41), 20)
    assert len(parts) > 4


def test_what_would_see_nothing_but_padding_is_one_tile(filled, caplog):
    module = filled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ZeroPad2d(9), nn.Conv2d(4, 2, 3)))
    graph, node = traced(module, (20, 20))
    with caplog.at_level(logging.INFO, "pipeline.networks.tiles"):
        (part,) = check(module, graph, node, (20, 20), 4)
    assert part.region == ((0, 34), (0, 34))
    assert "computed as one tile, as" in caplog.text


def test_a_region_is_what_its_positions_are(filled):
    module = filled(alexnet())
    graph, node = traced(module, (131, 97))
    region = crop_network(Crop(graph, node, (131, 97), (1, 2), (4, 3)))
    rows, columns = Crop(graph, node, (131, 97), (1, 2), (4, 3)).part(graph.image)
    images = images_of((131, 97))
    seen = images[..., slice(*rows), slice(*columns)]
    assert torch.allclose(region(seen), module(images)[..., 1:5, 2:5], rtol=1e-12)


def test_an_image_of_another_size_needs_units_that_all_see_the_same(filled):
    module = filled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(5)))
    graph, node = traced(module, (30, 30))
    with pytest.raises(ValueError, match=r"on \(31, 30\) pixels was traced on \(30, 30\)"):
        tiles(graph, node, (31, 30), 8)


def test_a_tile_of_no_pixels_is_refused(filled):
    graph, node = traced(filled(alexnet()), (131, 97))
    with pytest.raises(ConfigError) as caught:
        tiles(graph, node, (131, 97), 0)
    assert str(caught.value) == "dream.tile: 0 is not a positive number of pixels; use 256 or more"
