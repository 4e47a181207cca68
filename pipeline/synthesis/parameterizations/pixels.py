"""The space of pixels: parameters that are the image itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.synthesis.parameterizations.pieces import Parameterization


@dataclass(frozen=True)
class Pixels:
    """The space of images themselves: one parameter tensor [batch, channels, height, width].

    Attributes:
        size: height and width in pixels.
        channels: number of channels.
    """

    size: tuple[int, int]
    channels: int = 3
    invertible: bool = True
    is_image: bool = True

    def encode(
        self, images: Float[Tensor, "batch c height width"]
    ) -> list[Float[Tensor, "batch c height width"]]:
        """Return the images unchanged."""
        return [images]

    def decode(
        self, parameters: Sequence[Float[Tensor, "batch c height width"]]
    ) -> Float[Tensor, "batch c height width"]:
        """Return the parameters unchanged."""
        return parameters[0]

    def draw(
        self, generators: Sequence[torch.Generator], std: float
    ) -> list[Float[Tensor, "batch c height width"]]:
        """Return independent normal noise."""
        return [std * normal(generators, (self.channels, *self.size))]


def pixel() -> Parameterization:
    """Parameterize images by their pixels; alone, it is the identity in network-input space."""
    return Parameterization(
        "space", lambda setting: Pixels(setting.size, setting.channels), is_image=True
    )


def normal(
    generators: Sequence[torch.Generator], shape: tuple[int, ...]
) -> Float[Tensor, "batch *shape"]:
    """Return standard normal noise, one sample per generator: float32 on the CPU."""
    drawn = [torch.randn(shape, generator=source, dtype=torch.float32) for source in generators]
    return torch.stack(drawn)
