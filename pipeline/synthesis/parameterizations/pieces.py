"""The pieces of a parameterization: spaces of parameters, and maps from images to images."""

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
    """The setting in which a piece is built.

    Maps are built in the setting of the network's images. A space is built in its own setting: at
    the size before any resolution, with pictures mapped back through all maps.

    Attributes:
        size: height and width of the images in pixels.
        preprocessing: preprocessing of the network.
        pictures: returns some of the image set as network input cropped to ``size``; called only by
            pieces that need it.
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
    """A space of parameters (tensors with the batch axis first) and the images that they encode."""

    @property
    def invertible(self) -> bool:
        """Whether an image can be turned into parameters."""
        ...

    @property
    def is_image(self) -> bool:
        """Whether the parameters are a single image tensor, whose gradient can be blurred."""
        ...

    def encode(self, images: Float[Tensor, "batch c height width"]) -> list[Tensor]:
        """Return the parameters of images; they may share the images' memory."""
        ...

    def decode(self, parameters: Sequence[Tensor]) -> Float[Tensor, "batch c height width"]:
        """Return the images of parameters, differentiably, in their type and on their device."""
        ...

    def draw(self, generators: Sequence[torch.Generator], std: float) -> list[Tensor]:
        """Return random parameters, float32 on the CPU: one sample per generator.

        Args:
            generators: one for each sample, on the CPU.
            std: standard deviation of parameters that are normally distributed.
        """
        ...


@dataclass(frozen=True)
class Map:
    """A differentiable map from images to images, and its inverse.

    Attributes:
        decode: maps from the parameters' side to the network's side.
        encode: maps back.
        size: height and width on the parameters' side; ``None`` if unchanged.
        exact: whether ``encode`` restores all values that are not clamped.
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
        build: builds a space or a map, depending on the kind.
        images: number of pictures that it needs from the image set.
        invertible: whether an image can be turned into parameters.
        is_image: of a space, whether its parameters are an image, whose gradient can be blurred.
        colored: whether it needs images in red, green and blue.
    """

    kind: Kind
    build: Callable[[Setting], Space | Map]
    images: int = 0
    invertible: bool = True
    is_image: bool = False
    colored: bool = False
