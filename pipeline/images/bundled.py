"""The photographs bundled with scikit-image, which need no download.

Source: the scikit-image data folder (public domain or CC0 pictures), installed with its wheel.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import skimage
from jaxtyping import UInt8
from PIL import Image

# Photographs of scenes and textures only: no drawings, text, medical or astronomical pictures.
# The second view of the motorcycle would repeat the first.
FILES = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "grass.png",
    "gravel.png",
    "motorcycle_left.png",
    "rocket.jpg",
)


@cache
def bundled_photographs() -> dict[str, UInt8[np.ndarray, "height width 3"]]:
    """Return the photographs by name (file name without its ending), each uint8 RGB, 0 to 255."""
    folder = Path(skimage.__file__).parent / "data"
    photographs = {}
    for file in FILES:
        with Image.open(folder / file) as picture:
            photographs[Path(file).stem] = np.asarray(picture.convert("RGB"))
    return photographs
