"""Transforms that move pixels without resampling: borders, shifts, crops and mirroring."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.synthesis.transforms.transform import Generators, Transform, check_size, integers


def pad(pixels: int = 12, fill: float = 0.0) -> Transform:
    """Add a border to the images, so that later crops and rotations lose less of them.

    Args:
        pixels: width of the border; height and width grow by twice as much.
        fill: value of the border in network-input space, where 0 is the mean color; in pixels from
            0 to 1 after ``pixels``.

    Raises:
        ConfigError: ``pixels`` is negative or ``fill`` not finite.
    """

    def apply(
        images: Float[Tensor, "batch c height width"], generators: Generators
    ) -> Float[Tensor, "batch c rows columns"]:
        del generators
        return F.pad(images, [pixels] * 4, value=fill)

    _check_pixels("pad", pixels)
    if not math.isfinite(fill):
        raise ConfigError(f"transform.pad.fill: {fill} is not a finite number; 0 is the mean color")
    return Transform(apply, random=False)


def jitter(pixels: int = 8, keeps_size: bool = False) -> Transform:
    """Crop a random part that is ``pixels`` smaller in height and width, or shift the images.

    Both offsets are uniform in 0 ... ``pixels``, as in Lucid.

    Args:
        pixels: number of pixels by which the images shrink.
        keeps_size: whether to shift the images down and to the right by 0 ... ``pixels`` - 1
            instead, filled with 0, as lucent (Lucid's port to PyTorch) does.

    Raises:
        ConfigError: ``pixels`` is negative, or, when applied, leaves nothing of the images.
    """

    def apply(
        images: Float[Tensor, "batch c height width"], generators: Generators
    ) -> Float[Tensor, "batch c rows columns"]:
        height, width = images.shape[2:]
        if pixels >= min(height, width):
            raise ConfigError(
                f"transform.jitter.pixels: {pixels} leaves nothing of images of {height} x {width}"
                " pixels; lower it or pad them first"
            )
        if keeps_size:
            moved = integers(generators, max(1, pixels), max(1, pixels))
            framed = F.pad(images, (pixels, 0, pixels, 0))
            return _cut(framed, pixels - moved, (height, width))
        corners = integers(generators, pixels + 1, pixels + 1)
        return _cut(images, corners, (height - pixels, width - pixels))

    _check_pixels("jitter", pixels)
    return Transform(apply)


def roll(pixels: int = 32) -> Transform:
    """Shift with wrap-around, by uniform integers in -``pixels`` ... ``pixels`` in both axes.

    The gradient is shifted back, as DeepDream does after each step (Gordić's pytorch-deepdream);
    any smoothing is applied before that.

    Raises:
        ConfigError: ``pixels`` is negative.
    """

    def shifts(generators: Generators) -> Int[Tensor, "batch 2"]:
        return integers(generators, 2 * pixels + 1, 2 * pixels + 1) - pixels

    _check_pixels("roll", pixels)
    return Transform(lambda images, sources: rolled(images, shifts(sources)), shifts=shifts)


def rolled(
    images: Float[Tensor, "batch c height width"], shifts: Int[Tensor, "batch 2"]
) -> Float[Tensor, "batch c height width"]:
    """Shift every image down and to the right, with wrap-around."""
    return _cut(images, -shifts, (images.shape[2], images.shape[3]))


def crop(size: int) -> Transform:
    """Crop a random square; only pixels inside it get a gradient.

    Args:
        size: side of the square in pixels. Every position inside the image is equally likely.

    Raises:
        ConfigError: ``size`` is not positive, or, when applied, larger than the images.

    Source: ``crop=True`` in blbadger, "Feature Visualization II: Deep Dream".
    """

    def apply(
        images: Float[Tensor, "batch c height width"], generators: Generators
    ) -> Float[Tensor, "batch 3 size size"]:
        height, width = images.shape[2:]
        if size > min(height, width):
            raise ConfigError(
                f"transform.crop.size: {size} is larger than images of {height} x {width} pixels;"
                " lower it or pad them first"
            )
        corners = integers(generators, height - size + 1, width - size + 1)
        return _cut(images, corners, (size, size))

    check_size("crop", size)
    return Transform(apply)


def flip(probability: float = 0.5) -> Transform:
    """Mirror left and right with a probability.

    Raises:
        ConfigError: ``probability`` is not from 0 to 1.
    """

    def apply(
        images: Float[Tensor, "batch c height width"], generators: Generators
    ) -> Float[Tensor, "batch c height width"]:
        drawn = torch.cat([torch.rand(1, generator=source) for source in generators])
        mirrored = (drawn < probability).to(images.device)
        return torch.where(mirrored[:, None, None, None], images.flip(3), images)

    if not 0 <= probability <= 1:
        raise ConfigError(f"transform.flip.probability: {probability} is not from 0 to 1")
    return Transform(apply)


def fit(
    images: Float[Tensor, "batch c height width"], size: tuple[int, int]
) -> Float[Tensor, "batch c rows columns"]:
    """Center-crop images, or pad them with zeros, in each axis.

    Args:
        images: images in network-input space.
        size: height and width in pixels that the network requires.
    """
    (height, width), (rows, columns) = images.shape[2:], size
    top, left = -((height - rows) // 2), -((width - columns) // 2)
    return F.pad(images, (left, columns - width - left, top, rows - height - top))


def _cut(
    images: Float[Tensor, "batch c height width"],
    corners: Int[Tensor, "batch 2"],
    size: tuple[int, int],
) -> Float[Tensor, "batch c rows columns"]:
    """Cut one part out of every image, with wrap-around at the edges.

    Args:
        images: images to cut.
        corners: top and left of every part, in pixels.
        size: height and width of the parts.
    """
    ends = corners + torch.tensor(size)
    inside = bool((corners >= 0).all()) and bool((ends <= torch.tensor(images.shape[2:])).all())
    if inside and images.device.type == "cpu":
        return cast("Tensor", _Parts.apply(images, corners.tolist(), size))
    for axis, length in enumerate(size):
        wanted = corners[:, axis, None] + torch.arange(length)
        wanted = (wanted % images.shape[2 + axis]).to(images.device)
        wanted = wanted[:, None, :, None] if axis == 0 else wanted[:, None, None, :]
        shape = list(images.shape)
        shape[2 + axis] = length
        images = images.gather(2 + axis, wanted.expand(shape))
    return images


class _Parts(torch.autograd.Function):
    """Parts inside their images, copied one by one: on a CPU three times as fast as gathering."""

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, corners: list[list[int]], size: tuple[int, int]
    ) -> Tensor:
        ctx.corners, ctx.shape = corners, images.shape
        parts = images.new_empty(*images.shape[:2], *size)
        for part, image, (top, left) in zip(parts, images, corners, strict=True):
            part.copy_(image[:, top : top + size[0], left : left + size[1]])
        return parts

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (parts,) = gradients
        whole = parts.new_zeros(ctx.shape)
        height, width = parts.shape[2:]
        for part, image, (top, left) in zip(parts, whole, ctx.corners, strict=True):
            image[:, top : top + height, left : left + width] = part
        return whole, None, None


def _check_pixels(name: str, pixels: int) -> None:
    if pixels < 0:
        raise ConfigError(f"transform.{name}.pixels: {pixels} is negative; use 0 or more")
