"""Fourier coefficients as codes."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from pipeline.synthesis.evolution.generators.generator import BuiltGenerator, Generator
from pipeline.synthesis.evolution.generators.grid import GRAY, STEP
from pipeline.synthesis.evolution.generators.priors import normal_prior
from pipeline.synthesis.parameterizations import Setting
from pipeline.synthesis.parameterizations.spectra import CONTRAST, Coefficients, check_decay


def fourier(decay: float = 1.0) -> Generator:
    """Generate pictures from Fourier coefficients, of any number of channels.

    Genes are real and imaginary parts of the coefficients, weighted by 1 / frequency ** decay
    (``parameterizations.fourier``), and standardized: random pictures deviate from mid-gray by a
    quarter of the range, as a root mean square before they are cut to 0..1. The imaginary parts of
    coefficients that are their own conjugates have no effect.

    Args:
        decay: 1 gives random pictures the spectrum of photographs, 0 that of white noise.

    Raises:
        ConfigError: ``decay`` is negative or not finite.
    """
    check_decay("generator.fourier.decay", decay)

    def build(setting: Setting) -> BuiltGenerator:
        space = Coefficients(setting.size, decay, setting.channels)
        height, width = setting.size
        shape = (setting.channels, height, width // 2 + 1, 2)
        unit = STEP / _deviation(space)

        def draw(codes: Float[Tensor, "batch genes"]) -> Float[Tensor, "batch c height width"]:
            images = space.decode([codes.float().unflatten(1, shape)])
            return (GRAY + unit * images).clamp(0, 1)

        def encode(images: Float[Tensor, "batch c height width"]) -> Float[Tensor, "batch genes"]:
            return space.encode((images.float() - GRAY) / unit)[0].flatten(1)

        return BuiltGenerator(normal_prior(math.prod(shape)), shape, draw, encode)

    return Generator(build)


def _deviation(space: Coefficients) -> float:
    """Return the root mean square of images of standard normal coefficients."""
    height, width = space.size
    power = space.scale.value.square().sum(0)
    # Both parts of an inner coefficient count twice, as its conjugate does; in a mirrored column,
    # the average of two halves has half the power.
    edges = [0, *([width // 2] if width % 2 == 0 else [])]
    total = 4 * float(power.sum()) - 3 * float(power[edges].sum())
    return math.sqrt(total / (height * width)) / CONTRAST
