"""Pictures as PNG files for screens and other programs, with pixels as large as wanted."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def magnified_png(picture: UInt8[np.ndarray, "channels height width"], magnify: int) -> bytes:
    """Return a picture of 1 or 3 channels as a PNG file, every pixel as a square of pixels."""
    large = picture.repeat(magnify, 1).repeat(magnify, 2).transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(large[..., 0] if large.shape[2] == 1 else large).save(file, "PNG")
    return file.getvalue()
