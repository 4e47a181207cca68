"""Receptive fields against a published table and against the pixels that do move a unit."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import find_layers
from pipeline.networks.loading.torchvision import torchvision_network
from pipeline.networks.receptive_fields import (
    Box,
    bound_note,
    is_shift_invariant,
    receptive_field,
    receptive_fields,
    smallest_canvas,
)
from tests.networks.conftest import inside

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
drawing = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def last(graph):
    return list(graph.operations)[-1]


@pytest.fixture
def _any_weights(monkeypatch):
    """Draw no weights: where fields lie, they do not matter, and drawing millions takes seconds."""
    for name in ("normal_", "trunc_normal_", "uniform_", "kaiming_normal_", "kaiming_uniform_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *_given, **_more: tensor)


@pytest.mark.usefixtures("_any_weights")
@pytest.mark.parametrize("model", ["alexnet", "vgg16", "resnet18"])
def test_fields_and_units_are_the_published_ones(model, reference_data):
    network = torchvision_network(model, "random")
    table = (reference_data / "receptive_fields.txt").read_text()
    rows = [line.split() for line in table.splitlines()]
    # Among the columns is an input on which the field is in the middle, which nothing here uses.
    expected = [(*row[1:4], *row[5:]) for row in rows if row[0] == model]
    found = []
    calls = [node for node in network.graph.traced.graph.nodes if node.op == "call_module"]
    for layer in network.find_layers("all"):
        box = smallest_canvas(network.graph, layer.node).box
        assert box.height == box.width
        row = (layer.name, calls.index(layer.node), box.height, layer.units)
        found.append(tuple(map(str, row)))
    assert len(found) in (5, 13, 20)
    assert found == expected


@torch.no_grad()
def moving_rows_and_columns(drawn):
    """Say which rows and which columns of pixels reach each position of the last layer.

    All weights are positive and there is no bias: a unit responds to a lit row exactly if a pixel
    of it can reach the unit. Returns bool [height, rows, columns] and [width, rows, columns].
    """
    height, width = drawn.size
    lit = torch.zeros(height + width, 3, height, width, dtype=torch.float64)
    for row in range(height):
        lit[row, :, row, :] = 1
    for column in range(width):
        lit[height + column, :, :, column] = 1
    moved = (drawn.module(lit) > 0).any(1)
    return moved[:height], moved[height:]


@settings(drawing, max_examples=80)
@given(data=st.data())
def test_boxes_hold_the_pixels_that_move_a_unit(positive_networks, data):
    drawn = data.draw(positive_networks)
    graph = Graph(drawn.module, drawn.size)
    support = moving_rows_and_columns(drawn)
    rows, columns = support[0].shape[1:]
    places = {(0, 0), (rows - 1, columns - 1), (rows // 2, columns // 2), (0, columns - 1)}
    for place in places:
        box = receptive_field(graph, last(graph), place)
        clipped = receptive_field(graph, last(graph), place, clip=True)
        for axis in (0, 1):
            size, start, stop = drawn.size[axis], box[axis], box[axis + 2]
            hit = support[axis][(slice(None), *place)].nonzero().flatten().tolist()
            assert set(hit) <= set(range(start, stop))
            assert set(hit) <= set(range(clipped[axis], clipped[axis + 2]))
            assert 0 <= clipped[axis] <= clipped[axis + 2] <= size
            if inside(box, drawn.size):
                assert (min(hit), max(hit) + 1) == (start, stop)
                assert (clipped[axis], clipped[axis + 2]) == (start, stop)


@drawing
@given(data=st.data())
def test_neighbors_are_one_stride_apart(drawn_networks, data):
    drawn = data.draw(drawn_networks)
    graph = Graph(drawn.module, drawn.size)
    row, column = data.draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    box = receptive_field(graph, last(graph), (row, column))
    below = receptive_field(graph, last(graph), (row + 1, column))
    right = receptive_field(graph, last(graph), (row, column + 1))
    down, across = drawn.stride
    assert below == (box.top + down, box.left, box.bottom + down, box.right)
    assert right == (box.top, box.left + across, box.bottom, box.right + across)


@drawing
@given(data=st.data())
def test_many_boxes_are_the_single_ones(drawn_networks, data):
    drawn = data.draw(drawn_networks)
    graph = Graph(drawn.module, drawn.size)
    places = data.draw(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=5))
    rows, columns = np.array(places, dtype=np.int64).reshape(-1, 2).T
    boxes = receptive_fields(graph, last(graph), rows, columns)
    assert boxes.shape == (4, len(places))
    for box, place in zip(boxes.T, places, strict=True):
        assert tuple(box) == receptive_field(graph, last(graph), place)


def test_many_boxes_keep_the_shape_of_the_positions(filled):
    graph = Graph(filled(nn.Sequential(nn.Conv2d(3, 2, 3))), (9, 9))
    rows, columns = np.indices((2, 3))
    boxes = receptive_fields(graph, last(graph), rows, columns)
    assert boxes.shape == (4, 2, 3)
    assert boxes[:, 1, 2].tolist() == [1, 2, 4, 5]


@settings(drawing, max_examples=40)
@given(data=st.data())
def test_a_canvas_shows_its_unit_the_whole_field_and_no_padding(drawn_networks, data):
    drawn = data.draw(drawn_networks)
    graph = Graph(drawn.module, drawn.size)
    plan = smallest_canvas(graph, last(graph))
    field = receptive_field(graph, last(graph), (0, 0))
    assert (plan.box.height, plan.box.width) == (field.height, field.width)
    assert inside(plan.box, plan.size)
    assert plan.box == receptive_field(graph, last(graph), plan.position, plan.size)


def test_box_by_hand():
    box = Box(-1, 2, 4, 9)
    assert (box.height, box.width) == (5, 7)


def test_another_image_size_is_asked_about_without_tracing_again(filled):
    graph = Graph(filled(nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(2))), (10, 10))
    # 8 positions in two halves of 4: pixels 0 to 5; at 22 x 14, halves of 10 and 6.
    assert receptive_field(graph, last(graph), (0, 1)) == (0, 4, 6, 10)
    assert receptive_field(graph, last(graph), (0, 1), (22, 14)) == (0, 6, 12, 14)


def test_global_operations_make_the_field_the_image(filled):
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d((1, None)), nn.Conv2d(2, 2, 1))
    graph = Graph(filled(module), (10, 14))
    assert not is_shift_invariant(graph, last(graph), 0)
    assert is_shift_invariant(graph, last(graph), 1)
    assert receptive_field(graph, last(graph), (0, 5)) == (0, 5, 10, 8)
    plan = smallest_canvas(graph, last(graph))
    assert plan.size[0] == 10
    assert plan.position[0] == 0
    assert (plan.box.top, plan.box.bottom) == (0, 10)
    assert plan.box.width == 3


@pytest.mark.usefixtures("_any_weights")
@pytest.mark.parametrize("name", ["alexnet", "resnet18", "inception_v3"])
def test_boxes_of_many_units_are_those_of_each(name):
    graph = torchvision_network(name, "random").graph
    layer = find_layers(graph, "all", name)[-1]
    rows, columns = np.indices(layer.map_size)
    boxes = receptive_fields(graph, layer.node, rows, columns)
    for row, column in zip(rows.ravel(), columns.ravel(), strict=True):
        expected = receptive_field(graph, layer.node, (int(row), int(column)))
        assert tuple(boxes[:, row, column]) == expected


def test_a_field_that_is_only_a_bound_is_told():
    class Mirrored(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
            self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(4, 2)

        def forward(self, images):
            maps = self.last(self.first(images).flip(2))
            return self.head(self.pool(maps).flatten(1))

    graph = Graph(Mirrored().eval(), (12, 12))
    first, last, head = find_layers(graph, ["first", "last", "head"], "net")
    assert bound_note(graph, first.node, "conv1") is None
    assert bound_note(graph, last.node, "conv2") == (
        "layers: the receptive field of conv2 is given as the whole image, which is an upper bound,"
        " because it is unknown which pixels have an effect through flip (flip)"
    )
    network = torchvision_network("alexnet", "random")
    (head,) = network.find_layers(["output"])  # sees the whole image, behind adaptive pooling
    assert bound_note(network.graph, head.node, "output") is None
