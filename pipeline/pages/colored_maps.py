"""Maps as small images in colors that everyone can tell apart."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from jaxtyping import Float
from PIL import Image

from pipeline.pages.encoded_images import to_bytes

LARGEST = 128  # pixels of the longer side of a stored image; larger maps are averaged
COLORS = "cividis"  # from dark blue to yellow, alike with and without red-green blindness


def colored_png(values: Float[np.ndarray, "height width"]) -> bytes:
    """Return a PNG of a map, from its lowest value in dark blue to its highest in yellow.

    Maps of more than 128 pixels are reduced by averaging; a map whose values are all equal is
    dark blue.

    Raises:
        ValueError: a value is not finite.

    >>> Image.open(io.BytesIO(colored_png(np.eye(300)))).size
    (128, 128)
    """
    if not np.isfinite(values).all():
        raise ValueError("a map with values that are not finite cannot be shown; say so in words")
    image = Image.fromarray(_reduced(values.astype(np.float32)))
    image = image.convert("P")
    image.putpalette(_palette())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _reduced(values: Float[np.ndarray, "height width"]) -> np.ndarray:
    height, width = values.shape
    scale = LARGEST / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        values = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX))
    return to_bytes(values, float(values.min()), float(values.max()))


@cache
def _palette() -> list[int]:
    from matplotlib import colormaps

    return colormaps[COLORS](np.arange(256), bytes=True)[:, :3].ravel().tolist()
