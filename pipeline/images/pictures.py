"""The picture named in a setting, or the bundled one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from jaxtyping import Num, UInt8
from torch import Tensor

from pipeline.errors import ConfigError, ImageError, TransientError
from pipeline.images.bundled import bundled_photographs
from pipeline.images.files import read_picture
from pipeline.images.resize import center_crop, resize


def chosen_picture(key: str, path: str | None) -> tuple[UInt8[Tensor, "c height width"], str]:
    """Return a picture as uint8 RGB, and the digest of its pixels.

    Args:
        key: key of the setting, for messages.
        path: a JPEG, PNG or WebP file; the bundled photograph of a cat if ``None``.

    Raises:
        ConfigError: there is no such file, or it cannot be decoded.
    """
    if path is None:
        picture = torch.tensor(bundled_photographs()["chelsea"]).permute(2, 0, 1)
    elif not Path(path).expanduser().is_file():
        raise ConfigError(f"{key}: there is no file '{path}'; give the path of a picture")
    else:
        try:
            picture = read_picture(Path(path).expanduser())
        except (ImageError, TransientError) as error:
            raise ConfigError(f"{key}: '{path}' {error}") from error
    return picture, hashlib.sha256(picture.contiguous().numpy().tobytes()).hexdigest()


def cover(
    picture: Num[Tensor, "c height width"], size: tuple[int, int]
) -> Num[Tensor, "c rows columns"]:
    """Return a picture resized to just cover a size, and center-cropped to it.

    Resizing is bilinear and antialiased; bytes stay bytes, and a picture of that size is unchanged.
    """
    (height, width), (rows, columns) = picture.shape[1:], size
    share = max(rows / height, columns / width)
    resized = (max(rows, round(height * share)), max(columns, round(width * share)))
    return center_crop(resize(picture, resized), size)
