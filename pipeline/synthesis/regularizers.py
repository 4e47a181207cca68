"""Regularizers: penalties on the images, subtracted from the score while it is climbed.

The loop climbs score - weight * penalty; image i is penalized for itself alone. Images are in
network-input space. Each regularizer is a function of its settings that returns a ``Regularizer``.

Source: the losses of "Maximise Activations" (seed document 003), which are Lucid's, and those of
Mahendran and Vedaldi 2015 (total variation, norms).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from pipeline.errors import ConfigError

EPSILON = 1e-6  # under the root of ``l2``, whose gradient is then defined at its center


@dataclass(frozen=True)
class Regularizer:
    """A penalty and how much it counts.

    Attributes:
        penalty: from images and their starts, both [batch, 3, height, width], to penalties [batch];
            differentiable in the images.
        weight: what it is multiplied by before it is subtracted from the score.
    """

    penalty: Callable[[Tensor, Tensor], Tensor]
    weight: float


def total_variation(weight: float = 0.25) -> Regularizer:
    """Penalize differences of neighbors: the sum of |x - right neighbor| and |x - lower neighbor|.

    The anisotropic form, summed over pixels and colors.

    Raises:
        ConfigError: ``weight`` is negative or not finite.
    """

    def penalty(
        images: Float[Tensor, "batch c height width"],
        starts: Float[Tensor, "batch c height width"],
    ) -> Float[Tensor, " batch"]:
        del starts
        across, down = images.diff(dim=3), images.diff(dim=2)
        return across.abs().sum((1, 2, 3)) + down.abs().sum((1, 2, 3))

    return _regularizer("total_variation", penalty, weight)


def l1(weight: float = 0.05, center: float = 0.0) -> Regularizer:
    """Penalize the sum of |x - center| over pixels and colors.

    Args:
        weight: of the penalty.
        center: value that costs nothing; 0 is the mean color.

    Raises:
        ConfigError: ``weight`` is negative or not finite, or ``center`` not finite.
    """
    return _from_color("l1", lambda apart: apart.abs().sum((1, 2, 3)), weight, center)


def l2(weight: float = 0.05, center: float = 0.0) -> Regularizer:
    """Penalize the distance from a color: sqrt(sum of (x - center)^2 + 1e-6).

    Args:
        weight: of the penalty.
        center: value that costs least; 0 is the mean color.

    Raises:
        ConfigError: ``weight`` is negative or not finite, or ``center`` not finite.
    """
    return _from_color(
        "l2", lambda apart: (apart.square().sum((1, 2, 3)) + EPSILON).sqrt(), weight, center
    )


def l_infinity(weight: float = 0.05, center: float = 0.0) -> Regularizer:
    """Penalize the most extreme value: the maximum of |x - center|.

    Args:
        weight: of the penalty.
        center: value that costs nothing; 0 is the mean color.

    Raises:
        ConfigError: ``weight`` is negative or not finite, or ``center`` not finite.
    """
    return _from_color("l_infinity", lambda apart: apart.abs().amax((1, 2, 3)), weight, center)


def blur(weight: float = 1.0) -> Regularizer:
    """Penalize what a small blur takes away: 1/2 * sum of (x - blurred)^2, ``blurred`` held fixed.

    A gradient step of size k is then the same as mixing in a share k of the blurred image. The
    kernel of 3 x 3 is 1 in its center and 1/2 around it, divided by the sum of its weights that
    lie inside the image.

    Raises:
        ConfigError: ``weight`` is negative or not finite.

    Source: Lucid's ``blur_input_each_step``, after Nguyen, Yosinski and Clune 2015.
    """

    def penalty(
        images: Float[Tensor, "batch c height width"],
        starts: Float[Tensor, "batch c height width"],
    ) -> Float[Tensor, " batch"]:
        del starts
        return 0.5 * (images - _blurred(images.detach())).square().sum((1, 2, 3))

    return _regularizer("blur", penalty, weight)


def high_frequency(weight: float = 0.05, cutoff: float = 0.25) -> Regularizer:
    """Penalize the energy above a spatial frequency.

    The energy is that of the Fourier coefficients whose radial frequency is above the cutoff,
    scaled such that a cutoff of 0 gives the sum of (x - mean)^2 over pixels, with one mean per
    color (Parseval).

    Args:
        weight: of the penalty.
        cutoff: in cycles per pixel; along an axis, 0.5 is the highest frequency there is.

    Raises:
        ConfigError: ``weight`` is negative or not finite, or ``cutoff`` not from 0 to below 0.5.
    """

    def penalty(
        images: Float[Tensor, "batch c height width"],
        starts: Float[Tensor, "batch c height width"],
    ) -> Float[Tensor, " batch"]:
        del starts
        spectrum = torch.fft.rfft2(images, norm="ortho")
        energy = torch.view_as_real(spectrum).square().sum(-1)
        return (energy * _counts_above(cutoff, images)).sum((1, 2, 3))

    if not 0 <= cutoff < 0.5:
        raise ConfigError(
            f"regularizer.high_frequency.cutoff: {cutoff} is not from 0 to below 0.5 cycles per"
            " pixel"
        )
    return _regularizer("high_frequency", penalty, weight)


def distance_to_start(weight: float = 0.05) -> Regularizer:
    """Penalize the L2 distance to the starting image; where there is none, its gradient is 0.

    Raises:
        ConfigError: ``weight`` is negative or not finite.
    """

    def penalty(
        images: Float[Tensor, "batch c height width"],
        starts: Float[Tensor, "batch c height width"],
    ) -> Float[Tensor, " batch"]:
        return torch.linalg.vector_norm((images - starts).flatten(1), dim=1)

    return _regularizer("distance_to_start", penalty, weight)


def _blurred(
    images: Float[Tensor, "batch c height width"],
) -> Float[Tensor, "batch c height width"]:
    def weighted(values: Tensor) -> Tensor:  # twice the kernel: 1 everywhere and 1 in the center
        return F.avg_pool2d(values, 3, stride=1, padding=1, divisor_override=1) + values

    return weighted(images) / weighted(torch.ones_like(images[:1, :1]))


def _counts_above(
    cutoff: float, images: Float[Tensor, "batch c height width"]
) -> Float[Tensor, "height columns"]:
    """Return how often each coefficient of ``rfft2`` counts: 0 up to the cutoff.

    Columns that stand for their mirrored, omitted half as well count twice.
    """
    height, width = images.shape[2:]
    down = torch.fft.fftfreq(height, device=images.device, dtype=images.dtype)[:, None]
    across = torch.fft.rfftfreq(width, device=images.device, dtype=images.dtype)
    # Frequencies that equal the cutoff but for rounding are not above it.
    above = torch.hypot(down, across) > cutoff + 1e-6
    column = torch.arange(len(across), device=images.device)
    mirrored = (column > 0) & (2 * column < width)
    return above * (1 + mirrored.to(images.dtype))


def _regularizer(
    name: str, penalty: Callable[[Tensor, Tensor], Tensor], weight: float
) -> Regularizer:
    if not 0 <= weight < math.inf:
        raise ConfigError(
            f"regularizer.{name}.weight: {weight} is not a number of 0 or more; the penalty is"
            " subtracted from the score"
        )
    return Regularizer(penalty, weight)


def _from_color(
    name: str, size: Callable[[Tensor], Tensor], weight: float, center: float
) -> Regularizer:
    """Penalize how far images are from one color, by some size of the difference."""
    if not math.isfinite(center):
        raise ConfigError(
            f"regularizer.{name}.center: {center} is not a finite number; 0 is the mean color"
        )
    return _regularizer(name, lambda images, _: size(images - center), weight)
