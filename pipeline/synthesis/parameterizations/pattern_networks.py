"""Spaces of the weights of pattern-producing networks: color as a function of position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.parameterizations.constants import Constant
from pipeline.synthesis.parameterizations.pieces import Parameterization, Setting
from pipeline.synthesis.parameterizations.pixels import normal

# Root mean squares of arctan(x) and arctan(x) ** 2 for standard normal x.
ARCTAN, ARCTAN_SQUARED = 0.67, 0.6


@dataclass(frozen=True)
class PatternNetworks:
    """The space of weights of one small network per sample.

    Parameters are, layer after layer, weights [batch, outputs, inputs] and biases [batch, outputs].

    Attributes:
        size: height and width of the images in pixels.
        layers: number of layers, including the last, which outputs colors.
        width: number of units of the other layers.
        channels: of an image.
    """

    size: tuple[int, int]
    layers: int
    width: int
    channels: int = 3
    invertible: bool = False
    is_image: bool = False

    @cached_property
    def coordinates(self) -> Constant:
        """Row and column of every pixel, [2, height * width], both from -sqrt(3) to sqrt(3).

        These have mean 0 and, for large images, variance 1, whatever the size.
        """
        sides = [torch.linspace(-(3**0.5), 3**0.5, n, dtype=torch.float64) for n in self.size]
        return Constant(torch.stack(torch.meshgrid(*sides, indexing="ij")).flatten(1))

    def encode(self, images: Float[Tensor, "batch c height width"]) -> list[Tensor]:
        """Raise an error: weights for given images are unknown.

        Raises:
            ConfigError: always.
        """
        del images
        raise ConfigError(
            "parameterization: a cppn has no inverse, so that it cannot start from an image; use"
            " init=[parameters]"
        )

    def decode(self, parameters: Sequence[Tensor]) -> Float[Tensor, "batch c height width"]:
        """Return the colors that the networks assign to all positions."""
        weights, biases = parameters[::2], parameters[1::2]
        places = self.coordinates.like(weights[0]).expand(len(weights[0]), -1, -1)
        values = torch.baddbmm(biases[0][:, :, None], weights[0], places)
        for weight, bias in zip(weights[1:], biases[1:], strict=True):
            values = torch.baddbmm(bias[:, :, None], weight, _activation(values))
        return values.unflatten(2, self.size)

    def draw(self, generators: Sequence[torch.Generator], std: float) -> list[Tensor]:
        """Return random networks, ignoring ``std``; their images are zero.

        Weights have variance 1 / inputs; the last layer and all biases are zero.
        """
        del std
        parameters: list[Tensor] = []
        for inputs in [2] + [2 * self.width] * (self.layers - 2):
            weights = normal(generators, (self.width, inputs)) / inputs**0.5
            parameters += [weights, torch.zeros(len(generators), self.width)]
        last = torch.zeros(len(generators), self.channels, 2 * self.width)
        return [*parameters, last, torch.zeros(len(generators), self.channels)]


def cppn(layers: int = 8, width: int = 24) -> Parameterization:
    """Parameterize images of any resolution by a compositional pattern-producing network.

    Source: Mordvintsev et al. 2018, "Differentiable Image Parameterizations" (Distill).

    Args:
        layers: number of layers, including the last, which outputs colors.
        width: number of units of the other layers, each of which passes two values on.

    Raises:
        ConfigError: fewer than 2 layers or 1 unit.
    """
    if layers < 2:
        raise ConfigError(f"parameterization.cppn.layers: {layers} is too few; use 2 or more")
    if width < 1:
        raise ConfigError(f"parameterization.cppn.width: {width} is not positive; use 1 or more")

    def build(setting: Setting) -> PatternNetworks:
        return PatternNetworks(setting.size, layers, width, setting.channels)

    return Parameterization("space", build, invertible=False)


def _activation(
    values: Float[Tensor, "batch units places"],
) -> Float[Tensor, "batch 2*units places"]:
    """Return arctan and its square, an odd and an even function, each scaled to RMS 1."""
    values = values.arctan()
    return torch.cat([values / ARCTAN, values.square() / ARCTAN_SQUARED], dim=1)
