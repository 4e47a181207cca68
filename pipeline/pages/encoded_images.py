"""Images as bytes: PNG and JPEG, and values in eight bits."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from pipeline.pages.data_scripts import data_url

SMALL, LARGEST = 64, 256  # pixels of the longer side, of images kept as they are and of any
MISSING = 0.88  # light gray


def to_bytes(x: Float[np.ndarray, "*_"], low: float, high: float) -> UInt8[np.ndarray, "*_"]:
    """Return values encoded as bytes; all are 0 if the values are equal."""
    scale = 255 / (high - low) if high > low else 0.0
    return np.rint((x - low) * scale).clip(0, 255).astype(np.uint8)


def png(pixels: UInt8[np.ndarray, "height width channels"]) -> bytes:
    """Return a PNG with light compression, as images of ascents hardly compress."""
    return _encoded(pixels, "PNG", compress_level=2)


def jpeg(pixels: UInt8[np.ndarray, "height width 3"], quality: int = 90) -> bytes:
    """Return a JPEG without chroma subsampling."""
    return _encoded(pixels, "JPEG", quality=quality, subsampling=0)


def display_url(image: Float[np.ndarray, "height width channels"]) -> tuple[str, int, int]:
    """Return the data URL of an image of one or three channels, 0..1, with its width and height.

    Large images are reduced by averaging and compressed as JPEG, small ones kept as they are. NaN
    pixels are light gray.
    """
    whole = np.where(np.isnan(image).any(-1, keepdims=True), MISSING, image)
    pixels = np.rint(255 * np.broadcast_to(whole, (*image.shape[:2], 3)).clip(0, 1))
    height, width = image.shape[:2]
    picture = Image.fromarray(pixels.astype(np.uint8))
    if max(height, width) <= SMALL:
        return data_url(png(np.asarray(picture)), "image/png"), width, height
    scale = min(1.0, LARGEST / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    reduced = np.asarray(picture.resize(size, Image.Resampling.BOX))
    return data_url(jpeg(reduced), "image/jpeg"), *size


def _encoded(
    pixels: UInt8[np.ndarray, "height width channels"], kind: str, **options: Any
) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()
