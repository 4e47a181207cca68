"""Sizes, reach and truncation of traced networks."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from pipeline.networks.graph.geometry import EVERYTHING, Interval
from pipeline.networks.graph.graph import Graph

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


def last(graph):
    return list(graph.operations)[-1]


def named(graph, name):
    return next(node for node in graph.operations if node.name == name)


class Excited(nn.Module):
    """A convolution whose channels are weighed by the mean of their whole map."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.weigh = nn.Conv2d(4, 4, 1)

    def forward(self, images):
        maps = self.conv(images)
        return maps * self.weigh(self.squeeze(maps)).sigmoid()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_sizes_are_those_of_the_tensors(drawn_networks, data):
    drawn = data.draw(drawn_networks)
    other = (drawn.size[0] + data.draw(st.integers(0, 9)), drawn.size[1] + 5)
    graph, fresh = Graph(drawn.module, drawn.size), Graph(drawn.module, other)
    for axis in (0, 1):
        sizes = graph.sizes(other[axis], axis)
        real = {node.name: node.meta["tensor_meta"].shape[2 + axis] for node in fresh.operations}
        assert {node.name: size for node, size in sizes.items()} == real


def test_sizes_of_alexnet_at_the_size_of_the_reference():
    features = nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
    )
    graph = Graph(features, (64, 64))
    # The maps of conv1, conv2 and conv3 on 227 pixels are 56, 27 and 13 wide.
    assert list(graph.sizes(227, 0).values()) == [227, 56, 27, 27, 13, 13]


def test_a_node_that_mixes_all_positions_reaches_everything():
    graph = Graph(Excited().eval(), (12, 10))
    squeezed = named(graph, "squeeze")
    assert graph.reach(squeezed, Interval(0, 1), 12, 0) == EVERYTHING
    # The product needs the unit's own window and, through the mean, everything.
    assert graph.reach(last(graph), Interval(5, 6), 12, 0) == EVERYTHING
    assert graph.reach(named(graph, "conv"), Interval(5, 6), 12, 0) == (4, 7)
    assert graph.sizes(30, 1)[last(graph)] == 30


def test_branches_are_joined_by_union(filled):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide = nn.Conv2d(3, 2, 7, padding=2)
            self.narrow = nn.Conv2d(3, 2, (3, 5), padding=(0, 1))

        def forward(self, images):
            return self.wide(images) + self.narrow(images)

    graph = Graph(filled(Two()), (20, 20))
    # Unit 4 of `wide` sees 2 to 8, unit 4 of `narrow` 4 to 6 vertically, 3 to 7 horizontally.
    assert graph.reach(last(graph), Interval(4, 5), 20, 0) == (2, 9)
    assert graph.reach(named(graph, "narrow"), Interval(4, 5), 20, 0) == (4, 7)
    assert graph.reach(named(graph, "narrow"), Interval(4, 5), 20, 1) == (3, 8)


def test_a_unit_that_sees_padding_alone_reaches_nothing_when_clipped():
    module = nn.Sequential(nn.Conv2d(3, 2, 1, padding=4), nn.Conv2d(2, 2, 2, padding=1))
    graph = Graph(module.eval(), (8, 8))
    assert graph.reach(last(graph), Interval(0, 1), 8, 0) == (-5, -3)
    for place in (0, 1, 16):
        clipped = graph.reach(last(graph), Interval(place, place + 1), 8, 0, clip=True)
        assert clipped.start == clipped.stop
    assert graph.reach(last(graph), Interval(5, 6), 8, 0, clip=True) == (0, 2)


def test_ancestors_are_in_call_order_and_leave_out_what_comes_after(filled):
    graph = Graph(filled(Excited()), (12, 12))
    names = [node.name for node in graph.ancestors(named(graph, "squeeze"))]
    assert names == [graph.image.name, "conv", "squeeze"]


def test_truncated_computes_the_node_before_an_in_place_operation(filled):
    module = filled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 3)))
    graph = Graph(module, (10, 10))
    images = torch.rand(2, 3, 10, 10, generator=torch.Generator().manual_seed(0))
    first, last_one = named(graph, "_0"), named(graph, "_2")
    assert torch.equal(graph.truncated([first])(images), module[0](images))
    assert (module[0](images) < 0).any()
    both = graph.truncated([first, last_one])(images)
    assert torch.equal(both[1], module(images))


def test_truncated_shares_the_weights(filled):
    module = filled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    graph = Graph(module, (10, 10))
    part = graph.truncated([named(graph, "_0")])
    assert [p.data_ptr() for p in part.parameters()] == [p.data_ptr() for p in module.parameters()]


def test_only_what_depends_on_the_image_is_an_operation():
    class Reshaped(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1, 3, 1, 1))

        def forward(self, images):
            doubled = self.scale * 2
            return (images * doubled).reshape(images.shape[0], -1)

    graph = Graph(Reshaped().eval(), (6, 6))
    assert [node.name for node in graph.operations] == ["images", "mul_1", "reshape"]
    assert graph.operations[last(graph)].axes is None
