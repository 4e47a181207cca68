"""Image files: read once, digested and decoded.

A digest is 63 bits of a SHA-256, which fit into arrays of integers. Files must be regular files of
at most ``LARGEST_FILE`` bytes; pictures must be in one of the ``FORMATS``, of at most 89 million
pixels (Pillow's own limit) and an aspect ratio of at most ``NARROWEST``.

Files that cannot be read or decoded are left out, with a reason that depends only on the file, as
it is stored with results. A transient fault of a disk, a network or memory ends the run instead.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from pipeline.errors import ImageError, TransientError, first_line
from pipeline.store.files import describe_bytes, file_stamp

Read = TypeVar("Read")
UNREADABLE = -1  # instead of a digest
_NOWHERE = (
    -1,
    -1,
)  # instead of a stamp: for a broken link, or an inaccessible file
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF", "GIF")
LARGEST_FILE = 1 << 30  # bytes
MOST_PIXELS = 89_478_485  # of a picture; for more, Pillow warns of a decompression bomb
NARROWEST = 64  # largest aspect ratio; resizing a longer picture takes gigabytes

# Errors caused by a file itself, not by the access to it.
_LASTING = (
    errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR,
    errno.EPERM,
)  # fmt: skip
_WAITS = (0.05, 0.3, 1.0)  # seconds to wait before retries after a transient fault


class Loaded(NamedTuple):
    """An image in network-input space, and the digest of the file that it was read from."""

    image: Float[Tensor, "c height width"]
    digest: int


@dataclass(frozen=True)
class ImageFiles:
    """Images that are files.

    Attributes:
        paths: one per image.
        decode: maps the bytes of a file to the image in network-input space; raises ``ImageError``
            with the reason.
    """

    paths: Sequence[Path]
    decode: Callable[[bytes], Float[Tensor, "c height width"]]

    def load(self, index: int) -> Loaded:
        """Return one image, and the digest of the bytes that it was decoded from.

        Raises:
            ImageError: it cannot be decoded, or could not be read when it was listed; the message
                does not contain its name.
            TransientError: it cannot be read now, but could be when it was listed.
        """
        try:
            content = read_content(self.paths[index])
        except ImageError as error:
            if isinstance(error.__cause__, OSError) and self.listed[index] != _NOWHERE:
                raise TransientError(not_now(error.__cause__)) from error
            raise
        return Loaded(self.decode(content), content_digest(content))

    def digest(self, index: int) -> int:
        """Return the digest of one file; ``UNREADABLE`` if it cannot be read."""
        try:
            return content_digest(read_content(self.paths[index]))
        except ImageError:
            return UNREADABLE

    @cached_property
    def listed(self) -> list[tuple[int, ...]]:
        """The stamp of every file at the first access: listed files must still exist."""
        return [_stamp(path) for path in self.paths]

    def stamps(self, names: Sequence[str]) -> tuple[str, str]:
        """Return digests of names and sizes, and of names and stamps."""
        sizes = [f"{size}\n".encode() for _, size, *_ in self.listed]
        whole = [f"{' '.join(map(str, stamp))}\n".encode() for stamp in self.listed]
        return digest_list(names, sizes), digest_list(names, whole)


def read_picture(path: Path) -> Tensor:
    """Return a picture as uint8 RGB [3, height, width], upright as in image viewers.

    Raises:
        ImageError: it cannot be read or decoded.
    """
    return decode_picture(read_content(path), upright=True)


def decode_picture(content: bytes, *, upright: bool = False) -> Tensor:
    """Return a picture as uint8 RGB [3, height, width], from the bytes of its file.

    It is what torchvision's ``default_loader`` returns, ``Image.open(...).convert("RGB")``: opacity
    is dropped, CMYK and palettes are converted, gray is repeated, and of several frames or pages
    the first is taken. Only gray of 16 bits is read otherwise: its upper 8 bits are taken, as
    Pillow does for colors, where ``convert`` would make white of all but the darkest values.

    Args:
        content: content of the file.
        upright: rotate it according to its EXIF data, which torchvision's image folders do not do.

    Raises:
        ImageError: it cannot be decoded, is larger or narrower than allowed, or has pixels whose
            range is unknown, such as floating-point numbers.
        TransientError: there is not enough memory.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as stored:
            _check_size(*stored.size)
            _check_depth(stored)
            pixels = picture_pixels(ImageOps.exif_transpose(stored) if upright else stored)
    except (ImageError, TransientError):
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            "cannot be decoded (it is no JPEG, PNG, WebP, BMP, PPM, TIFF or GIF picture)"
        ) from error
    except MemoryError as error:
        raise TransientError(NO_MEMORY) from error
    except Image.DecompressionBombError as error:  # Pillow raises from twice the limit on
        raise ImageError(
            f"has more pixels than the {MOST_PIXELS // 10**6} million allowed"
        ) from error
    except Exception as error:  # a damaged file may raise anything
        if "out of memory" in str(error) or getattr(error, "errno", None) is not None:
            raise TransientError(NO_MEMORY) from error
        raise ImageError(f"cannot be decoded ({lasting_reason(error)})") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


def picture_pixels(picture: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    """Return the RGB pixels of a decoded picture, 0 to 255.

    Raises:
        ImageError: its black and white are unknown.
    """
    _check_depth(picture)
    if picture.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip to 8
        gray = (np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.stack([gray] * 3, axis=-1)
    return np.array(picture.convert("RGB"))


def decode_array(content: bytes, size: tuple[int, int, int]) -> Float[Tensor, "c height width"]:
    """Return an array, which is network input, as float32, from the bytes of its file.

    Args:
        content: content of a NumPy file.
        size: channels, height and width that it must have.

    Raises:
        ImageError: it cannot be decoded, or is not finite float of that size.
        TransientError: there is not enough memory.
    """
    try:
        array = np.load(io.BytesIO(content))
        shape, kind = array.shape, array.dtype.kind
    except MemoryError as error:
        raise TransientError(NO_MEMORY) from error
    except Exception as error:  # a damaged file may raise anything
        reason = lasting_reason(error) if str(error) else "the file is empty"
        raise ImageError(f"cannot be read as an array ({reason})") from error
    if shape != size or kind != "f":
        raise ImageError(
            f"is {array.dtype} {' x '.join(map(str, shape))}, not float"
            f" {' x '.join(map(str, size))} as the others"
        )
    with np.errstate(over="ignore"):
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        raise ImageError("holds values that are not finite")
    return torch.from_numpy(array)


def digest_list(names: Sequence[str], contents: Sequence[bytes]) -> str:
    """Return the SHA-256 of a list of images: their names, and a text about each."""
    digest = hashlib.sha256("\n".join(names).encode())
    for content in contents:
        digest.update(content)
    return digest.hexdigest()


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = file_stamp(path)
    except OSError as error:
        if error.errno not in _LASTING:
            raise TransientError(f"images: '{path}' {not_now(error)}") from error
        return _NOWHERE
    return found if os.access(path, os.R_OK) else _NOWHERE


def read_content(path: Path) -> bytes:
    """Return the bytes of a regular file, with retries after transient faults.

    Raises:
        ImageError: there is no such file, access is denied, or it is not a file to be read.
        TransientError: it cannot be read now.
    """
    return retried(lambda: _regular_content(path))


def retried(read: Callable[[], Read]) -> Read:
    """Return what a function reads, with retries after transient faults.

    Raises:
        ImageError: there is no such file, access is denied, or it is not a file to be read.
        TransientError: it cannot be read now.
    """
    for wait in (*_WAITS, None):
        try:
            return read()
        except OSError as error:
            if error.errno in _LASTING:
                raise ImageError(f"cannot be read ({error.strerror})") from error
            if wait is None:
                raise TransientError(not_now(error)) from error
            time.sleep(wait)
        except MemoryError as error:
            raise TransientError(NO_MEMORY) from error
    raise AssertionError  # no wait after the last try


def not_now(error: OSError) -> str:
    """Return a sentence about a transient fault, without the name of the image."""
    return (
        f"cannot be read now ({error.strerror or error}); repeat the command when it can; "
        "finished work is kept"
    )


def _regular_content(path: Path) -> bytes:
    # A pipe would block, and a device has no end.
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
        raise ImageError("is no regular file")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_FILE:
            raise ImageError(f"is larger than the {describe_bytes(LARGEST_FILE)} that are read")
        content = file.read(LARGEST_FILE)
    if len(content) != size:
        raise OSError(errno.EIO, f"{len(content)} of {size} bytes came")
    return content


def _check_size(width: int, height: int) -> None:
    if max(width, height) > NARROWEST * min(width, height):
        raise ImageError(
            f"is {width} x {height} pixels: its long side is more than {NARROWEST} times the short"
        )
    if width * height > MOST_PIXELS:
        raise ImageError(
            f"is {width} x {height} pixels, more than the {MOST_PIXELS // 10**6} million allowed"
        )


def _check_depth(stored: Image.Image) -> None:
    """Refuse pixels whose black and white are unknown; Pillow would clip them to 0..255."""
    tiff = stored.format == "TIFF"
    bits = getattr(stored, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,)) if tiff else (8,)
    if stored.mode == "F" or (tiff and (stored.mode == "I" or max(bits) not in (1, 2, 4, 8, 16))):
        kind = "floating-point" if stored.mode == "F" else f"{max(bits)}-bit"
        raise ImageError(
            f"has {kind} pixels, whose black and white are unknown; convert it to 8 or 16 bits"
        )


_BITS_PER_SAMPLE = 258  # tag of TIFF
NO_MEMORY = (
    "cannot be read, as there is no memory left; lower runner.threads or search.batch_size, and"
    " give the same command again"
)


def lasting_reason(error: Exception) -> str:
    """Return an exception's message without memory addresses, which change every time."""
    return re.sub(r" ?<[^<>]* at 0x[0-9a-fA-F]+>", "", first_line(error))


def content_digest(content: bytes) -> int:
    """Return 63 bits of the SHA-256, which fit into arrays of integers."""
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") >> 1
