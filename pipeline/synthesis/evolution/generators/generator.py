"""The generator: turns codes into pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from pipeline.synthesis.evolution.searchers import Prior
from pipeline.synthesis.parameterizations import Setting


@dataclass(frozen=True)
class BuiltGenerator:
    """A generator for images of one size, on one device.

    Attributes:
        prior: distribution of its codes.
        code_shape: shape of one code, of which genes are the flattened values.
        draw: maps codes to pictures in pixels 0..1, of the size of the setting. No picture depends
            on the others in the batch beyond rounding.
        encode: returns codes of pictures in pixels 0..1, for starting from images; ``None`` if that
            cannot be done.
    """

    prior: Prior
    code_shape: tuple[int, ...]
    draw: Callable[[Float[Tensor, "batch genes"]], Float[Tensor, "batch c height width"]]
    encode: (
        Callable[[Float[Tensor, "batch c height width"]], Float[Tensor, "batch genes"]] | None
    ) = None


@dataclass(frozen=True)
class Generator:
    """A kind of generator, to be built in a setting: size, preprocessing and pictures.

    Attributes:
        build: builds it, on the CPU; ``draw`` follows the device of the codes.
        images: number of pictures that it needs from the image set.
        digest: identifies weights that were read from a file or module; part of the key of results.
    """

    build: Callable[[Setting], BuiltGenerator]
    images: int = 0
    digest: str = ""
