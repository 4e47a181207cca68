"""Inits: the images from which an ascent starts, in network-input space.

Each init is a function of its settings that returns an ``Init``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError, ImageError
from pipeline.images.bundled import bundled_photographs
from pipeline.images.files import read_picture
from pipeline.images.patches import cut_patch
from pipeline.networks.preprocessing import Preprocessing


@runtime_checkable
class Patches(Protocol):
    """Where starting images come from when they are patches of the image set."""

    def __call__(self, units: Sequence[int], rank: int, sign: int, /) -> Tensor:
        """Return the patches of some units at one rank, [units, 3, height, width]."""
        ...


@dataclass(frozen=True)
class Request:
    """What starting images are asked for.

    Attributes:
        units: one starting image for each.
        input_size: height and width in pixels.
        generators: one source of random numbers per unit, so that an image does not depend on the
            other units of its batch.
        preprocessing: of the network.
        patches: cuts patches of the searched images.
    """

    units: Sequence[int]
    input_size: tuple[int, int]
    generators: Sequence[torch.Generator]
    preprocessing: Preprocessing
    patches: Patches


@dataclass(frozen=True)
class Init:
    """A kind of starting image.

    Attributes:
        start: from a request to images [units, 3, height, width].
        needs_top_patches: whether the image set must have been searched before.
        contents: digest of a file that determines the images, if one does.
    """

    start: Callable[[Request], Tensor]
    needs_top_patches: bool = False
    contents: str | None = None


def zeros() -> Init:
    """Start from zeros: the mean color of the training images."""
    return Init(lambda request: torch.zeros(len(request.units), 3, *request.input_size))


def noise(std: float = 0.3) -> Init:
    """Start from independent normal noise.

    Args:
        std: standard deviation in network-input space, where photographs have about 1.
    """

    def start(request: Request) -> Float[Tensor, "units 3 height width"]:
        shape = (3, *request.input_size)
        drawn = [torch.randn(shape, generator=source) for source in request.generators]
        return torch.stack(drawn) * std

    if not 0 <= std < float("inf"):
        raise ConfigError(f"init.noise.std: {std} is not a positive number")
    return Init(start)


def top_patch(rank: int = 0, sign: int = 1) -> Init:
    """Start from the patch of the image set that drives the unit most.

    Args:
        rank: 0 for the strongest response, 1 for the next ...
        sign: +1 for top patches, -1 for bottom patches.
    """
    if sign not in (1, -1):
        raise ConfigError(f"init.top_patch.sign: {sign} is neither +1 (top) nor -1 (bottom)")
    if rank < 0:
        raise ConfigError(f"init.top_patch.rank: {rank} is negative; ranks count from 0")
    return Init(lambda request: request.patches(request.units, rank, sign), needs_top_patches=True)


def image(path: str | None = None) -> Init:
    """Start from the center of one picture, the same for every unit.

    The picture is preprocessed as the network expects; where the receptive field is larger, it is
    surrounded by zeros.

    Args:
        path: a JPEG, PNG or WebP file; the bundled photograph of a cat by default.
    """
    if path is not None and not Path(path).expanduser().is_file():
        raise ConfigError(f"init.image.path: there is no file '{path}'; give the path of a picture")
    if path is None:
        picture = torch.tensor(bundled_photographs()["chelsea"]).permute(2, 0, 1)
    else:
        try:
            picture = read_picture(Path(path).expanduser())
        except ImageError as error:
            raise ConfigError(f"init.image.path: '{path}' {error}") from error

    def start(request: Request) -> Float[Tensor, "units 3 height width"]:
        network_input = request.preprocessing(picture)
        (rows, columns), (height, width) = network_input.shape[1:], request.input_size
        top, left = (rows - height) // 2, (columns - width) // 2
        patch = cut_patch(network_input, (top, left, top + height, left + width))
        return patch.repeat(len(request.units), 1, 1, 1)

    digest = hashlib.sha256(picture.contiguous().numpy().tobytes()).hexdigest()
    return Init(start, contents=digest)
