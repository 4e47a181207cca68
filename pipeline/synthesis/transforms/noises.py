"""Transforms that add noise."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.transforms.transform import Generators, Transform


def noise(std: float = 0.1) -> Transform:
    """Add independent normal noise.

    Args:
        std: standard deviation in network-input space, where photographs have about 1.

    Raises:
        ConfigError: ``std`` is negative or not finite.
    """

    def apply(
        images: Float[Tensor, "batch c height width"], generators: Generators
    ) -> Float[Tensor, "batch c height width"]:
        # Drawn as float32 whatever the images are, so that both precisions see the same noise.
        shape = images.shape[1:]
        drawn = [torch.randn(shape, generator=source, dtype=torch.float32) for source in generators]
        return images + std * torch.stack(drawn).to(images)

    if not 0 <= std < math.inf:
        raise ConfigError(f"transform.noise.std: {std} is not a number of 0 or more")
    return Transform(apply)
