"""Smoothing: blurs between steps, of images after an update or of gradients before it.

Each is a function of its settings that returns a ``Smoothing``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, pad

from pipeline.errors import ConfigError
from pipeline.synthesis.schedules import Schedule, check_schedule, value_at


@dataclass(frozen=True)
class Smoothing:
    """An operation between steps on images or gradients [batch, 3, height, width].

    Attributes:
        image: maps images after an update, the step (from 0) and the number of steps to images.
        gradient: likewise, maps gradients before an update.
    """

    image: Callable[[Tensor, int, int], Tensor] | None = None
    gradient: Callable[[Tensor, int, int], Tensor] | None = None


def blur(sigma: Schedule = 0.8, kernel: int = 3, every: int = 1) -> Smoothing:
    """Blur the images with a Gaussian after every update, or after every n-th.

    Args:
        sigma: standard deviation in pixels, or two: start and end. 0 does nothing.
        kernel: side of the kernel in pixels; beyond the edges, images are reflected.
        every: 1 for every update, 5 for the fifth, tenth ...

    Raises:
        ConfigError: ``sigma`` is not one or two numbers of 0 or more, ``kernel`` not odd and
            positive, ``every`` not positive, or, when applied, the kernel too large for the images.

    Source: blbadger, "Feature Visualization II: Deep Dream".
    """

    def smooth(
        images: Float[Tensor, "batch c height width"], step: int, steps: int
    ) -> Float[Tensor, "batch c height width"]:
        width = value_at(sigma, step, steps)
        if width == 0 or (step + 1) % every != 0:
            return images
        return _gaussian_blur("blur", images, kernel, width)

    check_schedule("smoothing.blur.sigma", sigma)
    _check_kernel("blur", kernel)
    if every < 1:
        raise ConfigError(f"smoothing.blur.every: {every} is not positive; use 1 for every step")
    return Smoothing(image=smooth)


def cascade(
    kernel: int = 9,
    start: float = 0.5,
    rise: float = 2.0,
    factors: Sequence[float] = (0.5, 1.0, 2.0),
) -> Smoothing:
    """Blur the gradients with the mean of several Gaussians, which widen from step to step.

    Their standard deviations are factor * sigma, with sigma = start + rise * (i + 1) / N at step i
    of N.

    Args:
        kernel: side of the kernels in pixels; beyond the edges, gradients are reflected.
        start: sigma before the first step, in pixels.
        rise: growth of sigma over all steps, in pixels.
        factors: factors of sigma, one for each Gaussian.

    Raises:
        ConfigError: ``kernel`` is not odd and positive, ``start`` not positive, ``rise`` negative,
            ``factors`` not some positive numbers, or, when applied, the kernel too large for the
            images.

    Source: Gordić's pytorch-deepdream.
    """

    def smooth(
        gradient: Float[Tensor, "batch c height width"], step: int, steps: int
    ) -> Float[Tensor, "batch c height width"]:
        sigma = start + rise * (step + 1) / steps
        blurred = [_gaussian_blur("cascade", gradient, kernel, sigma * each) for each in factors]
        return torch.stack(blurred).mean(0)

    _check_kernel("cascade", kernel)
    if not 0 < start < math.inf:
        raise ConfigError(f"smoothing.cascade.start: {start} is not a positive number of pixels")
    if not 0 <= rise < math.inf:
        raise ConfigError(f"smoothing.cascade.rise: {rise} is not 0 or more pixels")
    if not factors or not all(0 < factor < math.inf for factor in factors):
        raise ConfigError(
            f"smoothing.cascade.factors: {list(factors)} is not a list of positive numbers"
        )
    return Smoothing(gradient=smooth)


def _gaussian_blur(
    name: str, images: Float[Tensor, "batch c height width"], kernel: int, sigma: float
) -> Float[Tensor, "batch c height width"]:
    height, width = images.shape[2:]
    if kernel // 2 >= min(height, width):
        raise ConfigError(
            f"smoothing.{name}.kernel: {kernel} is too large for images of {height} x {width}"
            f" pixels; use {2 * min(height, width) - 1} or less"
        )
    weights = _gaussian(kernel, sigma, images)
    padded = pad(images, [kernel // 2] * 4, mode="reflect")
    channels = images.shape[1]
    return conv2d(padded, weights.expand(channels, 1, kernel, kernel), groups=channels)


def _gaussian(kernel: int, sigma: float, like: Tensor) -> Float[Tensor, "kernel kernel"]:
    """Return a Gaussian by the same steps as torchvision, which takes longer to load than torch."""
    end = (kernel - 1) / (2 * math.sqrt(2))
    places = torch.linspace(-end, end, kernel, dtype=like.dtype, device=like.device)
    line = torch.softmax(-((places / sigma) ** 2), 0)
    return line[:, None] * line


def _check_kernel(name: str, kernel: int) -> None:
    if kernel < 1 or kernel % 2 == 0:
        raise ConfigError(f"smoothing.{name}.kernel: {kernel} is not an odd number of pixels")
