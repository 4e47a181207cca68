"""Files of images: read once, with the digest of what was read, and decoded.

A digest is 63 bits of a SHA-256, which arrays of integers can hold.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from pipeline.errors import ImageError, first_line
from pipeline.store.files import file_stamp

UNREADABLE = -1  # instead of a digest


class Loaded(NamedTuple):
    """An image in network-input space, and the digest of the file that it was read from."""

    image: Float[Tensor, "3 height width"]
    digest: int


@dataclass(frozen=True)
class ImageFiles:
    """Images that are files.

    Attributes:
        paths: one per image.
        decode: from the bytes of a file to the image in network-input space; raises ``ImageError``
            with the reason.
    """

    paths: Sequence[Path]
    decode: Callable[[bytes], Float[Tensor, "3 height width"]]

    def load(self, index: int) -> Loaded:
        """Return one image, and the digest of the bytes that it was decoded from.

        Raises:
            ImageError: it cannot be read or decoded; the message is without its name.
        """
        content = _content(self.paths[index])
        return Loaded(self.decode(content), _content_digest(content))

    def digest(self, index: int) -> int:
        """Return the digest of one file, ``UNREADABLE`` where there is none."""
        try:
            return _content_digest(_content(self.paths[index]))
        except ImageError:
            return UNREADABLE

    def stamps(self, names: Sequence[str]) -> tuple[str, str]:
        """Return digests of names and sizes, and of names and what tells files apart."""
        stamps = [_stamp(path) for path in self.paths]
        sizes = [f"{size}\n".encode() for _, size, *_ in stamps]
        whole = [f"{' '.join(map(str, stamp))}\n".encode() for stamp in stamps]
        return digest_list(names, sizes), digest_list(names, whole)


def read_picture(path: Path) -> Tensor:
    """Return a picture as uint8 RGB [3, height, width].

    Raises:
        ImageError: it cannot be read or decoded.
    """
    return decode_picture(_content(path))


def decode_picture(content: bytes) -> Tensor:
    """Return a picture as uint8 RGB [3, height, width], from the bytes of its file.

    Raises:
        ImageError: it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(content)) as file:
            if file.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip to 8
                gray = (np.asarray(file).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
                pixels = np.stack([gray] * 3, axis=-1)
            else:
                pixels = np.array(file.convert("RGB"))
    except Exception as error:  # what a damaged file can raise has no end
        reason = first_line(error)
        raise ImageError(f"cannot be decoded ({reason})") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


def decode_array(content: bytes, size: tuple[int, int]) -> Float[Tensor, "3 height width"]:
    """Return an array as float32, which is network input as it is, from the bytes of its file.

    Args:
        content: of a file of NumPy's.
        size: height and width that it must have.

    Raises:
        ImageError: it cannot be decoded, or is not finite float 3 x height x width.
    """
    try:
        array = np.load(io.BytesIO(content))
        shape, kind = array.shape, array.dtype.kind
    except Exception as error:  # what a damaged file can raise has no end
        reason = str(error).strip().splitlines()[0] if str(error) else "the file is empty"
        raise ImageError(f"cannot be read as an array ({reason})") from error
    if shape != (3, *size) or kind != "f":
        raise ImageError(
            f"is {array.dtype} {' x '.join(map(str, array.shape))}, not float 3 x {size[0]} x"
            f" {size[1]} as the others"
        )
    with np.errstate(over="ignore"):
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        raise ImageError("holds values that are not finite")
    return torch.from_numpy(array)


def digest_list(names: Sequence[str], contents: Sequence[bytes]) -> str:
    """Return the SHA-256 of a list of images: their names, and what is known of each."""
    digest = hashlib.sha256("\n".join(names).encode())
    for content in contents:
        digest.update(content)
    return digest.hexdigest()


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        return file_stamp(path)
    except OSError:
        return (-1, -1)  # such as a link to nowhere; the search sets it aside


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror})") from error


def _content_digest(content: bytes) -> int:
    """Return 63 bits of the SHA-256, which arrays of integers can hold."""
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") >> 1
