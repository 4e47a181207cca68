"""Transforms that resample images: scaling, rotation, resizing."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.synthesis.transforms.transform import Generators, Transform, check_size, integers


def scale(lowest: float = 0.9, highest: float = 1.1, step: float = 0.02) -> Transform:
    """Magnify about the center by a random factor, keeping the size; the edges are filled with 0.

    Args:
        lowest: smallest factor.
        highest: largest factor.
        step: difference between neighboring factors, which are all equally likely (see
            ``factors``).

    Raises:
        ConfigError: the factors are not positive or not in order, or ``step`` is not positive.
    """

    def apply(
        images: Float[Tensor, "batch c height width"], generators: Generators
    ) -> Float[Tensor, "batch c height width"]:
        drawn = choices[integers(generators, len(choices))[:, 0]]
        return _warp(images, torch.eye(2, dtype=torch.float64) / drawn[:, None, None])

    choices = torch.tensor(factors(lowest, highest, step), dtype=torch.float64)
    return Transform(apply)


def factors(lowest: float, highest: float, step: float) -> list[float]:
    """Return the factors that ``scale`` draws from: lowest, lowest + step ... up to highest.

    Raises:
        ConfigError: they are not positive or not in order, or ``step`` is not positive.
    """
    if not 0 < lowest < math.inf:
        raise ConfigError(
            f"transform.scale.lowest: {lowest} is not a positive number; 1 keeps the size"
        )
    if not lowest <= highest < math.inf:
        raise ConfigError(
            f"transform.scale.highest: {highest} is not a number of at least lowest, {lowest}"
        )
    _check_step("scale", step)
    return [lowest + step * index for index in range(_whole(highest - lowest, step) + 1)]


def rotate(degrees: float = 10.0, step: float = 1.0, upright: int = 5) -> Transform:
    """Rotate about the center by a random angle, keeping the size; the edges are filled with 0.

    Args:
        degrees: largest angle, to either side; positive ones are counterclockwise.
        step: degrees between neighboring angles (see ``angles``).
        upright: number of extra zeros among the angles to draw from. The default is 26 angles, 6 of
            them 0, as in lucent.

    Raises:
        ConfigError: ``degrees`` is not from 0 to 180, ``step`` not positive, or ``upright``
            negative.
    """

    def apply(
        images: Float[Tensor, "batch c height width"], generators: Generators
    ) -> Float[Tensor, "batch c height width"]:
        drawn = choices[integers(generators, len(choices))[:, 0]]
        cosine, sine = drawn.cos(), drawn.sin()
        rows = torch.stack((cosine, -sine, sine, cosine), dim=1)
        return _warp(images, rows.unflatten(1, (2, 2)))

    choices = torch.tensor(angles(degrees, step, upright), dtype=torch.float64).deg2rad()
    return Transform(apply)


def angles(degrees: float, step: float, upright: int) -> list[float]:
    """Return the angles that ``rotate`` draws from, in degrees.

    These are the multiples of ``step`` from -``degrees`` to ``degrees``, and ``upright`` zeros.

    Raises:
        ConfigError: ``degrees`` is not from 0 to 180, ``step`` not positive, or ``upright``
            negative.
    """
    if not 0 <= degrees <= 180:
        raise ConfigError(f"transform.rotate.degrees: {degrees} is not from 0 to 180")
    _check_step("rotate", step)
    if upright < 0:
        raise ConfigError(
            f"transform.rotate.upright: {upright} is negative; it counts further zeros among the"
            " angles"
        )
    steps = _whole(degrees, step)
    return [step * index for index in range(-steps, steps + 1)] + [0.0] * upright


def resize(size: int) -> Transform:
    """Resample the images to a square, bilinearly with aligned corners.

    This is how lucent enlarges images to the network's input (``align_corners``, not antialiased).

    Args:
        size: side of the square in pixels.

    Raises:
        ConfigError: ``size`` is not positive.
    """

    def apply(
        images: Float[Tensor, "batch c height width"], generators: Generators
    ) -> Float[Tensor, "batch 3 size size"]:
        del generators
        return F.interpolate(images, (size, size), mode="bilinear", align_corners=True)

    check_size("resize", size)
    return Transform(apply, random=False)


def _warp(
    images: Float[Tensor, "batch c height width"], matrices: Float[Tensor, "batch 2 2"]
) -> Float[Tensor, "batch c height width"]:
    """Resample every image bilinearly by its matrix, with 0 outside.

    Args:
        images: images to sample.
        matrices: map the position (x, y) of a pixel, relative to the center, to its source.
    """
    height, width = images.shape[2:]
    x = (torch.arange(width).to(images) + 0.5 - width / 2)[None, None, :]
    y = (torch.arange(height).to(images) + 0.5 - height / 2)[None, :, None]
    a, b, c, d = matrices.to(images).flatten(1)[:, :, None, None].unbind(1)
    # Products of single numbers, not a matrix product: TF32 would move pixels.
    places = torch.stack(((a * x + b * y) * (2 / width), (c * x + d * y) * (2 / height)), dim=3)
    return F.grid_sample(images, places, mode="bilinear", padding_mode="zeros", align_corners=False)


def _whole(length: float, step: float) -> int:
    """Return how often a step fits into a length, with a tolerance for rounding."""
    return math.floor(length / step + 1e-9)


def _check_step(name: str, step: float) -> None:
    if not 0 < step < math.inf:
        raise ConfigError(f"transform.{name}.step: {step} is not a positive number")
