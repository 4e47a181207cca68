"""How strong images are: length and contrast, by which they can be compared at equal budget."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def norms(images: Float[np.ndarray, "images 3 height width"]) -> Float[np.ndarray, " images"]:
    """Return the L2 norm of every image, over pixels and colors, in network-input space."""
    return np.sqrt(np.square(images, dtype=np.float64).sum((1, 2, 3)))


def contrasts(images: Float[np.ndarray, "images 3 height width"]) -> Float[np.ndarray, " images"]:
    """Return the RMS contrast of every image: the standard deviation over pixels and colors."""
    return images.std((1, 2, 3), dtype=np.float64)
