"""What a transform is, and what all share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from pipeline.errors import ConfigError

Generators = Sequence[torch.Generator]  # one per sample, on the CPU


@dataclass(frozen=True)
class Transform:
    """A change of images [batch, 3, height, width], which may change their size.

    Attributes:
        apply: from images and one source of random numbers per sample to images.
        random: whether it draws random numbers.
        shifts: where it is nothing but a roll, draws its shifts down and to the right, [batch, 2].
        at: the transform of one step, from its number and that of all; ``None`` where all are one.
        looks: how often the network looks at the images in a step, each time with other random
            numbers. Scores and gradients are the means over the looks.
        on_pixels: whether all that follow are applied to pixels from 0 to 1.
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
    """Apply what follows to pixels from 0 to 1: before the network's normalization, not after.

    So 0, which comes in where images are padded, moved, scaled or rotated, is black instead of the
    mean color, and ``pad.fill`` and ``noise.std`` are in pixels.
    """
    return Transform(lambda images, generators: images, random=False, on_pixels=True)  # noqa: ARG005


def check_size(name: str, size: int, key: str = "size") -> None:
    """Check that a side is a positive number of pixels.

    Raises:
        ConfigError: it is not.
    """
    if size < 1:
        raise ConfigError(f"transform.{name}.{key}: {size} is not a positive number of pixels")
