"""Items of datasets: the picture in an item, what stands beside it, and its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Num
from PIL import Image
from torch import Tensor

from pipeline.errors import ConfigError, ImageError, nearest
from pipeline.images.files import picture_pixels
from pipeline.images.preprocessing import Preprocessing

Facts = dict[str, Any]  # numbers and texts beside a picture, by name
_NEAR = 1e-3  # how far a byte divided by 255, times 255, may be from a whole number


def taken(item: Any, which: int | str | None) -> tuple[Any, Facts]:
    """Return the picture in an item, and the numbers and texts beside it.

    Args:
        item: a picture, or a tuple or dict with one.
        which: index or key of the picture; ``None`` for the item itself, the first of a tuple, or
            ``image`` of a dict.

    Raises:
        ConfigError: there is nothing at that place.

    >>> taken((None, 3, "a"), None), taken({"image": 1, "kind": "a", "boxes": [2]}, None)
    ((None, {'label': 3}), (1, {'kind': 'a'}))
    """
    if isinstance(item, Mapping):
        named = cast("Mapping[Any, Any]", item)
        key = "image" if which is None else which
        if key not in named:
            there = [*map(str, named)]
            raise ConfigError(
                f"images.item: '{key}' is not in the items, which hold {', '.join(there)}"
                f"{nearest(str(key), there)}; choose where the picture stands"
            )
        others = {str(name): _scalar(value) for name, value in named.items() if name != key}
        return named[key], {name: value for name, value in others.items() if value is not None}
    if isinstance(item, tuple | list):
        parts = cast("Sequence[Any]", item)
        place = 0 if which is None else which
        if not isinstance(place, int) or not -len(parts) <= place < len(parts):
            raise ConfigError(
                f"images.item: {place!r} is no place in the items, which are tuples of"
                f" {len(parts)}; use 0 to {len(parts) - 1}"
            )
        rest = [_scalar(value) for value in [*parts[:place], *parts[place:][1:]]]
        labels = [value for value in rest if value is not None]
        return parts[place], {"label": labels[0]} if labels else {}
    if which is not None:
        raise ConfigError(
            f"images.item: {which!r} is no place in the items, which are of type"
            f" {type(item).__name__}; use null"
        )
    return item, {}


def _scalar(value: Any) -> Any:
    """Return a number or text as Python has it; ``None`` for anything else."""
    if isinstance(value, Tensor | np.ndarray | np.generic) and value.ndim == 0:
        value = value.item()
    return value if isinstance(value, str | int | float) else None


def plain_picture(
    picture: Any, preprocessing: Preprocessing
) -> Num[Tensor, "channels height width"]:
    """Return a picture as bytes or floats, with its channels first.

    Args:
        picture: a PIL picture, or an array or tensor of bytes or floats, in gray or with its
            channels first or last.
        preprocessing: of the network, whose channels, 1 or 3 are expected.

    Raises:
        ImageError: it is none of these; the message is without its name.
    """
    if isinstance(picture, Image.Image):
        if picture.mode == "F":
            raise ImageError("has floating-point pixels, whose black and white are unknown")
        return torch.from_numpy(picture_pixels(picture)).permute(2, 0, 1)
    if isinstance(picture, np.ndarray):
        picture = _tensor(picture)
    if not isinstance(picture, Tensor):
        raise ImageError(f"is of type {type(picture).__name__}, and no picture, array or tensor")
    tensor = picture.detach().cpu()
    if tensor.dtype != torch.uint8 and not tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        raise ImageError(f"is {kind}, and neither bytes (uint8) nor floats")
    if tensor.ndim == 2:
        tensor = tensor[None]
    return _channels_first(tensor, len(preprocessing.mean))


def _tensor(array: np.ndarray) -> Tensor:
    native = np.require(array, array.dtype.newbyteorder("="), ["C", "W"])
    try:
        return torch.from_numpy(native.copy() if min(native.strides, default=0) < 0 else native)
    except TypeError as error:
        raise ImageError(f"is {array.dtype}, and neither bytes (uint8) nor floats") from error


def _channels_first(tensor: Tensor, channels: int) -> Num[Tensor, "channels height width"]:
    shape = " x ".join(map(str, tensor.shape))
    allowed = {1, 3, channels}
    if tensor.ndim != 3 or not {tensor.shape[0], tensor.shape[2]} & allowed:
        numbers = " or ".join(map(str, sorted(allowed)))
        raise ImageError(f"is {shape}, which has no axis of {numbers} channels, first or last")
    if {tensor.shape[0], tensor.shape[2]} <= allowed:
        raise ImageError(f"is {shape}, where channels may be first or last; give larger pictures")
    return tensor if tensor.shape[0] in allowed else tensor.permute(2, 0, 1)


def network_input(
    picture: Num[Tensor, "given height width"], preprocessing: Preprocessing, values: str | None
) -> Float[Tensor, "c rows columns"]:
    """Return network input from bytes or floats.

    Args:
        picture: the picture.
        preprocessing: of pixels.
        values: what floats are, ``input`` or ``pixels``.

    Raises:
        ImageError: it does not fit the network; the message is without its name.
        ConfigError: it is of floats, and ``values`` does not say which.
    """
    channels = len(preprocessing.mean)
    if picture.dtype == torch.uint8:
        return preprocessing(_spread(picture, channels))
    if values is None:
        raise ConfigError(
            "images.values: the items are floats; say whether they are network input, which is"
            " taken as it is (images.values=input), or bytes divided by 255, as ToTensor makes them"
            " (images.values=pixels)"
        )
    if values == "pixels":
        return preprocessing(_spread(_bytes(picture), channels))
    if len(picture) != channels:
        raise ImageError(f"has {len(picture)} channels, and the network takes {channels}")
    return picture.to(torch.float32)


def _spread(picture: Tensor, channels: int) -> Tensor:
    """Return gray in all channels of a network of colors."""
    return picture.expand(3, -1, -1) if len(picture) == 1 and channels == 3 else picture


def _bytes(picture: Tensor) -> Tensor:
    scaled = picture.to(torch.float64) * 255
    rounded = scaled.round()
    if not (rounded >= 0).all() or not (rounded <= 255).all():
        low, high = float(picture.min()), float(picture.max())
        raise ImageError(f"has values from {low:.3g} to {high:.3g}, and pixels are in 0..1")
    if not ((scaled - rounded).abs() <= _NEAR).all():
        raise ImageError(
            "has pixels that are no bytes divided by 255; give bytes, or normalize them and use"
            " images.values=input"
        )
    return rounded.to(torch.uint8)
