"""Pixels: codes that are the pictures themselves."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.constraints.constraint import is_finite
from pipeline.synthesis.evolution.generators.generator import BuiltGenerator, Generator
from pipeline.synthesis.evolution.generators.priors import normal_prior
from pipeline.synthesis.parameterizations import Setting


def pixels(mean: float = 0.0, std: float = 1.0) -> Generator:
    """Generate pictures from their pixels, of any number of channels.

    A gene is the value of one pixel and channel, cut to 0..1 in the picture alone; codes have no
    bounds. The defaults are those of XDREAM (Xiao & Kreiman 2020), whose first pictures are
    standard normal noise: half of their values are 0.

    Args:
        mean: mean of random values, before they are cut.
        std: standard deviation of random values, before they are cut.

    Raises:
        ConfigError: ``std`` is not positive, or ``mean`` not a number.
    """
    check_std("generator.pixels.std", std)
    if not is_finite(mean):
        raise ConfigError(f"generator.pixels.mean: {mean!r} is not a number")

    def build(setting: Setting) -> BuiltGenerator:
        shape = (setting.channels, *setting.size)

        def draw(codes: Float[Tensor, "batch genes"]) -> Float[Tensor, "batch c height width"]:
            return codes.float().clamp(0, 1).unflatten(1, shape)

        def encode(images: Float[Tensor, "batch c height width"]) -> Float[Tensor, "batch genes"]:
            return images.float().flatten(1)

        genes = shape[0] * shape[1] * shape[2]
        return BuiltGenerator(normal_prior(genes, mean, std), shape, draw, encode)

    return Generator(build)


def check_std(key: str, std: float) -> None:
    """Check a standard deviation.

    Raises:
        ConfigError: it is not positive and finite.
    """
    if not is_finite(std) or std <= 0:
        raise ConfigError(f"{key}: {std!r} is not a positive number")
