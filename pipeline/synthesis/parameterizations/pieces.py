"""The pieces of a parameterization: spaces, which own parameters, and maps of images to images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.images.preprocessing import Preprocessing

Kind = Literal["space", "resolution", "color", "range"]


@dataclass(frozen=True)
class Setting:
    """Where a piece is built.

    Maps are built in the setting of the images that the network sees. A space is built in one of
    its own: the size before any resolution, and pictures taken back through all maps.

    Attributes:
        size: height and width of the images in pixels.
        preprocessing: of the network.
        pictures: returns some of the image set, network input cut to ``size``; asked only by pieces
            that need it.
    """

    size: tuple[int, int]
    preprocessing: Preprocessing
    pictures: Callable[[], Float[Tensor, "pictures c height width"]]

    @property
    def channels(self) -> int:
        """Of an image."""
        return len(self.preprocessing.mean)


@runtime_checkable
class Space(Protocol):
    """Parameters, as tensors with the batch first, and the images they stand for."""

    @property
    def invertible(self) -> bool:
        """Whether an image can be turned into parameters."""
        ...

    @property
    def is_image(self) -> bool:
        """Whether the parameters are one tensor that is an image: its gradient can be blurred."""
        ...

    def encode(self, images: Float[Tensor, "batch c height width"]) -> list[Tensor]:
        """Return the parameters of images; they may share the images' memory."""
        ...

    def decode(self, parameters: Sequence[Tensor]) -> Float[Tensor, "batch c height width"]:
        """Return the images of parameters, in their type, on their device, differentiably."""
        ...

    def draw(self, generators: Sequence[torch.Generator], std: float) -> list[Tensor]:
        """Return random parameters, float32 on the CPU: one sample from each generator.

        Args:
            generators: one for each sample, on the CPU.
            std: standard deviation of parameters that are normally distributed.
        """
        ...


@dataclass(frozen=True)
class Map:
    """A differentiable map of images to images and its inverse.

    Attributes:
        decode: from the side of the parameters to the side of the network.
        encode: back.
        size: height and width on the side of the parameters; ``None`` where it stays the same.
        exact: whether ``encode`` gives values back as they were, but for those that are clamped.
        clamps: whether ``decode`` clamps values.
    """

    decode: Callable[[Tensor], Tensor]
    encode: Callable[[Tensor], Tensor]
    size: tuple[int, int] | None = None
    exact: bool = False
    clamps: bool = False


@dataclass(frozen=True)
class Parameterization:
    """One piece, to be built in a setting.

    Attributes:
        kind: its place in the chain, which has at most one of each kind.
        build: to a space where that is the kind, else to a map.
        images: how many pictures of the image set it asks for.
        invertible: whether an image can be turned into parameters.
        is_image: of a space, whether its parameters are an image, whose gradient can be blurred.
    """

    kind: Kind
    build: Callable[[Setting], Space | Map]
    images: int = 0
    invertible: bool = True
    is_image: bool = False
