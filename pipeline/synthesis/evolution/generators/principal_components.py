"""Principal components of the image set as codes."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.constraints.constraint import is_whole
from pipeline.synthesis.evolution.generators.generator import BuiltGenerator, Generator
from pipeline.synthesis.evolution.generators.priors import normal_prior
from pipeline.synthesis.parameterizations import Setting
from pipeline.synthesis.parameterizations.constants import Constant

FLAT = 1e-6  # share of the first component's variance below which others are only rounding


def principal_components(components: int = 256, images: int = 500) -> Generator:
    """Generate pictures from the principal components of the image set.

    A picture is the mean picture plus gene times standard deviation times direction for every
    component, so that random pictures have the covariance of the image set. Works for any number
    of channels.

    Args:
        components: largest number of components; there are fewer than pictures.
        images: largest number of pictures from which they are computed.

    Raises:
        ConfigError: a number is not whole or too small, or there are fewer than two pictures.
    """
    for name, value, least, example in (
        ("components", components, 1, 256),
        ("images", images, 2, 500),
    ):
        if not is_whole(value, least):
            raise ConfigError(
                f"generator.principal_components.{name}: {value!r} is not a whole number of at"
                f" least {least}; use one such as {example}"
            )

    def build(setting: Setting) -> BuiltGenerator:
        mean, directions, deviations = components_of(_pixels(setting, images), components)
        center, basis, lengths = (Constant(each) for each in (mean, directions, deviations))
        shape = mean.shape

        def draw(codes: Float[Tensor, "batch genes"]) -> Float[Tensor, "batch c height width"]:
            codes = codes.float()
            added = (codes * lengths.like(codes)) @ basis.like(codes)
            return (center.like(codes) + added.unflatten(1, shape)).clamp(0, 1)

        def encode(images: Float[Tensor, "batch c height width"]) -> Float[Tensor, "batch genes"]:
            images = images.float()
            added = (images - center.like(images)).flatten(1)
            return added @ basis.like(images).T / lengths.like(images)

        count = len(deviations)
        return BuiltGenerator(normal_prior(count), (count,), draw, encode)

    return Generator(build, images)


def components_of(
    pictures: Float[Tensor, "pictures c height width"], components: int
) -> tuple[
    Float[Tensor, "c height width"],
    Float[Tensor, "components values"],
    Float[Tensor, " components"],
]:
    """Return mean, orthonormal directions and standard deviations of pictures, float64 on the CPU.

    Directions are in decreasing order of variance; the largest value of each is positive.

    Raises:
        ConfigError: the pictures do not differ.
    """
    pictures = pictures.cpu().double()
    mean = pictures.mean(0)
    deviations = (pictures - mean).flatten(1)
    # There are fewer pictures than pixels.
    variances, weights = torch.linalg.eigh(deviations @ deviations.T)
    kept = (variances > FLAT * variances[-1]).nonzero()[:, 0].flip(0)[:components]
    if len(pictures) < 2 or not variances[-1] > 0:
        raise ConfigError(
            "generator.principal_components: the image set needs two or more pictures that differ;"
            " use generator=grid"
        )
    roots = variances[kept].sqrt()
    directions = (weights[:, kept].T @ deviations) / roots[:, None]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    return mean, directions * largest.sign(), roots / (len(pictures) - 1) ** 0.5


def _pixels(setting: Setting, images: int) -> Float[Tensor, "pictures c height width"]:
    mean, std = (
        torch.tensor(values, dtype=torch.float64)[:, None, None]
        for values in (setting.preprocessing.mean, setting.preprocessing.std)
    )
    return setting.pictures()[:images].cpu().double() * std + mean
