"""Feedback: the motion of a frame before the next one is dreamt from it ("Ouroboros" videos).

Combined motions are a single affine map about the image's center, so that a frame is resampled only
once, bilinearly. Beyond its edges, the image is reflected (half a pixel beyond the last, as in d c
b a | a b c d | d c b a) or its edge is repeated.

The motions of Gordić's pytorch-deepdream, per frame at 30 frames per second: zoom by 1.04; rotation
by 1.5 degrees and zoom by 1.04; translation by 2 pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor

from pipeline.errors import ConfigError

Fill = Literal["reflect", "edge"]
_PADDING = {"reflect": "reflection", "edge": "border"}


@dataclass(frozen=True)
class Motion:
    """An affine motion of an image's content about its center.

    Content at (x, y), in pixels to the right of and below the center, moves to ``matrix`` (x, y,
    1).

    Attributes:
        matrix: two rows of three numbers.
        fill: how the edges are filled.
    """

    matrix: tuple[tuple[float, float, float], tuple[float, float, float]]
    fill: Fill = "reflect"

    def __call__(self, images: Float[Tensor, "*batch c height width"]) -> Tensor:
        """Return moved images of the same size; a single image without a batch axis is allowed."""
        if images.ndim == 3:
            return self(images[None])[0]
        height, width = images.shape[2:]
        # In float64 and on the CPU, so that positions do not depend on the device. Those of float32
        # images are rounded then, to 1e-4 pixels in a thousand.
        places = self._sources(height, width).to(images.dtype).to(images.device)
        return F.grid_sample(
            images,
            places.expand(len(images), -1, -1, -1),
            padding_mode=_PADDING[self.fill],
            align_corners=False,
        )

    def _sources(self, height: int, width: int) -> Float64[Tensor, "1 height width 2"]:
        """Return the source position of each pixel, in units of half a side from the center."""
        (a, b, right), (c, d, down) = self.matrix
        rows = torch.arange(height, dtype=torch.float64)[:, None] - (height - 1) / 2 - down
        columns = torch.arange(width, dtype=torch.float64) - (width - 1) / 2 - right
        determinant = a * d - b * c
        x = (d * columns - b * rows) / determinant
        y = (a * rows - c * columns) / determinant
        return torch.stack((x * (2 / width), y * (2 / height)), 2)[None]


def zoom(factor: float = 1.04, fill: str = "reflect") -> Motion:
    """Enlarge the content by a factor; a factor below 1 shrinks it (without smoothing).

    Raises:
        ConfigError: the factor is not positive, or the fill unknown.
    """
    if not 0 < factor < math.inf:
        raise ConfigError(f"dream.zoom: {factor} is not a positive number; use 1.04")
    return Motion(((factor, 0.0, 0.0), (0.0, factor, 0.0)), check_fill(fill))


def rotate(degrees: float = 1.5, fill: str = "reflect") -> Motion:
    """Rotate the content counterclockwise, as seen with row 0 at the top.

    Raises:
        ConfigError: the angle is not finite, or the fill unknown.
    """
    if not math.isfinite(degrees):
        raise ConfigError(f"dream.rotate: {degrees} is not a finite number; use 1.5")
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return Motion(((cosine, sine, 0.0), (-sine, cosine, 0.0)), check_fill(fill))


def translate(pixels: Sequence[float] = (2.0, 2.0), fill: str = "reflect") -> Motion:
    """Move the content by a number of pixels to the right and down.

    Raises:
        ConfigError: they are not two finite numbers, or the fill is unknown.
    """
    if len(pixels) != 2 or not all(math.isfinite(number) for number in pixels):
        raise ConfigError(
            f"dream.translate: {pixels} is not a pair of finite numbers, to the right and"
            " down; use [2.0, 2.0]"
        )
    right, down = pixels
    return Motion(((1.0, 0.0, right), (0.0, 1.0, down)), check_fill(fill))


def combined(*motions: Motion) -> Motion:
    """Return several motions, applied in order, as a single one.

    Raises:
        ConfigError: there are no motions, or their fills differ.
    """
    if not motions:
        raise ConfigError("dream: [] is not a list of motions; use at least one")
    fills = sorted({motion.fill for motion in motions})
    if len(fills) > 1:
        raise ConfigError(
            f"dream.fill: {' and '.join(fills)} are not one fill; use the same for all"
        )
    matrix = torch.eye(3, dtype=torch.float64)
    for motion in motions:
        matrix = torch.tensor([*motion.matrix, (0.0, 0.0, 1.0)], dtype=torch.float64) @ matrix
    first, second, _ = matrix.tolist()
    return replace(motions[0], matrix=(tuple(first), tuple(second)))


def blend(
    previous: Float[Tensor, "*batch c height width"],
    current: Float[Tensor, "*batch c height width"],
    share: float = 0.85,
) -> Float[Tensor, "*batch c height width"]:
    """Return the frame to show: share * current + (1 - share) * previous (Gordić's DeepDream).

    Raises:
        ConfigError: the share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"dream.blend: {share} is not above 0 and at most 1; use 0.85")
    return share * current + (1 - share) * previous


def check_fill(fill: str) -> Fill:
    """Return the name of a fill after checking it.

    Raises:
        ConfigError: there is no such fill.
    """
    if fill not in get_args(Fill):
        raise ConfigError(f"dream.fill: '{fill}' is not 'reflect' or 'edge'; use one")
    return cast("Fill", fill)
