"""Colors: channels in which the colors of photographs are uncorrelated."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError, nearest
from pipeline.synthesis.parameterizations.constants import Constant
from pipeline.synthesis.parameterizations.pieces import Map, Parameterization, Setting

# Root of the covariance of colors in ImageNet, as in lucid and lucent; rows are red, green, blue.
IMAGENET = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
MATRICES = ("imagenet", "images")
FLAT = 1e-6  # share of the largest variance below which colors do not span three dimensions


def decorrelated(matrix: str = "imagenet", images: int = 200) -> Parameterization:
    """Parameterize colors by three uncorrelated channels p: rgb = C p.

    Without a range, rgb is network input; with one, it is the input of the range.

    Source: Olah et al. 2017, "Feature Visualization" (Distill).

    Args:
        matrix: ``imagenet`` for the published C, ``images`` to compute it from the image set.
        images: largest number of pictures from which C is computed.

    Raises:
        ConfigError: ``matrix`` is neither, or ``images`` not positive.
    """
    if matrix not in MATRICES:
        raise ConfigError(
            f"parameterization.decorrelated.matrix: '{matrix}' is neither 'imagenet' nor 'images'"
            f"{nearest(matrix, MATRICES)}"
        )
    if images < 1:
        raise ConfigError(
            f"parameterization.decorrelated.images: {images} is not positive; use 1 or more, such"
            " as 200"
        )

    def build(setting: Setting) -> Map:
        if setting.channels != 3:
            raise ConfigError(not_in_color("decorrelated", setting.channels))
        if matrix == "imagenet":
            root = torch.tensor(IMAGENET, dtype=torch.float64)
        else:
            std = torch.tensor(setting.preprocessing.std, dtype=torch.float64)
            root = covariance_root(setting.pictures()[:images].cpu().double() * std[:, None, None])
        mixing = root / root.norm(dim=0).max()
        return Map(_mix(mixing), _mix(torch.linalg.inv(mixing)), exact=True)

    return Parameterization(
        "color", build, images=images if matrix == "images" else 0, colored=True
    )


def not_in_color(name: str, channels: int) -> str:
    """Return why a piece in color does not fit images of other channels."""
    return (
        f"parameterization.{name}: it mixes red, green and blue, and the images have"
        f" {channels} channel{'' if channels == 1 else 's'}; leave it out"
    )


def covariance_root(
    pixels: Float[Tensor, "pictures c height width"],
) -> Float[Tensor, "3 3"]:
    """Return a matrix R such that R R^T is the covariance of colors: scaled principal directions.

    They are in decreasing order of variance, with signs chosen so that red increases.

    Raises:
        ConfigError: the colors do not vary in three dimensions.
    """
    directions, variances, _ = torch.linalg.svd(torch.cov(pixels.transpose(0, 1).flatten(1)))
    if not variances[2] > FLAT * variances[0]:
        raise ConfigError(
            "parameterization.decorrelated.matrix: 'images' is not possible, since the colors of"
            " the image set do not vary in three dimensions, as in gray pictures; use 'imagenet'"
        )
    signs = torch.where(directions[0] < 0, -1.0, 1.0)
    return directions * signs * variances.sqrt()


def _mix(matrix: Float[Tensor, "3 3"]):
    """Return the map that multiplies the channels of every pixel by a matrix."""
    constant = Constant(matrix)

    def apply(
        images: Float[Tensor, "batch c height width"],
    ) -> Float[Tensor, "batch c height width"]:
        mixed = constant.like(images) @ images.flatten(2)
        return mixed.unflatten(2, images.shape[2:])

    return apply
