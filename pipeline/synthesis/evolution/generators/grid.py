"""The grid: colors on a coarse lattice, interpolated between."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.constraints.constraint import is_whole
from pipeline.synthesis.evolution.generators.generator import BuiltGenerator, Generator
from pipeline.synthesis.evolution.generators.priors import normal_prior
from pipeline.synthesis.parameterizations import Setting
from pipeline.synthesis.parameterizations.resolutions import enlargement

GRAY, STEP = 0.5, 0.25  # the pixel value of gene 0, and how much one unit of a gene adds


def grid(side: int = 12) -> Generator:
    """Generate pictures from colors on a coarse lattice, enlarged bilinearly.

    Needs no weights, works for any number of channels, and is what a deep generator must beat. A
    gene is one value of the lattice: 0 is mid-gray, -2 black and 2 white. Codes have no bounds: a
    picture that would go beyond black or white keeps its pattern at less contrast, so that genes
    can grow until mutations matter little.

    Args:
        side: rows and columns of the lattice; on images with fewer pixels, as many as these.

    Raises:
        ConfigError: ``side`` is not a positive whole number.
    """
    if not is_whole(side, 1):
        raise ConfigError(
            f"generator.grid.side: {side!r} is not a whole number of at least 1; use one such as 12"
        )

    def build(setting: Setting) -> BuiltGenerator:
        height, width = setting.size
        few = (min(side, height), min(side, width))
        enlarge = enlargement(few, setting.size)
        shape = (setting.channels, *few)

        def draw(codes: Float[Tensor, "batch genes"]) -> Float[Tensor, "batch c height width"]:
            return about_gray(STEP * enlarge.decode(codes.float().unflatten(1, shape)))

        def encode(images: Float[Tensor, "batch c height width"]) -> Float[Tensor, "batch genes"]:
            # Least squares may go beyond black and white, which would cost contrast.
            colors = enlarge.encode(images.float()).clamp(0, 1)
            return ((colors - GRAY) / STEP).flatten(1)

        genes = shape[0] * shape[1] * shape[2]
        return BuiltGenerator(normal_prior(genes), shape, draw, encode)

    return Generator(build)


def about_gray(
    deviations: Float[Tensor, "batch c height width"],
) -> Float[Tensor, "batch c height width"]:
    """Return pixels 0..1: mid-gray plus deviations, of less contrast where they would not fit."""
    largest = deviations.abs().amax((1, 2, 3), keepdim=True)
    # Rounding can lead out of the range.
    return (GRAY + deviations * (GRAY / largest.clamp(min=GRAY))).clamp(0, 1)
