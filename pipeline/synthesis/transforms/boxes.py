"""Boxes: parts of images, resampled for the network, that become smaller over the steps."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.synthesis.schedules import Schedule, check_schedule
from pipeline.synthesis.transforms.transform import Generators, Transform, check_size

SMALLEST, LARGEST = 0.05, 1.0  # limits of box sides, as shares of the image's side


def boxes(
    size: Schedule = (0.5, 0.05),
    spread: float = 0.05,
    wander: float = 0.15,
    pixels: int = 224,
    count: int = 32,
) -> Transform:
    """Show square parts of the images, resampled to one size, several times per step.

    Centers are normally distributed about the center of the image, and sides about ``size``,
    limited to 0.05..1. Pixels beyond the image are 0. Scores and gradients of a step are the means
    over its boxes.

    Args:
        size: mean side as a share of the image's shorter one, or two: at the first and at the last
            step.
        spread: standard deviation of the sides, as a share.
        wander: standard deviation of the centers in both axes, as a share of the image's sides.
        pixels: side in pixels to which boxes are resampled, bilinearly with aligned corners.
        count: boxes per image and step.

    Raises:
        ConfigError: a value is out of range.

    Source: MaCo (Fel et al. 2023, "Unlocking Feature Visualization for Deeper Networks with
    MAgnitude Constrained Optimization"), with the values of the authors' library Xplique.
    """

    def at(step: int, steps: int) -> Transform:
        mean = ends[0] + (ends[1] - ends[0]) * step / max(1, steps - 1)

        def apply(
            images: Float[Tensor, "batch c height width"], generators: Generators
        ) -> Float[Tensor, "batch c pixels pixels"]:
            drawn = torch.stack([torch.randn(3, generator=source) for source in generators])
            sides = (mean + spread * drawn[:, 0]).clamp(SMALLEST, LARGEST)
            return _sampled(images, wander * drawn[:, 1:], sides, pixels)

        return Transform(apply, at=at, looks=count)

    check_schedule("transform.boxes.size", size)
    ends = (size, size) if isinstance(size, int | float) else (size[0], size[-1])
    if not all(0 < end <= LARGEST for end in ends):
        raise ConfigError(
            f"transform.boxes.size: {size} is not above 0 and at most 1; use 0.25 or [0.5, 0.05]"
        )
    for name, value in (("spread", spread), ("wander", wander)):
        if not 0 <= value < math.inf:
            raise ConfigError(f"transform.boxes.{name}: {value} is not a number of 0 or more")
    if count < 1:
        raise ConfigError(f"transform.boxes.count: {count} is not positive; use 1 or more")
    check_size("boxes", pixels, "pixels")
    return at(0, 1)


def _sampled(
    images: Float[Tensor, "batch c height width"],
    centers: Float[Tensor, "batch 2"],
    sides: Float[Tensor, " batch"],
    pixels: int,
) -> Float[Tensor, "batch c pixels pixels"]:
    """Sample one box of every image.

    Args:
        images: images to sample.
        centers: centers relative to the images' centers, down and right, as shares of their sides.
        sides: sides of the boxes, as shares of the images' shorter sides.
        pixels: side of the returned images.
    """
    line = torch.linspace(-1, 1, pixels).to(images)[None]
    shorter = min(images.shape[2:]) - 1
    # From -1 to 1 between the centers of the first and the last pixel.
    rows, columns = (
        2 * centers[:, axis, None].to(images)
        + line * sides[:, None].to(images) * (shorter / max(1, length - 1))
        for axis, length in enumerate(images.shape[2:])
    )
    places = torch.stack(
        (columns[:, None].expand(-1, pixels, -1), rows[:, :, None].expand(-1, -1, pixels)), dim=3
    )
    found = F.grid_sample(images, places, padding_mode="zeros", align_corners=True)
    return found * (places.abs() <= 1).all(3)[:, None]
