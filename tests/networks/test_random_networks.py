"""Networks composed at random of what people build, beside autograd and plain PyTorch."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import convolutions
from pipeline.networks.loading.weights import seeded
from pipeline.networks.receptive_fields import Box, receptive_field
from pipeline.networks.responses import LayerResponses
from pipeline.networks.unit_networks import unit_network
from tests.networks.conftest import inside

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")

SIDE = (41, 44)
CHANNELS = 6


class Standardized(nn.Conv2d):
    def forward(self, x):
        weight = self.weight
        weight = (weight - weight.mean((1, 2, 3), keepdim=True)) / (weight.std() + 1e-5)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation)


class ByWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CHANNELS, CHANNELS, 3, 3) / 5)

    def forward(self, x):
        return F.relu(F.conv2d(x, self.weight, padding=1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.again = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)

    def forward(self, x):
        for _ in range(2):
            x = torch.relu(self.again(x)) + x
        return x


class Shortcut(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2, padding=1)
        self.two = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)

    def forward(self, x):
        shortcut = F.pad(x[:, 1:-1, ::2, ::2], (0, 0, 0, 0, 1, 1))
        return self.two(torch.relu(self.one(x))) + shortcut


class Maxout(nn.Module):
    def __init__(self):
        super().__init__()
        self.pieces = nn.Conv2d(CHANNELS, 2 * CHANNELS, 3, padding=1)

    def forward(self, x):
        one, other = self.pieces(x).chunk(2, 1)
        return torch.maximum(one, other)


class Energy(nn.Module):
    def __init__(self):
        super().__init__()
        self.pair = nn.Conv2d(CHANNELS, 2 * CHANNELS, 5, padding=2)

    def forward(self, x):
        both = self.pair(x)
        energy = torch.sqrt(both[:, :CHANNELS] ** 2 + both[:, CHANNELS:] ** 2 + 1e-6)
        return energy / (1 + energy.sum(1, keepdim=True))


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 3)

    def forward(self, x):
        return checkpoint(lambda t: torch.relu(self.conv(t)), x, use_reentrant=False)


class Normalizes(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.full((1, CHANNELS, 1, 1), 0.3))
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, (2, 3))

    def forward(self, x):
        return self.conv((x.permute(0, 2, 3, 1) * 2).permute(0, 3, 1, 2) - self.mean)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 3)

    def forward(self, x):
        return F.leaky_relu(F.max_pool2d(F.relu_(self.conv(x)), 2), 0.1, inplace=True)


def conv(*given, kind=nn.Conv2d, **more):
    return kind(CHANNELS, CHANNELS, *given, **more)


def normalized(norm):
    return nn.Sequential(conv(3, padding=1), norm, nn.ReLU(inplace=True))


BLOCKS = {
    "in place": lambda: nn.Sequential(conv(3, padding=1), nn.ReLU(inplace=True)),
    "functional": Functional,
    "weight": ByWeight,
    "recurrent": Recurrent,
    "dilated": lambda: nn.Sequential(conv(3, dilation=2, padding=2), nn.ELU()),
    "depthwise": lambda: nn.Sequential(conv((3, 5), groups=CHANNELS, padding="same"), nn.GELU()),
    "even": lambda: nn.Sequential(conv(4, padding="same"), nn.PReLU(CHANNELS)),
    "strided": lambda: nn.Sequential(conv(3, stride=2), nn.Hardswish()),
    "pooled": lambda: nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False),
    "lrn": lambda: nn.Sequential(conv(3), nn.ReLU(), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2)),
    "selu": lambda: nn.Sequential(conv(5, padding=2), nn.SELU()),
    "synchronized": lambda: normalized(nn.SyncBatchNorm(CHANNELS)),
    "normed": lambda: normalized(nn.BatchNorm2d(CHANNELS)),
    "shortcut": Shortcut,
    "standardized": lambda: conv(3, padding=1, kind=Standardized),
    "spectral": lambda: torch.nn.utils.parametrizations.spectral_norm(conv(3)),
    "circular": lambda: conv(3, padding=1, padding_mode="circular"),
    "reflect": lambda: nn.Sequential(nn.ReflectionPad2d(2), conv(5), nn.Softsign()),
    "checkpointed": Checkpointed,
    "normalizes": Normalizes,
    "maxout": Maxout,
    "energy": Energy,
}


def composed(seed: int) -> nn.Module:
    """Return two to four blocks between a first convolution and a last."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(list(BLOCKS), rng.integers(2, 5))
    with seeded(seed):
        network = nn.Sequential(
            nn.Conv2d(3, CHANNELS, 3, padding=1),
            *(BLOCKS[name]() for name in chosen),
            nn.Conv2d(CHANNELS, 4, 3, padding=1),
        )
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d | nn.SyncBatchNorm):
                part.running_mean.uniform_(-0.2, 0.2)
                part.running_var.uniform_(0.5, 1.5)
    return network.double().eval().requires_grad_(False)


class Found(NamedTuple):
    fields: int
    exact: int
    too_small: list[str]
    largest_deviation: float


def check(seed: int) -> Found:
    """Compare fields at two places of every layer, and responses alone and in the whole."""
    network = composed(seed)
    graph = Graph(network, SIDE)
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(6, 3, *SIDE, generator=generator, dtype=torch.float64)
    layers = convolutions(graph)
    images.requires_grad_()
    plain = [graph.truncated([layer.node])(images) for layer in layers]
    exact, too_small, worst, count = 0, [], 0.0, 0
    read: dict[str, torch.Tensor] = {}
    LayerResponses(graph, layers).visit(
        images.detach(), lambda layer, responses: read.update({layer.call: responses.clone()})
    )
    for layer, maps in zip(layers, plain, strict=True):
        assert layer.center == (None, None), f"{layer.call} of {seed}: not all units are searched"
        worst = max(worst, relative(read[layer.call], maps.detach(), maps))
        middle = tuple(n // 2 for n in layer.map_size)
        for place in (middle, tuple(int(n * 0.3) for n in layer.map_size)):
            count += 1
            (gradient,) = torch.autograd.grad(
                maps[:, :, *place].sum(), images, retain_graph=True, materialize_grads=True
            )
            seen = (gradient.abs().sum((0, 1)) > 0).nonzero()
            right = Box(*seen.min(0).values.tolist(), *(seen.max(0).values + 1).tolist())
            box = receptive_field(graph, layer.node, place, clip=True)
            exact += box == right
            if box[0] > right[0] or box[1] > right[1] or box[2] < right[2] or box[3] < right[3]:
                too_small.append(f"{layer.call} of {seed}: {box}, not {right}")
        worst = max(worst, apart_from_whole(graph, layer, images.detach(), maps.detach()))
    return Found(count, exact, too_small, worst)


def apart_from_whole(graph, layer, images, maps) -> float:
    """Return how far units that see their field alone are from those of the whole network."""
    place = tuple(n // 2 for n in layer.map_size)
    box = receptive_field(graph, layer.node, place)
    if not inside(box, SIDE):
        return 0.0
    cut = images[:, :, box.top : box.bottom, box.left : box.right]
    units = torch.arange(len(images)) % layer.units
    alone = unit_network(graph, layer)(cut, units)
    return relative(alone, maps[torch.arange(len(images)), units, *place], maps)


def relative(found, expected, scale) -> float:
    return float((found - expected).abs().max() / scale.detach().abs().max().clamp(min=1e-12))


@pytest.mark.parametrize("count", [14, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.timeout(1800)
def test_fields_and_responses_of_networks_composed_at_random(count: int):
    found = [check(seed) for seed in range(count)]
    assert [text for one in found for text in one.too_small] == []
    exact, fields = (sum(getattr(one, name) for one in found) for name in ("exact", "fields"))
    deviation = max(one.largest_deviation for one in found)
    sys.stdout.write(f"{exact} of {fields} fields exact, responses within {deviation:.1e}\n")
    assert exact >= 0.95 * fields, f"{exact} of {fields} fields are exact"
    assert deviation < 1e-5
