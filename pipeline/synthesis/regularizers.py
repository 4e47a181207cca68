"""Regularizers: penalties on the images, subtracted from the score during the ascent.

The loop maximizes score - weight * penalty, separately for each image. Images are in
network-input space. Each regularizer is a function of its settings that returns a ``Regularizer``.

Sources: the losses of Lucid, as in pytorchbearer/visual, and those of Mahendran and Vedaldi 2015
(total variation, norms).
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

EPSILON = 1e-6  # added under the root of ``l2``, so that its gradient is defined at the center


@dataclass(frozen=True)
class Regularizer:
    """A penalty and its weight.

    Attributes:
        penalty: maps images and their starts, both [batch, channels, height, width], to
            penalties [batch]; differentiable in the images.
        weight: factor of the penalty, which is then subtracted from the score.
    """

    penalty: Callable[[Tensor, Tensor], Tensor]
    weight: float


def total_variation(weight: float = 0.25) -> Regularizer:
    """Penalize differences of neighbors: the sum of |x - right neighbor| + |x - lower neighbor|.

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
        weight: weight of the penalty.
        center: value without a penalty; 0 is the mean color.

    Raises:
        ConfigError: ``weight`` is negative or not finite, or ``center`` not finite.
    """
    return _from_color("l1", lambda apart: apart.abs().sum((1, 2, 3)), weight, center)


def l2(weight: float = 0.05, center: float = 0.0) -> Regularizer:
    """Penalize the distance from a color: sqrt(sum of (x - center)^2 + 1e-6).

    Args:
        weight: weight of the penalty.
        center: value with the lowest penalty; 0 is the mean color.

    Raises:
        ConfigError: ``weight`` is negative or not finite, or ``center`` not finite.
    """
    return _from_color(
        "l2", lambda apart: (apart.square().sum((1, 2, 3)) + EPSILON).sqrt(), weight, center
    )


def l_infinity(weight: float = 0.05, center: float = 0.0) -> Regularizer:
    """Penalize the most extreme value: the maximum of |x - center|.

    Args:
        weight: weight of the penalty.
        center: value without a penalty; 0 is the mean color.

    Raises:
        ConfigError: ``weight`` is negative or not finite, or ``center`` not finite.
    """
    return _from_color("l_infinity", lambda apart: apart.abs().amax((1, 2, 3)), weight, center)


def blur(weight: float = 1.0) -> Regularizer:
    """Penalize details removed by a blur: 1/2 * sum of (x - blurred)^2; ``blurred`` is fixed.

    A gradient step of size k then mixes in a share k of the blurred image. The 3 x 3 kernel is 1 in
    its center and 1/2 around it, divided by the sum of its weights inside the image.

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

    The energy is that of Fourier coefficients with a radial frequency above the cutoff, scaled so
    that a cutoff of 0 gives the sum of (x - mean)^2 over pixels, with one mean per color
    (Parseval).

    Args:
        weight: weight of the penalty.
        cutoff: frequency in cycles per pixel; 0.5 is the highest along an axis.

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
    """Penalize the L2 distance to the starting image; at distance 0, the gradient is 0.

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
    """Return the multiplicity of each coefficient of ``rfft2``; 0 up to the cutoff.

    Columns that also represent their omitted mirror image count twice.
    """
    height, width = images.shape[2:]
    down = torch.fft.fftfreq(height, device=images.device, dtype=images.dtype)[:, None]
    across = torch.fft.rfftfreq(width, device=images.device, dtype=images.dtype)
    # Frequencies equal to the cutoff up to rounding are not above it.
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
    """Penalize the distance of images from one color, by some norm of the difference."""
    if not math.isfinite(center):
        raise ConfigError(
            f"regularizer.{name}.center: {center} is not a finite number; 0 is the mean color"
        )
    return _regularizer(name, lambda images, _: size(images - center), weight)
