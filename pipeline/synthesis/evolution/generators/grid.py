"""The grid: colors on a coarse lattice, interpolated between."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.evolution.generators.generator import BuiltGenerator, Generator
from pipeline.synthesis.evolution.generators.priors import normal_prior
from pipeline.synthesis.parameterizations import Setting
from pipeline.synthesis.parameterizations.resolutions import enlargement

GRAY, STEP = 0.5, 0.25  # the pixel value of gene 0, and how much one unit of a gene adds
# Genes of black and white.
BLACK, WHITE = (0 - GRAY) / STEP, (1 - GRAY) / STEP


def grid(side: int = 12) -> Generator:
    """Generate pictures from colors on a coarse lattice, enlarged bilinearly.

    Needs no weights, works for any number of channels, and is what a deep generator must beat. A
    gene is one value of the lattice: 0 is mid-gray, -2 black and 2 white.

    Args:
        side: rows and columns of the lattice; on images with fewer pixels, as many as these.

    Raises:
        ConfigError: ``side`` is not positive.
    """
    if side < 1:
        raise ConfigError(f"generator.grid.side: {side} is not positive; use 1 or more, such as 12")

    def build(setting: Setting) -> BuiltGenerator:
        height, width = setting.size
        few = (min(side, height), min(side, width))
        enlarge = enlargement(few, setting.size)
        shape = (setting.channels, *few)

        def draw(codes: Float[Tensor, "batch genes"]) -> Float[Tensor, "batch c height width"]:
            colors = codes.float().clamp(BLACK, WHITE).unflatten(1, shape)
            return (GRAY + STEP * enlarge.decode(colors)).clamp(0, 1)

        def encode(images: Float[Tensor, "batch c height width"]) -> Float[Tensor, "batch genes"]:
            colors = enlarge.encode((images.float() - GRAY) / STEP)
            return colors.clamp(BLACK, WHITE).flatten(1)

        genes = shape[0] * shape[1] * shape[2]
        prior = normal_prior(genes, low=BLACK, high=WHITE)
        return BuiltGenerator(prior, shape, draw, encode)

    return Generator(build)
