"""The chain: pieces composed into one space, from parameters to network input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.parameterizations.pieces import Kind, Map, Parameterization, Setting, Space
from pipeline.synthesis.parameterizations.pixels import Pixels, pixel

KINDS: tuple[Kind, ...] = get_args(Kind)  # from the parameters to the network


@dataclass(frozen=True)
class Chain:
    """A space followed by maps, which is itself a space, whose images are network input.

    Attributes:
        space: space of the parameters.
        maps: maps from the space to the network, in order.
    """

    space: Space
    maps: Sequence[Map]

    @property
    def invertible(self) -> bool:
        """Whether an image can be turned into parameters."""
        return self.space.invertible

    @property
    def is_identity(self) -> bool:
        """Whether the parameters are the images themselves."""
        return isinstance(self.space, Pixels) and not self.maps

    @property
    def is_pixels(self) -> bool:
        """Whether the parameters are pixels, in any unit and color space."""
        return isinstance(self.space, Pixels) and all(step.exact for step in self.maps)

    @property
    def clamps(self) -> bool:
        """Whether images are clamped."""
        return any(step.clamps for step in self.maps)

    @property
    def is_image(self) -> bool:
        """Whether the parameters are a single image tensor, of any size and color space."""
        return self.space.is_image

    def encode(self, images: Float[Tensor, "batch c height width"]) -> list[Tensor]:
        """Return the parameters of network input.

        Raises:
            ConfigError: the space has no inverse.
        """
        return self.space.encode(_encoded(self.maps, images))

    def decode(self, parameters: Sequence[Tensor]) -> Float[Tensor, "batch c height width"]:
        """Return network input from parameters."""
        images = self.space.decode(parameters)
        for step in self.maps:
            images = step.decode(images)
        return images

    def draw(self, generators: Sequence[torch.Generator], std: float) -> list[Tensor]:
        """Return random parameters of the space, one sample per generator."""
        return self.space.draw(generators, std)


PIXELS = Chain(Pixels((0, 0)), ())  # any size, as nothing is drawn from it


def compose(pieces: Mapping[str, Parameterization], setting: Setting) -> Chain:
    """Return the chain of some pieces, sorted by kind; without a space, pixels are used.

    Args:
        pieces: by the names they have in the configuration.
        setting: size, preprocessing and pictures of the network input.

    Raises:
        ConfigError: two pieces are of one kind, or one cannot be built in this setting.
    """
    by_kind = pieces_by_kind(pieces)
    maps = [cast("Map", by_kind[kind].build(setting)) for kind in KINDS[1:] if kind in by_kind]
    sizes = [step.size for step in maps if step.size is not None]
    # The space is built last: its pictures are mapped back through all maps.
    own = replace(
        setting,
        size=sizes[0] if sizes else setting.size,
        pictures=lambda: _encoded(maps, setting.pictures()),
    )
    space = by_kind.get("space", pixel()).build(own)
    return Chain(cast("Space", space), maps)


def _encoded(maps: Sequence[Map], images: Tensor) -> Tensor:
    for step in reversed(maps):
        images = step.encode(images)
    return images


def pieces_by_kind(pieces: Mapping[str, Parameterization]) -> dict[Kind, Parameterization]:
    """Return pieces by kind.

    Args:
        pieces: by the names they have in the configuration.

    Raises:
        ConfigError: two pieces are of one kind.
    """
    names: dict[Kind, str] = {}
    for name, piece in pieces.items():
        if piece.kind in names:
            raise ConfigError(
                f"parameterization: '{names[piece.kind]}' and '{name}' are both a {piece.kind};"
                " choose one"
            )
        names[piece.kind] = name
    return {kind: pieces[name] for kind, name in names.items()}
