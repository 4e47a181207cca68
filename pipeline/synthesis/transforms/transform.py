"""The definition of a transform, and common functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from pipeline.errors import ConfigError

Generators = Sequence[torch.Generator]  # one generator per sample, on the CPU


@dataclass(frozen=True)
class Transform:
    """A transform of images [batch, 3, height, width], which may change their size.

    Attributes:
        apply: maps images and one random generator per sample to images.
        random: whether it draws random numbers.
        shifts: for a pure roll, draws its shifts down and to the right, [batch, 2].
        at: returns the transform of a step, given its number and the total; ``None`` if all are
            equal.
        looks: number of transformed versions of the images per step, over which scores and
            gradients are averaged.
        on_pixels: whether the transforms that follow are applied to pixels from 0 to 1.
    """

    apply: Callable[[Tensor, Generators], Tensor]
    random: bool = True
    shifts: Callable[[Generators], Tensor] | None = None
    at: Callable[[int, int], Transform] | None = None
    looks: int = 1
    on_pixels: bool = False


def integers(generators: Generators, *counts: int) -> Int[Tensor, "batch counts"]:
    """Draw integers for every sample, each from 0 to below its count."""
    drawn = [
        [torch.randint(count, (), generator=source) for count in counts] for source in generators
    ]
    return torch.tensor(drawn)


def pixels() -> Transform:
    """Apply the transforms that follow to pixels from 0 to 1, before the network's normalization.

    So 0, which fills the edges of padded, shifted, scaled or rotated images, is black instead of
    the mean color, and ``pad.fill`` and ``noise.std`` are in pixels.
    """
    return Transform(lambda images, generators: images, random=False, on_pixels=True)  # noqa: ARG005


def check_size(name: str, size: int, key: str = "size") -> None:
    """Check that a side is a positive number of pixels.

    Raises:
        ConfigError: it is not.
    """
    if size < 1:
        raise ConfigError(f"transform.{name}.{key}: {size} is not a positive number of pixels")
