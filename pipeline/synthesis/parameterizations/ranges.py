"""Ranges: maps from unbounded values to pixels in 0..1, and on to network input.

Each is described by the pixels for values v; the network input is (pixels - mean) / std, with the
mean and the standard deviation of the network's preprocessing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.synthesis.clamping import clamp_inward
from pipeline.synthesis.parameterizations.constants import Constant
from pipeline.synthesis.parameterizations.pieces import Map, Parameterization, Setting

# Photographs reach 0 and 1, whose inverse values are infinite, so they are clamped to this.
DARKEST, BRIGHTEST = 0.01, 0.99


def sigmoid() -> Parameterization:
    """Pixels are 1 / (1 + exp(-v)): 0 is mid-gray. Photographs are first clamped to 0.01..0.99."""
    return _squashed(torch.sigmoid, torch.logit)


def tanh() -> Parameterization:
    """Pixels are (tanh(v) + 1) / 2: 0 is mid-gray. Photographs are first clamped to 0.01..0.99.

    The library pytorchbearer/visual adds a mean color to v, which makes 0 a light gray of 0.72;
    here, 0 is mid-gray as for ``sigmoid``.
    """
    return _squashed(
        lambda values: (values.tanh() + 1) / 2, lambda pixels: (2 * pixels - 1).atanh()
    )


def clamp() -> Parameterization:
    """Pixels are mean + v, clamped to 0..1: 0 is the mean color.

    If the parameters are pixels, they are clamped after every step. For other spaces, such as
    Fourier coefficients, only gradients that lead back inside pass the clamp, so that no pixel gets
    stuck.
    """

    def build(setting: Setting) -> Map:
        mean, std = _channels(setting)

        def decode(
            values: Float[Tensor, "batch c height width"],
        ) -> Float[Tensor, "batch c height width"]:
            pixels = clamp_inward(values + mean.like(values), 0.0, 1.0)
            return (pixels - mean.like(values)) / std.like(values)

        return Map(decode, lambda images: images * std.like(images), exact=True, clamps=True)

    return Parameterization("range", build)


def unbounded() -> Parameterization:
    """Pixels are mean + v without bounds: network input is v / std, and 0 is the mean color."""

    def build(setting: Setting) -> Map:
        _, std = _channels(setting)
        return Map(
            lambda values: values / std.like(values),
            lambda images: images * std.like(images),
            exact=True,
        )

    return Parameterization("range", build)


def _squashed(
    to_pixels: Callable[[Tensor], Tensor], to_values: Callable[[Tensor], Tensor]
) -> Parameterization:
    def build(setting: Setting) -> Map:
        mean, std = _channels(setting)

        def decode(
            values: Float[Tensor, "batch c height width"],
        ) -> Float[Tensor, "batch c height width"]:
            return (to_pixels(values) - mean.like(values)) / std.like(values)

        def encode(
            images: Float[Tensor, "batch c height width"],
        ) -> Float[Tensor, "batch c height width"]:
            pixels = images * std.like(images) + mean.like(images)
            return to_values(pixels.clamp(DARKEST, BRIGHTEST))

        return Map(decode, encode)

    return Parameterization("range", build)


def _channels(setting: Setting) -> tuple[Constant, Constant]:
    """Return mean and standard deviation of the channels, each [3, 1, 1]."""
    pair = (setting.preprocessing.mean, setting.preprocessing.std)
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in pair)
    return Constant(mean), Constant(std)
