"""Filling polygons with soft edges: the share of a pixel's 8 x 8 samples that lie inside."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

SAMPLES = 8  # along each side of a pixel


def coverage(
    vertices: Float[Tensor, "n vertices 2"], canvas: tuple[int, int]
) -> Float[Tensor, "n height width"]:
    """Return the share of each pixel inside closed polygons that do not cross themselves.

    Every edge adds 1 to the samples at its right where it goes down, and -1 where it goes up, so
    that their sums are winding numbers. The sums are whole numbers: the result depends on no order.

    Args:
        vertices: x (right) and y (down) in pixels from the center of the canvas; the last vertex
            joins the first.
        canvas: height and width in pixels; polygons may leave it.

    >>> corners = torch.tensor([[[-1.0, -1.0], [0.5, -1.0], [0.5, 1.0], [-1.0, 1.0]]])
    >>> coverage(corners, (2, 3)).tolist()
    [[[0.5, 1.0, 0.0], [0.5, 1.0, 0.0]]]
    """
    count, (height, width) = len(vertices), canvas
    extent = vertices.new_tensor([width, height])
    samples = (vertices + extent / 2) * SAMPLES - 0.5  # sample k of an axis lies at k
    x0, y0 = samples.flatten(0, 1).T
    x1, y1 = samples.roll(-1, 1).flatten(0, 1).T
    first = torch.minimum(y0, y1).ceil().clamp(0, SAMPLES * height).long()
    last = torch.maximum(y0, y1).ceil().clamp(0, SAMPLES * height).long()  # excluded
    crossed = last - first
    edge = torch.repeat_interleave(crossed)
    before = crossed.cumsum(0) - crossed
    row = first[edge] + torch.arange(len(edge), device=edge.device) - before[edge]
    slope = (x1 - x0) / (y1 - y0)
    at = x0[edge] + (row - y0[edge]) * slope[edge]
    column = at.ceil().clamp(0, SAMPLES * width).long()
    sign = torch.where(y1 > y0, 1.0, -1.0)[edge]
    # Of the pixel that holds the crossing, some samples lie to its right; of later pixels, all.
    pixel, skipped = column // SAMPLES, column % SAMPLES
    line = edge // vertices.shape[1] * height + row // SAMPLES
    sums = torch.zeros(count * height * (width + 2), device=vertices.device)
    place = line * (width + 2) + pixel
    sums.scatter_add_(0, place, sign * (SAMPLES - skipped))
    sums.scatter_add_(0, place + 1, sign * skipped)
    winding = sums.view(count, height, width + 2).cumsum(2)[..., :width]
    return winding.abs_().div_(SAMPLES**2).clamp_(max=1)
