"""Images as bytes: PNG and JPEG, and values in eight bits."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image


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


def _encoded(
    pixels: UInt8[np.ndarray, "height width channels"], kind: str, **options: Any
) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()
