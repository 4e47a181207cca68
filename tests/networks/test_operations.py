"""Operations in space: no box is too small, and that of a known operation is not too large."""

import operator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import Permute, StochasticDepth

from pipeline.networks.graph.graph import Graph
from pipeline.networks.receptive_fields import receptive_field, receptive_fields
from tests.networks.conftest import inside

SIDE = 8


class Apply(nn.Module):
    """A function as a module that is traced through."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, maps):
        return self.function(maps)


class Before(nn.Module):
    """One operation on four maps, and a convolution of two by three behind it."""

    def __init__(self, operation, channels=4):
        super().__init__()
        self.spread = nn.Conv2d(3, 4, 1)
        self.operation = operation
        self.conv = nn.Conv2d(channels, 2, (2, 3))

    def forward(self, images):
        return self.conv(self.operation(self.spread(images)))


def units_and_gradients(module):
    """Yield each position of the last map, and the rows and columns of pixels that move it."""
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).double()
    image.requires_grad_()
    summed = module(image).sum(1)[0]
    for row in range(summed.shape[0]):
        for column in range(summed.shape[1]):
            (gradient,) = torch.autograd.grad(summed[row, column], image, retain_graph=True)
            moved = gradient.abs().sum((0, 1)) > 0
            yield (row, column), moved.any(1).nonzero().flatten(), moved.any(0).nonzero().flatten()


def check(module, *, tight, repeats=False):
    graph = Graph(module.double(), (SIDE, SIDE))
    node = list(graph.operations)[-1]
    within = 0
    for place, rows, columns in units_and_gradients(graph.module):
        for clip in (False, True)[repeats:]:
            box = receptive_field(graph, node, place, clip=clip)
            assert set(rows.tolist()) <= set(range(box.top, box.bottom))
            assert set(columns.tolist()) <= set(range(box.left, box.right))
        if tight and inside(receptive_field(graph, node, place), (SIDE, SIDE)):
            within += 1
            assert (box.top, box.bottom) == (rows.min(), rows.max() + 1)
            assert (box.left, box.right) == (columns.min(), columns.max() + 1)
            assert box.height < SIDE
    assert within > 0 or not tight


def named(operations):
    return [pytest.param(value, id=key) for key, value in operations.items()]


KNOWN = {
    "cropping by slices": Apply(lambda x: x[:, :, 1:-1, 2:]),
    "every second": Apply(lambda x: x[..., ::2]),
    "local response norm": nn.LocalResponseNorm(2),
    "synchronized batch norm": nn.SyncBatchNorm(4),
    "selu": nn.SELU(),
    "softmax of channels": Apply(lambda x: x.softmax(1)),
    "maxout": Apply(lambda x: torch.maximum(*x.chunk(2, 1)).repeat(1, 2, 1, 1)),
    "energy, normalized": Apply(lambda x: x**2 / (1 + (x**2).sum(1, keepdim=True))),
    "largest of channels": Apply(lambda x: x + x.amax(1)[:, None]),
    "shortcut of fewer channels": Apply(
        lambda x: F.pad(x[:, :2, ::2, ::2], (0, 0, 0, 0, 1, 1)) + x[:, :, 1::2, 1::2]
    ),
    "unknown": Apply(lambda x: torch.special.xlog1py(x, x) + torch.logaddexp(x, 2 * x)),
    "unknown, channels last": Apply(
        lambda x: F.normalize(x.permute(0, 2, 3, 1), dim=-1).permute(0, 3, 1, 2)
    ),
    "batch norm": nn.BatchNorm2d(4),
    "gelu": nn.GELU(),
    "hardswish": nn.Hardswish(),
    "relu6": nn.ReLU6(),
    "silu": nn.SiLU(),
    "prelu": nn.PReLU(4),
    "stochastic depth": StochasticDepth(0.5, "row"),
    "functional silu": Apply(F.silu),
    "functional dropout": Apply(lambda x: F.dropout(x, 0.5, training=False)),
    "arithmetic": Apply(lambda x: 2 * (x - 1) / 3 + x * x - (-x)),
    "in place": Apply(lambda x: operator.imul(x + 0, 3)),
    "methods": Apply(lambda x: x.mul(2).add_(1).sigmoid().contiguous().clone()),
    "clamp": Apply(lambda x: torch.clamp(x, -9, 9)),
    "uneven pool": Apply(lambda x: F.avg_pool2d(x, (2, 1), (1, 2), (1, 0))),
    "functional pool": Apply(lambda x: F.avg_pool2d(x, 3, stride=1, padding=1)),
    "pool by default stride": Apply(lambda x: F.avg_pool2d(x, 2)),
    "pool by keyword": Apply(lambda x: F.avg_pool2d(x, kernel_size=3, stride=2, ceil_mode=True)),
    "adaptive": Apply(lambda x: F.adaptive_avg_pool2d(x, (4, 8))),
    "adaptive module": nn.AdaptiveAvgPool2d((None, 4)),
    "constant padding": nn.ConstantPad2d((1, 0, 2, 3), 5.0),
    "channel shuffle": Apply(
        lambda x: x.view(1, 2, 2, SIDE, SIDE).transpose(1, 2).reshape(1, 4, SIDE, SIDE)
    ),
    "chunk": Apply(lambda x: torch.cat(x.chunk(2, dim=1), 1)),
    "chunk from behind": Apply(lambda x: torch.cat(torch.chunk(x, 2, -3), dim=-3)),
    "channels": Apply(lambda x: torch.cat((x[:, 2:], torch.unsqueeze(x[:, 0], 1), x[:, :1]), 1)),
    "channels last": Apply(lambda x: F.layer_norm(x.permute(0, 2, 3, 1), (4,)).permute(0, 3, 1, 2)),
    "linear over channels": nn.Sequential(
        Permute([0, 2, 3, 1]), nn.LayerNorm(4), nn.Linear(4, 4), Permute([0, 3, 1, 2])
    ),
    "there and back": Apply(lambda x: x.transpose(2, 3).transpose(-1, -2)),
}


@pytest.mark.parametrize("operation", named(KNOWN))
def test_known_operations_have_exact_boxes(operation, filled):
    check(filled(Before(operation), positive=True), tight=True)


# Padding that shows positions again: what lies beyond the image stands for them.
REPEATING = {
    "reflection": nn.ReflectionPad2d(3),
    "replication": nn.ReplicationPad2d((3, 0, 0, 3)),
    "circular": nn.CircularPad2d(2),
    "circular convolution": nn.Conv2d(4, 4, 3, padding=2, padding_mode="circular"),
    "reflecting convolution": nn.Conv2d(4, 4, 3, padding=2, padding_mode="reflect"),
    "reflected by the function": Apply(lambda x: F.pad(x, (2, 1, 0, 3), mode="reflect")),
    "wrapped by the function": Apply(lambda x: F.pad(x, (2, 1, 0, 3), mode="circular")),
    "reflection and stride": nn.Conv2d(4, 4, 3, stride=2, padding=1, padding_mode="reflect"),
}

MIXING = {
    "cropping": nn.ZeroPad2d(-2),
    "cropping by padding": Apply(lambda x: F.pad(x, (-1, -2, 3, 0))),
    "flipped": Apply(lambda x: x.flip(2)),
    "rolled": Apply(lambda x: torch.roll(x, 3, 3)),
    "transposed": Apply(lambda x: x.transpose(2, 3)),
    "transposed and added": Apply(lambda x: x + x.permute(0, 1, 3, 2)),
    "rows halved and joined": Apply(lambda x: torch.cat(x.chunk(2, dim=2)[::-1], 2)),
    "rows halved, channels last": Apply(
        lambda x: torch.cat(x.permute(0, 2, 3, 1).chunk(2, -3)[::-1], 1).permute(0, 3, 1, 2)
    ),
    "joined below": Apply(lambda x: torch.cat((x, x), 2)),
    "reshaped": Apply(lambda x: x.reshape(1, 4, 4, 16)),
    "flattened and back": Apply(lambda x: x.flatten(1).view(1, 4, SIDE, SIDE)),
    "instance norm": nn.InstanceNorm2d(4),
    "group norm": nn.GroupNorm(1, 4),
    "layer norm over rows": nn.LayerNorm(SIDE),
    "linear over rows": nn.Linear(SIDE, 5),
    "upsampling": nn.Upsample(scale_factor=2),
    "interpolation": Apply(lambda x: F.interpolate(x, size=(5, 11), mode="bilinear")),
    "pixel shuffle": nn.Sequential(nn.PixelShuffle(2), nn.Conv2d(1, 4, 1)),
    "transposed convolution": nn.ConvTranspose2d(4, 4, 3, 2),
    "softmax": nn.Softmax(dim=-1),
    "relative to the largest": Apply(lambda x: x / x.abs().amax((1, 2, 3), keepdim=True)),
    "gated by the sum": Apply(lambda x: x * (x.sum((1, 2, 3), keepdim=True) > 0)),
    "relative to the median": Apply(lambda x: x - x.flatten(1).median()),
    "sorted": Apply(lambda x: x.sort(2).values),
    "summed along rows": Apply(lambda x: x.cumsum(3)),
    "excited by the mean": Apply(lambda x: x * x.mean((2, 3), keepdim=True).sigmoid()),
    "excited by a pool": Apply(lambda x: x * F.adaptive_avg_pool2d(x, 1)),
    "excited by rows": Apply(lambda x: x * F.adaptive_avg_pool2d(x, (None, 1))),
    "attention": Apply(
        lambda x: (
            x + (x.flatten(2).softmax(2) @ x.flatten(2).transpose(1, 2)).mean(2)[..., None, None]
        )
    ),
}


@pytest.mark.parametrize("operation", named(REPEATING))
def test_padding_that_repeats_a_map_hides_no_pixel(operation, filled):
    check(filled(Before(operation)), tight=True, repeats=True)


@pytest.mark.parametrize("operation", named(MIXING))
def test_no_box_is_too_small(operation, filled):
    check(filled(Before(operation)), tight=False)


@pytest.mark.parametrize(
    ("function", "module"),
    [
        (lambda x: F.max_pool2d(x, 3, 2, 1, 1, True), nn.MaxPool2d(3, 2, 1, ceil_mode=True)),
        (lambda x: torch.max_pool2d(x, (2, 3), 1, 0, 2), nn.MaxPool2d((2, 3), 1, dilation=2)),
        (lambda x: F.max_pool2d(x, 2), nn.MaxPool2d(2)),
        (lambda x: F.adaptive_max_pool2d(x, (5, 3)), nn.AdaptiveMaxPool2d((5, 3))),
    ],
)
def test_functions_have_the_boxes_of_their_modules(function, module, filled):
    check(filled(Before(Apply(function))), tight=False)
    by_function, by_module = (
        Graph(Before(operation).eval(), (SIDE, SIDE)) for operation in (Apply(function), module)
    )
    boxes = []
    for graph in (by_function, by_module):
        node = list(graph.operations)[-1]
        sizes = [graph.sizes(SIDE, axis)[node] for axis in (0, 1)]
        boxes.append(receptive_fields(graph, node, *np.indices(sizes)))
    assert np.array_equal(*boxes)
    assert (boxes[0][2] - boxes[0][0] < SIDE).any()
