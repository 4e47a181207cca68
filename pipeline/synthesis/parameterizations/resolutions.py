"""Resolutions: images on a coarser grid than the network's input."""

from __future__ import annotations

from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pipeline.errors import ConfigError
from pipeline.synthesis.parameterizations.constants import Constant
from pipeline.synthesis.parameterizations.pieces import Map, Parameterization, Setting


def low_resolution(factor: float = 4.0) -> Parameterization:
    """Parameterize by an image with fewer pixels, enlarged bilinearly for the network.

    The inverse is the least-squares solution: encode(decode(x)) is x, and decode(encode(image)) is
    the closest enlarged image.

    Args:
        factor: factor by which the sides shrink; they are rounded up.

    Raises:
        ConfigError: ``factor`` is less than 1 or not finite.
    """
    if not 1 <= factor < float("inf"):
        raise ConfigError(
            f"parameterization.low_resolution.factor: {factor} is not 1 or more; use 4 for a"
            " quarter of the rows and columns"
        )

    def build(setting: Setting) -> Map:
        height, width = setting.size
        return enlargement((ceil(height / factor), ceil(width / factor)), setting.size)

    return Parameterization("resolution", build)


def enlargement(few: tuple[int, int], many: tuple[int, int]) -> Map:
    """Return the map that enlarges images bilinearly, with the least-squares solution as inverse.

    Args:
        few: height and width on the parameters' side.
        many: height and width on the network's side.
    """
    rows, columns = upsampling(few[0], many[0]), upsampling(few[1], many[1])
    return Map(
        _separable(rows, columns),
        _separable(torch.linalg.pinv(rows), torch.linalg.pinv(columns)),
        few,
    )


def upsampling(few: int, many: int) -> Float[Tensor, "many few"]:
    """Return the matrix of linear interpolation along one side, with pixels as areas (float64)."""
    each = torch.eye(few, dtype=torch.float64)[None]
    return functional.interpolate(each, size=many, mode="linear", align_corners=False)[0].T


def _separable(rows: Tensor, columns: Tensor):
    """Return the map that multiplies images by one matrix from the left and one from the right.

    Unlike PyTorch's own interpolation, its gradient is bit-for-bit reproducible on a GPU.
    """
    left, right = Constant(rows), Constant(columns.T.contiguous())

    def apply(
        images: Float[Tensor, "batch c rows columns"],
    ) -> Float[Tensor, "batch c height width"]:
        return left.like(images) @ images @ right.like(images)

    return apply
