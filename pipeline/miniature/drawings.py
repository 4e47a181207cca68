"""Anti-aliased shapes and their colors, one shape per image, drawn for a whole batch at once.

Every function is pure. Lengths are in pixels, angles in degrees counterclockwise from horizontal
as the image looks with row 0 at the top. A mask gives the share of each pixel that a shape covers,
0..1.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

_THIRD_TURN = 2 * math.pi / 3


def shape_coordinates(
    size: int,
    row: Float[Tensor, " batch"],
    column: Float[Tensor, " batch"],
    angle: Float[Tensor, " batch"],
) -> tuple[Float[Tensor, "batch size size"], Float[Tensor, "batch size size"]]:
    """Return every pixel's position along and across a shape centered on (row, column).

    The axis of the shape points along ``angle``; pixel centers are at integers.
    """
    steps = torch.arange(size, dtype=row.dtype, device=row.device)
    down = (steps - row[:, None])[:, :, None]
    right = (steps - column[:, None])[:, None, :]
    turn = torch.deg2rad(angle)[:, None, None]
    along = right * turn.cos() - down * turn.sin()
    across = right * turn.sin() + down * turn.cos()
    return along, across


def grating_mask(
    along: Float[Tensor, "batch size size"],
    across: Float[Tensor, "batch size size"],
    radius: Float[Tensor, " batch"],
    wavelength: Float[Tensor, " batch"],
    phase: Float[Tensor, " batch"],
) -> Float[Tensor, "batch size size"]:
    """Return sinusoidal stripes along the axis in a round window; ``phase`` is in radians."""
    window = _covered(_column(radius) - torch.hypot(along, across))
    stripes = torch.cos(2 * math.pi * across / _column(wavelength) + _column(phase))
    return window * (0.5 + 0.5 * stripes)


def bar_mask(
    along: Float[Tensor, "batch size size"],
    across: Float[Tensor, "batch size size"],
    half_length: Float[Tensor, " batch"],
    half_width: Float[Tensor, " batch"],
) -> Float[Tensor, "batch size size"]:
    """Return a straight bar along the axis."""
    return _covered(_column(half_length) - along.abs()) * _covered(
        _column(half_width) - across.abs()
    )


def arc_mask(
    along: Float[Tensor, "batch size size"],
    across: Float[Tensor, "batch size size"],
    radius: Float[Tensor, " batch"],
    half_angle: Float[Tensor, " batch"],
    half_width: Float[Tensor, " batch"],
) -> Float[Tensor, "batch size size"]:
    """Return a piece of a ring whose chord runs along the axis, with round ends.

    ``half_angle`` is half of the angle that it spans, up to 180. It bulges toward negative
    ``across`` (upward for an axis at 0), and the shape's center lies between chord and summit.
    """
    reach, half = _column(radius), torch.deg2rad(_column(half_angle))
    # The ring's own center, chosen so that summit and chord are equally far from the shape's
    # center.
    outward = reach * (1 + half.cos()) / 2 - across
    distance = torch.hypot(outward, along)
    from_end = torch.hypot(outward - reach * half.cos(), along.abs() - reach * half.sin())
    in_span = torch.atan2(along.abs(), outward) <= half
    return _covered(_column(half_width) - torch.where(in_span, (distance - reach).abs(), from_end))


def paint(
    hue: Float[Tensor, " batch"],
    saturation: Float[Tensor, " batch"],
    intensity: Float[Tensor, " batch"],
) -> Float[Tensor, "batch 3"]:
    """Return RGB colors in 0..1 whose mean over the channels is exactly ``intensity``.

    ``hue`` is in degrees (red 0, yellow 60, green 120, blue 240). ``saturation`` is the part, 0..1,
    of the strongest color of that hue and intensity that fits into 0..1; 0 is gray.
    """
    # Red, green and blue are each the strongest channel for a third of the circle of hues.
    wheel = torch.deg2rad(hue)[:, None] - _THIRD_TURN * torch.arange(3, device=hue.device)
    direction = _hexagon(wheel)
    # Without its mean, so that a step in this direction does not change intensity.
    direction = direction - direction.mean(1, keepdim=True)
    level = intensity[:, None]
    room = torch.where(direction > 0, 1 - level, level) / direction.abs().clamp(min=1e-6)
    return level + saturation[:, None] * room.amin(1, keepdim=True) * direction


def cover(
    backgrounds: Float[Tensor, "batch 3 size size"],
    mask: Float[Tensor, "batch size size"],
    colors: Float[Tensor, "batch 3"],
) -> Float[Tensor, "batch 3 size size"]:
    """Return the backgrounds with each image's color blended over them by the mask."""
    return torch.lerp(backgrounds, colors[:, :, None, None], mask[:, None])


def _hexagon(turn: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
    """Return one channel of the fully saturated hues: 1 within 60 degrees of 0, 0 beyond 120."""
    away = torch.remainder(turn + math.pi, 2 * math.pi) - math.pi
    return (2 - away.abs() / (math.pi / 3)).clamp(0, 1)


def _covered(depth: Float[Tensor, "batch size size"]) -> Float[Tensor, "batch size size"]:
    """Return the share of a pixel inside an edge that is ``depth`` pixels beyond its center."""
    return (depth + 0.5).clamp(0, 1)


def _column(values: Float[Tensor, " batch"]) -> Float[Tensor, "batch 1 1"]:
    return values[:, None, None]
