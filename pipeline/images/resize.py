"""Pictures at another size, as torchvision makes them, to the last bit.

torchvision hands them to PyTorch, and takes longer to load than PyTorch itself: so it is done here.
"""

from __future__ import annotations

import platform

import torch
from jaxtyping import Num
from torch import Tensor
from torch.nn.functional import interpolate

# Others are torchvision's own business.
_ANTIALIASED = ("bilinear", "bicubic")


def resize(
    picture: Num[Tensor, "channels height width"],
    size: tuple[int, int],
    interpolation: str = "bilinear",
) -> Num[Tensor, "channels rows columns"]:
    """Return a picture resized to a height and width, without aliasing; bytes stay bytes.

    Args:
        picture: bytes or numbers; one of that size is returned itself.
        size: height and width.
        interpolation: name of the resampling filter, as torchvision calls it.
    """
    if tuple(picture.shape[1:]) == size:
        return picture
    if interpolation not in _ANTIALIASED:
        # Hardly ever asked for, and slow to load.
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import functional

        return functional.resize(picture, [*size], InterpolationMode(interpolation), antialias=True)
    batch = _batch(picture)
    if not _is_resized_as_it_is(picture, interpolation):
        batch = batch.to(torch.float32)
    resized = interpolate(batch, size, mode=interpolation, align_corners=False, antialias=True)[0]
    return resized if resized.dtype == picture.dtype else _rounded(resized, picture.dtype)


def with_short_side(size: tuple[int, int], length: int) -> tuple[int, int]:
    """Return the height and width of a picture whose short side gets another length."""
    height, width = size
    other = int(length * max(size) / min(size))
    return (other, length) if width <= height else (length, other)


def center_crop(
    picture: Num[Tensor, "channels height width"], size: tuple[int, int]
) -> Num[Tensor, "channels rows columns"]:
    """Return the middle of a picture that is at least as large as a height and width."""
    (height, width), (rows, columns) = picture.shape[1:], size
    # Half a pixel goes to the even number, up or down.
    top, left = round((height - rows) / 2), round((width - columns) / 2)
    return picture[:, top : top + rows, left : left + columns]


def _is_resized_as_it_is(picture: Tensor, interpolation: str) -> bool:
    """Say whether PyTorch resizes a picture in its own numbers; bytes, not on every processor."""
    if picture.dtype in (torch.float32, torch.float64):
        return True
    fast = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    fast = fast or platform.machine() in ("aarch64", "arm64") or interpolation == "bicubic"
    return picture.dtype == torch.uint8 and picture.device.type == "cpu" and fast


def _batch(picture: Tensor) -> Tensor:
    """Return a batch of one picture, whose colors stay side by side in memory if they are."""
    batch = picture.reshape(1, *picture.shape)
    if not batch.is_contiguous(memory_format=torch.channels_last):
        return batch
    # PyTorch asks the stride of the batch, which says nothing where it is one picture.
    return batch.as_strided(batch.shape, (batch.numel(), *batch.stride()[1:]))


def _rounded(resized: Tensor, dtype: torch.dtype) -> Tensor:
    if dtype == torch.uint8:
        resized = resized.clamp(0, 255)  # bicubic goes beyond
    return (resized if dtype.is_floating_point else resized.round()).to(dtype)
