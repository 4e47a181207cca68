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
    """The space of images as they are: one parameter tensor [batch, channels, height, width].

    Attributes:
        size: height and width in pixels.
        channels: of an image.
    """

    size: tuple[int, int]
    channels: int = 3
    invertible: bool = True
    is_image: bool = True

    def encode(
        self, images: Float[Tensor, "batch c height width"]
    ) -> list[Float[Tensor, "batch c height width"]]:
        """Return the very images."""
        return [images]

    def decode(
        self, parameters: Sequence[Float[Tensor, "batch c height width"]]
    ) -> Float[Tensor, "batch c height width"]:
        """Return the very parameters."""
        return parameters[0]

    def draw(
        self, generators: Sequence[torch.Generator], std: float
    ) -> list[Float[Tensor, "batch c height width"]]:
        """Return independent normal noise."""
        return [std * normal(generators, (self.channels, *self.size))]


def pixel() -> Parameterization:
    """Climb pixels: the chain of this piece alone is the identity, in network-input space."""
    return Parameterization(
        "space", lambda setting: Pixels(setting.size, setting.channels), is_image=True
    )


def normal(
    generators: Sequence[torch.Generator], shape: tuple[int, ...]
) -> Float[Tensor, "batch *shape"]:
    """Return standard normal noise, one sample from each generator: float32 on the CPU."""
    drawn = [torch.randn(shape, generator=source, dtype=torch.float32) for source in generators]
    return torch.stack(drawn)
