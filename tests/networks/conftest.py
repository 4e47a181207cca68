"""Small networks drawn at random, and networks with the traits that trip geometry up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor, fx, nn

from pipeline.networks.graph.graph import Graph
from pipeline.networks.receptive_fields import Box, Canvas
from pipeline.networks.unit_networks import LayerNetwork, UnitNetwork


@dataclass
class Drawn:
    """A network of double precision, an image size, and the product of the strides it was given."""

    module: nn.Module
    size: tuple[int, int]
    stride: tuple[int, int]

    def __repr__(self) -> str:
        return f"{self.module} on {self.size}"


class Joined(nn.Module):
    """Two branches, added or concatenated."""

    def __init__(self, first: nn.Module, second: nn.Module, how: str) -> None:
        super().__init__()
        self.first, self.second, self.how = first, second, how

    def forward(self, images: Tensor) -> Tensor:
        one, other = self.first(images), self.second(images)
        if self.how == "cat":
            return torch.cat((one, other), dim=1)
        if self.how == "+=":
            one += other
            return one
        return one + other

    def extra_repr(self) -> str:
        return f"how={self.how!r}"


class Net(nn.Module):
    """Parts by name, and a function of them and the images that is traced through."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, images):
        return self.function(self, images)


def fill(module: nn.Module, seed: int = 0, *, positive: bool = False) -> nn.Module:
    """Give all weights, biases and statistics random values; no bias where ``positive``."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if not tensor.is_floating_point():
                continue
            drawn = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
            if name.endswith(("running_mean", "bias")):
                tensor.copy_(0 * drawn if positive else drawn - 0.5)
            elif name.endswith("running_var") or positive:
                tensor.copy_(drawn + 0.5)
            else:
                tensor.copy_(2 * drawn - 1)
    return module.eval()


pairs = st.tuples


def _conv(draw: st.DrawFn, before: int, after: int) -> tuple[nn.Module, tuple[int, int]]:
    stride = draw(pairs(st.integers(1, 2), st.integers(1, 3)))
    return nn.Conv2d(
        before,
        after,
        draw(pairs(st.integers(1, 4), st.integers(1, 4))),
        stride,
        draw(pairs(st.integers(0, 3), st.integers(0, 3))),
        draw(pairs(st.integers(1, 2), st.integers(1, 3))),
        groups=draw(st.sampled_from([1, 2])) if before % 2 == 0 else 1,
    ), stride


def _same(draw: st.DrawFn, channels: int) -> nn.Module:
    kernel = draw(pairs(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(pairs(st.integers(1, 2), st.integers(1, 2)))
    return nn.Conv2d(channels, channels, kernel, padding="same", dilation=dilation)


def _padded(draw: st.DrawFn, channels: int) -> nn.Module:
    """Four different paddings and a kernel that takes up exactly as much."""
    left, right, top, bottom = (draw(st.integers(0, 3)) for _ in range(4))
    kernel = (top + bottom + 1, left + right + 1)
    pad = nn.ZeroPad2d((left, right, top, bottom))
    return nn.Sequential(pad, nn.Conv2d(channels, channels, kernel))


def _pool(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, int]]:
    kernel = draw(pairs(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(pairs(st.integers(1, 3), st.integers(1, 2)))
    padding = tuple(draw(st.integers(0, side // 2)) for side in kernel)
    ceil = draw(st.booleans())
    if draw(st.booleans()):
        dilation = draw(pairs(st.integers(1, 2), st.integers(1, 2)))
        return nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil), stride
    include = draw(st.booleans())
    return nn.AvgPool2d(kernel, stride, padding, ceil, count_include_pad=include), stride


def _branches(draw: st.DrawFn, channels: int) -> tuple[nn.Module, nn.Module, tuple[int, int]]:
    kind = draw(st.sampled_from(["same", "padded", "strided", "cropped", "pooled"]))
    if kind == "same":
        return _same(draw, channels), nn.Identity(), (1, 1)
    if kind == "padded":
        return _padded(draw, channels), _same(draw, channels), (1, 1)
    if kind == "strided":
        stride = draw(pairs(st.integers(1, 3), st.integers(1, 3)))
        wide = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        return wide, nn.Conv2d(channels, channels, 1, stride), stride
    if kind == "cropped":
        wide, narrow = nn.Conv2d(channels, channels, 5, padding=1), nn.Conv2d(channels, channels, 3)
        return wide, narrow, (1, 1)
    return nn.Conv2d(channels, channels, (3, 4), padding=0), nn.AvgPool2d((3, 4), 1), (1, 1)


def _block(draw: st.DrawFn, channels: int) -> tuple[nn.Module, int, tuple[int, int]]:
    kind = draw(st.sampled_from(["conv", "same", "padded", "pool", "joined", "joined", "point"]))
    if kind == "conv":
        module, stride = _conv(draw, channels, channels)
        return module, channels, stride
    if kind == "same":
        return _same(draw, channels), channels, (1, 1)
    if kind == "padded":
        return _padded(draw, channels), channels, (1, 1)
    if kind == "pool":
        module, stride = _pool(draw)
        return module, channels, stride
    if kind == "joined":
        how = draw(st.sampled_from(["+", "+=", "cat"]))
        first, second, stride = _branches(draw, channels)
        return Joined(first, second, how), channels * (1 + (how == "cat")), stride
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True)), channels, (1, 1)


@st.composite
def _drawn(draw: st.DrawFn, *, positive: bool = False) -> Drawn:
    size = draw(pairs(st.integers(14, 26), st.integers(14, 26)))
    first, stride = _conv(draw, 3, 4)
    blocks, channels = [first], 4
    for _ in range(draw(st.integers(0, 4))):
        block, channels, step = _block(draw, channels)
        blocks.append(block)
        stride = (stride[0] * step[0], stride[1] * step[1])
    module = fill(nn.Sequential(*blocks).double(), draw(st.integers(0, 999)), positive=positive)
    return Drawn(module, size, stride)


def _runs(drawn: Drawn) -> bool:
    pooled: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output: pooled.append(output))
        for module in drawn.module.modules()
        if isinstance(module, nn.MaxPool2d)
    ]
    try:
        with torch.no_grad():
            drawn.module(torch.zeros(1, 3, *drawn.size, dtype=torch.float64))
    except RuntimeError:  # the image is too small for a kernel
        return False
    finally:
        for hook in hooks:
            hook.remove()
    # The maximum of padding alone (on a map of one position, by dilation) is minus infinity, and
    # its gradient crashes PyTorch 2.15.
    return all(bool(maps.isfinite().all()) for maps in pooled)


@pytest.fixture(scope="session")
def drawn_networks() -> st.SearchStrategy[Drawn]:
    """Networks of windows alone, with random weights, that run on their image size."""
    return _drawn().filter(_runs)


@pytest.fixture(scope="session")
def positive_networks() -> st.SearchStrategy[Drawn]:
    """The same with positive weights and no biases: a pixel that can reach a unit does reach it."""
    return _drawn(positive=True).filter(_runs)


@pytest.fixture(scope="session")
def filled() -> Callable[..., nn.Module]:
    """Return ``fill``: random values for all weights, biases and statistics of a module."""
    return fill


@dataclass(frozen=True)
class Difference:
    """How far answers are from others, unit by unit.

    Responses relative to the largest of the layer, gradients to the largest of the same unit.
    """

    response: Tensor
    gradient: Tensor

    def within(self, tolerance: float) -> bool:
        """Say whether neither is further off for any unit."""
        return bool((torch.maximum(self.response, self.gradient) <= tolerance).all())


@dataclass(frozen=True)
class Answers:
    """Responses of units of a layer to an image each, and their gradients on the whole input."""

    response: Tensor
    gradient: Tensor
    largest: Tensor

    def apart(self, other: Answers) -> Difference:
        """Return how far these are from other answers."""
        largest = other.gradient.abs().flatten(1).amax(1)
        return Difference(
            _relative(self.response[:, None], other.response[:, None], other.largest),
            _relative(self.gradient, other.gradient, largest),
        )


def _relative(found: Tensor, expected: Tensor, scale: Tensor) -> Tensor:
    """Return the largest difference in units of ``scale``; of nothing, only nothing is right."""
    apart = (found - expected).abs().flatten(1).amax(1)
    return torch.where(apart == 0, apart, apart / scale)


def inside(box: Box, size: tuple[int, int]) -> bool:
    """Say whether a box lies wholly in an image of ``size`` (height, width)."""
    return min(box.top, box.left) >= 0 and box.bottom <= size[0] and box.right <= size[1]


class Asking:
    """Units of one layer at one place, asked about images drawn at random.

    Args:
        graph: the traced network.
        node: the layer's node.
        plan: the whole input, the position of the units, and what of the input they see.
        units: unit numbers, an image for each.
    """

    def __init__(self, graph: Graph, node: fx.Node, plan: Canvas, units: Tensor) -> None:
        self.graph, self.node, self.plan, self.units = graph, node, plan, units
        images = torch.randn(len(units), 3, *plan.size, generator=torch.Generator().manual_seed(0))
        self.images = images.to(next(graph.module.parameters()))

    def whole(self, network: Callable[[Tensor], Tensor] | None = None) -> Answers:
        """Ask a network from the whole input to the layer; the truncated one by default."""
        images = self.images.clone().requires_grad_()
        layer = (network or self.graph.truncated([self.node]))(images)
        place = self.plan.position[: layer.ndim - 2]
        own = layer[(torch.arange(len(self.units)), self.units, *place)]
        (gradient,) = torch.autograd.grad(own.sum(), images, materialize_grads=True)
        return Answers(own.detach(), gradient, layer.detach().abs().max())

    def alone(self, *, lowered: bool = True) -> Answers:
        """Ask the unit network, which sees its box alone, or that of all units, as it stands."""
        box = self.plan.box
        seen = (..., slice(box.top, box.bottom), slice(box.left, box.right))
        cut = self.images[seen].clone().requires_grad_()
        if lowered:
            own = UnitNetwork(self.graph, self.node, self.plan)(cut, self.units)
        else:
            responses = LayerNetwork(self.graph, self.node, self.plan)(cut)
            own = responses[torch.arange(len(self.units)), self.units]
        (gradient,) = torch.autograd.grad(own.sum(), cut, materialize_grads=True)
        placed = torch.zeros_like(self.images)
        placed[seen] = gradient
        return Answers(own.detach(), placed, own.detach().abs().max())


@pytest.fixture(scope="session")
def asking() -> type[Asking]:
    """Return ``Asking``: units at one place, alone and in the whole network."""
    return Asking
