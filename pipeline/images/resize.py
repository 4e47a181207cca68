"""Resizing of pictures, with the same results as torchvision to the last bit.

torchvision itself only calls PyTorch, but takes longer to load than PyTorch.
"""

from __future__ import annotations

import platform

import torch
from jaxtyping import Num
from torch import Tensor
from torch.nn.functional import interpolate

FILTERS = ("bilinear", "bicubic", "nearest", "nearest-exact")  # torchvision's names
# Other filters are left to torchvision.
_ANTIALIASED = ("bilinear", "bicubic")


def resize(
    picture: Num[Tensor, "channels height width"],
    size: tuple[int, int],
    interpolation: str = "bilinear",
) -> Num[Tensor, "channels rows columns"]:
    """Return a picture resized to a height and width, antialiased; bytes stay bytes.

    Args:
        picture: bytes or floats; a picture of that size is returned unchanged.
        size: height and width.
        interpolation: torchvision's name of the resampling filter.
    """
    if tuple(picture.shape[1:]) == size:
        return picture
    if interpolation not in _ANTIALIASED:
        # Rarely used, and slow to load.
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import functional

        return functional.resize(picture, [*size], InterpolationMode(interpolation), antialias=True)
    batch = _batch(picture)
    if not _is_resized_as_it_is(picture, interpolation):
        batch = batch.to(torch.float32)
    resized = interpolate(batch, size, mode=interpolation, align_corners=False, antialias=True)[0]
    return resized if resized.dtype == picture.dtype else _rounded(resized, picture.dtype)


def with_short_side(size: tuple[int, int], length: int) -> tuple[int, int]:
    """Return the new height and width of a picture whose short side gets another length."""
    height, width = size
    other = int(length * max(size) / min(size))
    return (other, length) if width <= height else (length, other)


def center_crop(
    picture: Num[Tensor, "channels height width"], size: tuple[int, int]
) -> Num[Tensor, "channels rows columns"]:
    """Return the center of a picture that is at least as large as a height and width."""
    (height, width), (rows, columns) = picture.shape[1:], size
    # Halves are rounded to even.
    top, left = round((height - rows) / 2), round((width - columns) / 2)
    return picture[:, top : top + rows, left : left + columns]


def _is_resized_as_it_is(picture: Tensor, interpolation: str) -> bool:
    """Return whether PyTorch can resize the picture's data type; bytes, not on every processor."""
    if picture.dtype in (torch.float32, torch.float64):
        return True
    fast = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    fast = fast or platform.machine() in ("aarch64", "arm64") or interpolation == "bicubic"
    return picture.dtype == torch.uint8 and picture.device.type == "cpu" and fast


def _batch(picture: Tensor) -> Tensor:
    """Return a batch of one picture, keeping a channels-last memory layout."""
    batch = picture.reshape(1, *picture.shape)
    if not batch.is_contiguous(memory_format=torch.channels_last):
        return batch
    # PyTorch checks the stride of the batch axis, which is meaningless for one picture.
    return batch.as_strided(batch.shape, (batch.numel(), *batch.stride()[1:]))


def _rounded(resized: Tensor, dtype: torch.dtype) -> Tensor:
    if dtype == torch.uint8:
        resized = resized.clamp(0, 255)  # bicubic can overshoot
    return (resized if dtype.is_floating_point else resized.round()).to(dtype)
