"""Random pieces of photographs, to draw on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

LARGEST_ZOOM_OUT = 2.5  # largest number of photograph pixels per drawn pixel
CONTRAST = (0.2, 0.7)
BRIGHTNESS = (0.3, 0.7)
# Standard deviation of the tint per channel, so that a background's color carries no information.
TINT = 0.03


def random_backgrounds(
    photographs: Sequence[Float[Tensor, "3 _ _"]],
    count: int,
    size: int,
    generator: torch.Generator,
) -> Float[Tensor, "count 3 size size"]:
    """Return square pieces of random photographs, in pixels 0..1.

    Place, scale, mirroring, saturation, brightness, contrast and tint are random. Every photograph
    (pixels 0..1) must be at least ``size`` pixels high and wide.
    """
    pieces = torch.stack(
        [
            _random_piece(photographs[chosen], size, generator)
            for chosen in torch.randint(len(photographs), (count,), generator=generator).tolist()
        ]
    )
    saturation, contrast, brightness = (
        low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator)
        for low, high in ((0.0, 1.0), CONTRAST, BRIGHTNESS)
    )
    tint = TINT * torch.randn(count, 3, 1, 1, generator=generator)
    pieces = torch.lerp(pieces.mean(1, keepdim=True), pieces, saturation)
    pieces = (pieces - pieces.mean((1, 2, 3), keepdim=True)) * contrast
    return (pieces + brightness + tint).clamp(0, 1)


def _random_piece(
    photograph: Float[Tensor, "3 height width"], size: int, generator: torch.Generator
) -> Float[Tensor, "3 size size"]:
    height, width = photograph.shape[1:]
    largest = min(height, width, LARGEST_ZOOM_OUT * size)
    zoom, down, right, mirror = torch.rand(4, generator=generator).tolist()
    side = round(size + zoom * (largest - size))
    top, left = round(down * (height - side)), round(right * (width - side))
    piece = photograph[None, :, top : top + side, left : left + side]
    piece = interpolate(piece, (size, size), mode="bilinear", antialias=True)[0]
    return piece.flip(2) if mirror < 0.5 else piece
