"""Transforms: random changes of the images before the network sees them, anew at every step.

What drives a unit in spite of them cannot hang on single pixels. Images are in network-input
space, where 0 is the mean color; every transform is differentiable. Each is a function of its
settings that returns a ``Transform``.

Source: Olah, Mordvintsev and Schubert 2017, "Feature Visualization" (transformation robustness).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from pipeline.errors import ConfigError

Generators = Sequence[torch.Generator]  # one per sample, on the CPU


@dataclass(frozen=True)
class Transform:
    """A change of images [batch, 3, height, width], which may change their size.

    Attributes:
        apply: from images and one source of random numbers per sample to images.
        random: whether it draws random numbers.
    """

    apply: Callable[[Tensor, Generators], Tensor]
    random: bool = True


def pad(pixels: int = 12, fill: float = 0.0) -> Transform:
    """Surround the images, so that later crops and rotations lose less of them.

    Args:
        pixels: width of the frame; height and width grow by twice as much.
        fill: value of the frame in network-input space, where 0 is the mean color.

    Raises:
        ConfigError: ``pixels`` is negative or ``fill`` not finite.
    """

    def apply(
        images: Float[Tensor, "batch 3 height width"], generators: Generators
    ) -> Float[Tensor, "batch 3 rows columns"]:
        del generators
        return F.pad(images, [pixels] * 4, value=fill)

    _check_pixels("pad", pixels)
    if not math.isfinite(fill):
        raise ConfigError(f"transform.pad.fill: {fill} is not a finite number; 0 is the mean color")
    return Transform(apply, random=False)


def jitter(pixels: int = 8) -> Transform:
    """Cut a random part that is ``pixels`` smaller in height and width.

    Both offsets are uniform in 0 ... ``pixels``. This is how Lucid jitters; lucent, its PyTorch
    port, shifts by 0 ... ``pixels`` - 1 and keeps the size.

    Raises:
        ConfigError: ``pixels`` is negative, or, when applied, leaves nothing of the images.
    """

    def apply(
        images: Float[Tensor, "batch 3 height width"], generators: Generators
    ) -> Float[Tensor, "batch 3 rows columns"]:
        height, width = images.shape[2:]
        if pixels >= min(height, width):
            raise ConfigError(
                f"transform.jitter.pixels: {pixels} leaves nothing of images of {height} x {width}"
                " pixels; lower it or pad them first"
            )
        corners = _integers(generators, pixels + 1, pixels + 1)
        return _cut(images, corners, (height - pixels, width - pixels))

    _check_pixels("jitter", pixels)
    return Transform(apply)


def roll(pixels: int = 32) -> Transform:
    """Shift around the edges, by uniform integers in -``pixels`` ... ``pixels`` in both axes.

    The gradient is shifted back, as DeepDream does after each step (Gordic, seed document 004).

    Raises:
        ConfigError: ``pixels`` is negative.
    """

    def apply(
        images: Float[Tensor, "batch 3 height width"], generators: Generators
    ) -> Float[Tensor, "batch 3 height width"]:
        height, width = images.shape[2:]
        shifts = _integers(generators, 2 * pixels + 1, 2 * pixels + 1) - pixels
        return _cut(images, -shifts, (height, width))

    _check_pixels("roll", pixels)
    return Transform(apply)


def crop(size: int) -> Transform:
    """Cut a random square; only what lies in it gets a gradient.

    Args:
        size: its side in pixels. Every position inside the image is equally likely.

    Raises:
        ConfigError: ``size`` is not positive, or, when applied, larger than the images.

    Source: "Feature Visualization II: Deep Dream" (seed document 001), ``crop=True``.
    """

    def apply(
        images: Float[Tensor, "batch 3 height width"], generators: Generators
    ) -> Float[Tensor, "batch 3 size size"]:
        height, width = images.shape[2:]
        if size > min(height, width):
            raise ConfigError(
                f"transform.crop.size: {size} is larger than images of {height} x {width} pixels;"
                " lower it or pad them first"
            )
        corners = _integers(generators, height - size + 1, width - size + 1)
        return _cut(images, corners, (size, size))

    _check_size("crop", size)
    return Transform(apply)


def scale(lowest: float = 0.9, highest: float = 1.1, step: float = 0.02) -> Transform:
    """Magnify about the center by a random factor, keeping the size; what comes in is 0.

    Args:
        lowest: smallest factor.
        highest: largest factor.
        step: between neighboring factors, all equally likely (see ``factors``).

    Raises:
        ConfigError: the factors are not positive or not in order, or ``step`` is not positive.
    """

    def apply(
        images: Float[Tensor, "batch 3 height width"], generators: Generators
    ) -> Float[Tensor, "batch 3 height width"]:
        drawn = choices[_integers(generators, len(choices))[:, 0]]
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
    """Rotate about the center by a random angle, keeping the size; what comes in is 0.

    Args:
        degrees: largest angle, to either side; positive ones are counterclockwise.
        step: degrees between neighboring angles (see ``angles``).
        upright: how many more zeros are among the angles that are drawn from. By default 26 angles,
            6 of them 0, as in lucent.

    Raises:
        ConfigError: ``degrees`` is not from 0 to 180, ``step`` not positive, or ``upright``
            negative.
    """

    def apply(
        images: Float[Tensor, "batch 3 height width"], generators: Generators
    ) -> Float[Tensor, "batch 3 height width"]:
        drawn = choices[_integers(generators, len(choices))[:, 0]]
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


def flip(probability: float = 0.5) -> Transform:
    """Mirror left and right with a probability.

    Raises:
        ConfigError: ``probability`` is not from 0 to 1.
    """

    def apply(
        images: Float[Tensor, "batch 3 height width"], generators: Generators
    ) -> Float[Tensor, "batch 3 height width"]:
        drawn = torch.cat([torch.rand(1, generator=source) for source in generators])
        mirrored = (drawn < probability).to(images.device)
        return torch.where(mirrored[:, None, None, None], images.flip(3), images)

    if not 0 <= probability <= 1:
        raise ConfigError(f"transform.flip.probability: {probability} is not from 0 to 1")
    return Transform(apply)


def noise(std: float = 0.1) -> Transform:
    """Add independent normal noise.

    Args:
        std: standard deviation in network-input space, where photographs have about 1.

    Raises:
        ConfigError: ``std`` is negative or not finite.
    """

    def apply(
        images: Float[Tensor, "batch 3 height width"], generators: Generators
    ) -> Float[Tensor, "batch 3 height width"]:
        # Drawn as float32 whatever the images are, so that both precisions see the same noise.
        shape = images.shape[1:]
        drawn = [torch.randn(shape, generator=source, dtype=torch.float32) for source in generators]
        return images + std * torch.stack(drawn).to(images)

    if not 0 <= std < math.inf:
        raise ConfigError(f"transform.noise.std: {std} is not a number of 0 or more")
    return Transform(apply)


def resize(size: int) -> Transform:
    """Resample the images to a square, bilinearly, their corner pixels staying corner pixels.

    As lucent enlarges its images to the network's input (``align_corners``, not antialiased).

    Args:
        size: its side in pixels.

    Raises:
        ConfigError: ``size`` is not positive.
    """

    def apply(
        images: Float[Tensor, "batch 3 height width"], generators: Generators
    ) -> Float[Tensor, "batch 3 size size"]:
        del generators
        return F.interpolate(images, (size, size), mode="bilinear", align_corners=True)

    _check_size("resize", size)
    return Transform(apply, random=False)


def fit(
    images: Float[Tensor, "batch 3 height width"], size: tuple[int, int]
) -> Float[Tensor, "batch 3 rows columns"]:
    """Cut the center out of images, or surround them with zeros, in each axis.

    Args:
        images: in network-input space.
        size: height and width in pixels, for networks that take no other.
    """
    (height, width), (rows, columns) = images.shape[2:], size
    top, left = -((height - rows) // 2), -((width - columns) // 2)
    return F.pad(images, (left, columns - width - left, top, rows - height - top))


def _integers(generators: Generators, *counts: int) -> Int[Tensor, "batch counts"]:
    """Draw integers for every sample, each from 0 to below its count."""
    drawn = [
        [torch.randint(count, (), generator=source) for count in counts] for source in generators
    ]
    return torch.tensor(drawn)


def _cut(
    images: Float[Tensor, "batch 3 height width"],
    corners: Int[Tensor, "batch 2"],
    size: tuple[int, int],
) -> Float[Tensor, "batch 3 rows columns"]:
    """Cut one part of every image, around the edges where it leaves the image.

    Args:
        images: to be cut.
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


def _warp(
    images: Float[Tensor, "batch 3 height width"], matrices: Float[Tensor, "batch 2 2"]
) -> Float[Tensor, "batch 3 height width"]:
    """Sample every image bilinearly where its matrix says, with 0 outside.

    Args:
        images: to be sampled.
        matrices: from the place (x, y) of a pixel, from the image's center, to where it comes from.
    """
    height, width = images.shape[2:]
    x = (torch.arange(width).to(images) + 0.5 - width / 2)[None, None, :]
    y = (torch.arange(height).to(images) + 0.5 - height / 2)[None, :, None]
    a, b, c, d = matrices.to(images).flatten(1)[:, :, None, None].unbind(1)
    # Products of single numbers, not a matrix product: TF32 would move pixels.
    places = torch.stack(((a * x + b * y) * (2 / width), (c * x + d * y) * (2 / height)), dim=3)
    return F.grid_sample(images, places, mode="bilinear", padding_mode="zeros", align_corners=False)


def _whole(length: float, step: float) -> int:
    """Return how often a step fits into a length, though rounding may have made it a bit longer."""
    return math.floor(length / step + 1e-9)


def _check_pixels(name: str, pixels: int) -> None:
    if pixels < 0:
        raise ConfigError(f"transform.{name}.pixels: {pixels} is negative; use 0 or more")


def _check_size(name: str, size: int) -> None:
    if size < 1:
        raise ConfigError(f"transform.{name}.size: {size} is not a positive number of pixels")


def _check_step(name: str, step: float) -> None:
    if not 0 < step < math.inf:
        raise ConfigError(f"transform.{name}.step: {step} is not a positive number")
