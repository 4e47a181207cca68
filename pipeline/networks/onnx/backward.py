"""Backward passes, written with the forward operations that ONNX has.

Each has the same arguments as the aten operator of that name. Weights get no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

aten = torch.ops.aten
Sides = Sequence[int]


def convolution_backward(
    gradient: Tensor,
    images: Tensor,
    weight: Tensor,
    bias_sizes: Sides | None,
    stride: Sides,
    padding: Sides,
    dilation: Sides,
    transposed: bool,
    output_padding: Sides,
    groups: int,
    mask: Sequence[bool],
) -> tuple[Tensor, None, None]:
    """Convolve with the transpose."""
    del bias_sizes, mask, output_padding
    if transposed:
        back = aten.convolution.default(
            gradient, weight, None, stride, padding, dilation, False, [0, 0], groups
        )
        return back, None, None
    left = [
        images.shape[2 + axis]
        - ((gradient.shape[2 + axis] - 1) * stride[axis] - 2 * padding[axis])
        - dilation[axis] * (weight.shape[2 + axis] - 1)
        - 1
        for axis in range(2)
    ]
    back = aten.convolution.default(
        gradient, weight, None, stride, padding, dilation, True, left, groups
    )
    return back, None, None


def max_pool_backward(
    gradient: Tensor,
    images: Tensor,
    kernel: Sides,
    stride: Sides,
    padding: Sides,
    dilation: Sides,
    ceil_mode: bool,
    indices: Tensor,
) -> Tensor:
    """Add every gradient at the position of its maximum."""
    del kernel, stride, padding, dilation, ceil_mode
    flat = torch.zeros_like(images).flatten(2)
    return flat.scatter_add(2, indices.flatten(2), gradient.flatten(2)).view(images.shape)


def average_pool_backward(
    gradient: Tensor,
    images: Tensor,
    kernel: Sides,
    stride: Sides,
    padding: Sides,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Tensor:
    """Spread every gradient over its window, with the divisor of the forward pass."""
    del ceil_mode
    steps = tuple(stride) or tuple(kernel)
    counts = [
        _counts(*sides, count_include_pad)
        for sides in zip(gradient.shape[2:], images.shape[2:], kernel, steps, padding, strict=True)
    ]
    share = torch.tensor(
        [[divisor or rows * columns for columns in counts[1]] for rows in counts[0]]
    )
    channels = images.shape[1]
    spread = aten.convolution.default(
        gradient / share.to(gradient),
        gradient.new_ones(channels, 1, *kernel),
        None,
        steps,
        [0, 0],
        [1, 1],
        True,
        [0, 0],
        channels,
    )
    height, width = images.shape[2:]
    above, beside = padding
    # Negative margins crop gradients in the padding.
    below = height + above - spread.shape[2]
    right = width + beside - spread.shape[3]
    return F.pad(spread, (-beside, right, -above, below))


def _counts(
    windows: int, side: int, kernel: int, stride: int, padding: int, count_include_pad: bool
) -> list[int]:
    """Return the number of positions that each window counts along one axis."""
    first, last = (-padding, side + padding) if count_include_pad else (0, side)
    starts = [window * stride - padding for window in range(windows)]
    return [min(start + kernel, last) - max(start, first) for start in starts]


def adaptive_average_pool_backward(gradient: Tensor, images: Tensor) -> Tensor:
    """Spread every gradient over its window, evenly."""
    rows, columns = (
        _adaptive_shares(windows, side).to(gradient)
        for windows, side in zip(gradient.shape[2:], images.shape[2:], strict=True)
    )
    return rows.T @ gradient @ columns


def _adaptive_shares(windows: int, side: int) -> Tensor:
    """Return the weight of each position in each window along one axis, [windows, side]."""
    shares = torch.zeros(windows, side)
    for window in range(windows):
        start, end = window * side // windows, -((window + 1) * side // -windows)
        shares[window, start:end] = 1 / (end - start)
    return shares


BACKWARD: dict[Any, Any] = {
    aten.convolution_backward.default: convolution_backward,
    aten.max_pool2d_with_indices_backward.default: max_pool_backward,
    aten.avg_pool2d_backward.default: average_pool_backward,
    aten._adaptive_avg_pool2d_backward.default: adaptive_average_pool_backward,
}
