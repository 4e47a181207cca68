"""Inits: the starting images of ascents, in network-input space.

Each init is a function of its settings that returns an ``Init``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError, ImageError, StoreError
from pipeline.images.patches import centered
from pipeline.images.pictures import chosen_picture, cover
from pipeline.images.preprocessing import Preprocessing
from pipeline.store.earlier import Earlier, read_earlier


@runtime_checkable
class Patches(Protocol):
    """The source of starting images that are patches of the image set."""

    def __call__(self, units: Sequence[int], rank: int, sign: int, /) -> Tensor:
        """Return the patches of some units at one rank, [units, channels, height, width]."""
        ...


@dataclass(frozen=True)
class Request:
    """A request for starting images.

    Attributes:
        units: unit of each starting image; copies of a unit are adjacent.
        input_size: height and width in pixels.
        generators: one random generator per image, so that it does not depend on the rest of the
            batch.
        preprocessing: preprocessing of the network.
        patches: cuts patches of the input size from the searched images.
        copies: number of each image among those of its unit, from 0.
        whole: whether the images are whole pictures, not receptive fields.
    """

    units: Sequence[int]
    input_size: tuple[int, int]
    generators: Sequence[torch.Generator]
    preprocessing: Preprocessing
    patches: Patches
    copies: Sequence[int] = field(default=())
    whole: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of all starting images: images, channels, height and width."""
        return (len(self.units), self.channels, *self.input_size)

    @property
    def channels(self) -> int:
        """Number of channels of an image."""
        return len(self.preprocessing.mean)


@dataclass(frozen=True)
class Init:
    """A kind of starting image.

    Attributes:
        start: maps a request to images [units, channels, height, width]; ``None`` if the
            parameterization draws its own parameters.
        needs_top_patches: whether the image set must have been searched before.
        needs_units: whether the image depends on the unit, so that there is none for a layer as a
            whole.
        random: whether copies of a unit differ.
        std: standard deviation of drawn parameters.
        contents: digest of a file that determines the images, if one does.
        size: height and width of the starting picture, if there is one.
    """

    start: Callable[[Request], Tensor] | None
    needs_top_patches: bool = False
    needs_units: bool = False
    random: bool = False
    std: float = 0.0
    contents: str | None = None
    size: tuple[int, int] | None = None


def zeros() -> Init:
    """Start from zeros: the mean color of the training images."""
    return Init(lambda request: torch.zeros(request.shape))


def constant(value: float | Sequence[float] = 0.5) -> Init:
    """Start from one color.

    Args:
        value: of pixels, from 0 to 1: a gray, or one number per channel: red, green and blue.
    """
    values = [float(value)] if isinstance(value, int | float) else list(map(float, value))
    if len(values) not in (1, 3) or not all(0 <= number <= 1 for number in values):
        raise ConfigError(f"init.constant.value: {value} is not one or three numbers from 0 to 1")

    def start(request: Request) -> Float[Tensor, "units c height width"]:
        if len(values) not in (1, request.channels):
            raise ConfigError(
                f"init.constant.value: {value} is a color, and images have {request.channels}"
                " channels; give one number"
            )
        pixels = torch.tensor(values)[:, None, None].expand(request.channels, *request.input_size)
        return request.preprocessing.normalize(pixels).repeat(len(request.units), 1, 1, 1)

    return Init(start)


def noise(std: float = 0.3) -> Init:
    """Start from independent normal noise.

    Args:
        std: standard deviation in network-input space, where photographs have about 1.
    """

    def start(request: Request) -> Float[Tensor, "units c height width"]:
        shape = (request.channels, *request.input_size)
        drawn = [torch.randn(shape, generator=source) for source in request.generators]
        return torch.stack(drawn) * std

    if not 0 <= std < math.inf:
        raise ConfigError(f"init.noise.std: {std} is not a positive number")
    return Init(start, random=True)


def uniform(low: float = 0.5, high: float = 0.6) -> Init:
    """Start from independent uniform noise, ``low + (high - low) * U`` of pixels.

    The defaults are ``torch.rand / 10 + 0.5`` from blbadger, "Feature Visualization II: Deep
    Dream"; an answer on Mathematica StackExchange uses 128/255 and 148/255.

    Args:
        low: smallest pixel value, from 0.
        high: upper bound of pixel values, up to 1.
    """
    if not 0 <= low < high <= 1:
        raise ConfigError(f"init.uniform: {low} and {high} are not rising numbers from 0 to 1")

    def start(request: Request) -> Float[Tensor, "units c height width"]:
        shape = (request.channels, *request.input_size)
        drawn = [torch.rand(shape, generator=source) for source in request.generators]
        return request.preprocessing.normalize(low + (high - low) * torch.stack(drawn))

    return Init(start, random=True)


def parameters(std: float = 0.01) -> Init:
    """Start from random parameters of the parameterization.

    Source: lucent, whose Fourier coefficients start from normal noise with std 0.01.

    Args:
        std: standard deviation, if the parameterization needs one.
    """
    if not 0 <= std < math.inf:
        raise ConfigError(f"init.parameters.std: {std} is not a positive number")
    return Init(None, random=True, std=std)


def top_patch(rank: int = 0, sign: int = 1) -> Init:
    """Start from the patch of the image set with the unit's strongest response.

    Args:
        rank: 0 for the strongest response, 1 for the next ...
        sign: +1 for top patches, -1 for bottom patches.
    """
    _check_sign("top_patch", sign)
    if rank < 0:
        raise ConfigError(f"init.top_patch.rank: {rank} is negative; ranks count from 0")
    return Init(
        lambda request: request.patches(request.units, rank, sign),
        needs_top_patches=True,
        needs_units=True,
    )


def mean_patch(count: int = 10, sign: int = 1) -> Init:
    """Start from the mean of the patches of the image set with the unit's strongest responses.

    Args:
        count: number of patches.
        sign: +1 for top patches, -1 for bottom patches.
    """
    _check_sign("mean_patch", sign)
    if count < 1:
        raise ConfigError(f"init.mean_patch.count: {count} is not positive; use 1 or more")

    def start(request: Request) -> Float[Tensor, "units c height width"]:
        patches = [request.patches(request.units, rank, sign) for rank in range(count)]
        return torch.stack(patches).mean(0)

    return Init(start, needs_top_patches=True, needs_units=True)


def image(path: str | None = None) -> Init:
    """Start from one picture, the same for every unit.

    For whole images, it is resized so that it covers them. For receptive fields, it is preprocessed
    as the network expects and cropped to its center, or padded with zeros if the field is larger.

    Args:
        path: a JPEG, PNG or WebP file; the bundled photograph of a cat by default.
    """
    picture, contents = chosen_picture("init.image.path", path)

    def start(request: Request) -> Float[Tensor, "units c height width"]:
        try:
            own = request.preprocessing.in_channels(picture)
        except ImageError as error:
            raise ConfigError(f"init.image.path: the picture {error}") from error
        if request.whole:
            covering = cover(own, request.input_size)
            patch = request.preprocessing.normalize(covering.to(torch.float32) / 255)
        else:
            patch = centered(request.preprocessing(own), request.input_size)
        return patch.repeat(len(request.units), 1, 1, 1)

    size = (picture.shape[1], picture.shape[2])
    return Init(start, contents=contents, size=size)


def result(path: str) -> Init:
    """Start from the images of an earlier result, each unit from its own image.

    A result with a single image is used for every unit; for a dream, this is its last frame. If
    sizes differ, the image is resized to just cover the new size (bilinear, antialiased) and
    center-cropped. Images made for a network with another input scaling keep their colors.

    Args:
        path: folder of the result in the store: ``<out>/store/ascent/...`` or ``dream/...``.
    """
    try:
        earlier = read_earlier(Path(path).expanduser())
    except StoreError as error:
        raise ConfigError(f"init.result.path: {error}") from error

    def start(request: Request) -> Float[Tensor, "units c height width"]:
        copies = request.copies or [0] * len(request.units)
        found = [
            torch.from_numpy(_earlier(earlier, unit, copy))
            for unit, copy in zip(request.units, copies, strict=True)
        ]
        images = torch.stack([cover(image, request.input_size) for image in found])
        return _rescaled(images, earlier, request.preprocessing)

    size = (earlier.images.shape[2], earlier.images.shape[3])
    return Init(start, contents=earlier.digest, size=size)


def _earlier(earlier: Earlier, unit: int, copy: int) -> Float[np.ndarray, "c height width"]:
    found = earlier.find(unit, copy)
    if found is None:
        wanted = f"unit {unit}" if unit >= 0 else "the layer as a whole"
        raise ConfigError(
            f"init.result.path: '{earlier.folder}' has no image of {wanted}; it has units"
            f" {earlier.described}"
        )
    return found


def _rescaled(
    images: Float[Tensor, "units c height width"],
    earlier: Earlier,
    preprocessing: Preprocessing,
) -> Float[Tensor, "units c height width"]:
    """Return the earlier images in the network-input space of this network."""
    own = (tuple(preprocessing.mean), tuple(preprocessing.std))
    if earlier.mean is None or earlier.std is None or (earlier.mean, earlier.std) == own:
        return images
    mean, std = (images.new_tensor(value)[:, None, None] for value in (earlier.mean, earlier.std))
    return preprocessing.normalize(images * std + mean)


def _check_sign(name: str, sign: int) -> None:
    if sign not in (1, -1):
        raise ConfigError(f"init.{name}.sign: {sign} is neither +1 (top) nor -1 (bottom)")
