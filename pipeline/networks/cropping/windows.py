"""Windows that slide or adapt over a part of a map."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.networks.cropping.crop import Part, Sides
from pipeline.networks.graph.geometry import Interval, Window
from pipeline.networks.graph.windows import Adapting, Sliding

Bounds = list[tuple[int, int]]


def own_padding(sliding: Sliding, part: Part, over: Sides) -> tuple[int, int] | None:
    """Return equal padding at both ends that gives the same windows, if possible."""
    left, right, top, bottom = over
    own = (top, left)
    for axis, (before, after) in enumerate(((top, bottom), (left, right))):
        length = int(part[axis].stop - part[axis].start)
        window = Window(sliding.kernel[axis], sliding.stride[axis], dilation=sliding.dilation[axis])
        exact = window.output_size(length + before + after)
        if after > before or window.output_size(length + 2 * before) != exact:
            return None
    if sliding.kind == "maximum" and any(
        2 * padding > kernel for padding, kernel in zip(own, sliding.kernel, strict=True)
    ):
        return None  # the most padding that max pooling accepts
    return own


def convolution(
    weight: Tensor, bias: Tensor | None, sliding: Sliding, padding: tuple[int, int], groups: int
) -> nn.Conv2d:
    """Return a module that convolves with these weights, which it shares."""
    outputs, channels = weight.shape[:2]
    conv = nn.Conv2d(
        channels * groups,
        outputs,
        sliding.kernel,
        sliding.stride,
        padding,
        sliding.dilation,
        groups,
        bias=bias is not None,
        device="meta",
    )
    conv.weight = nn.Parameter(weight.detach(), requires_grad=False)
    conv.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
    return conv


def counts(sliding: Sliding, axis: int, places: Interval, length: int) -> Tensor:
    """Return the number of positions that an average counts in each window along one axis."""
    left, right, top, bottom = sliding.padding
    before, after = (top, bottom) if axis == 0 else (left, right)
    first, last = (-before, length + after) if sliding.count_padding else (0, length)
    starts = torch.arange(*places, dtype=torch.float64) * sliding.stride[axis] - before
    return (starts + sliding.kernel[axis]).clamp(max=last) - starts.clamp(min=first)


def adaptive_bounds(
    adapting: Adapting, axis: int, places: Interval, read: Interval, length: int
) -> Bounds:
    """Return the bounds of each adaptive window along one axis, within the part that is read."""
    outputs = adapting.outputs[axis] or length
    return [
        (
            math.floor(place * length / outputs) - int(read.start),
            math.ceil((place + 1) * length / outputs) - int(read.start),
        )
        for place in range(int(places.start), int(places.stop))
    ]


class AdaptivePool(nn.Module):
    """Pools over given rows and columns: a part of an adaptive pooling."""

    def __init__(self, maximum: bool, rows: Bounds, columns: Bounds) -> None:
        super().__init__()
        self.maximum, self.rows, self.columns = maximum, rows, columns

    def forward(
        self, maps: Float[Tensor, "batch c height width"]
    ) -> Float[Tensor, "batch c rows columns"]:
        """Return the mean or maximum of every window."""
        return self._along(self._along(maps, 2, self.rows), 3, self.columns)

    def _along(self, maps: Tensor, axis: int, bounds: Iterable[tuple[int, int]]) -> Tensor:
        pieces = [maps.narrow(axis, start, stop - start) for start, stop in bounds]
        pooled = [piece.max(axis).values if self.maximum else piece.mean(axis) for piece in pieces]
        return torch.stack(pooled, axis)
