"""Similarity of two images of the same unit."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def pearson(
    first: Float[np.ndarray, "units *_"], second: Float[np.ndarray, "units *_"]
) -> Float[np.ndarray, " units"]:
    """Return Pearson's r between the images of each unit, over all pixels and colors.

    Computed in float64. NaN where it is undefined: an image is constant or not finite.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        a, b = (_standardized(images.reshape(len(images), -1)) for images in (first, second))
        r = np.einsum("up,up->u", a, b)
    return np.clip(r, -1.0, 1.0)


def _standardized(images: Float[np.ndarray, "units pixels"]) -> Float[np.ndarray, "units pixels"]:
    centered = images - images.mean(axis=1, keepdims=True, dtype=np.float64)
    largest = np.abs(centered).max(axis=1, keepdims=True, initial=0.0)
    # What the mean's rounding leaves of a constant image is not a picture.
    largest[largest <= 1e-12 * np.abs(images).max(axis=1, keepdims=True, initial=0.0)] = np.nan
    scaled = centered / largest  # so that squares of tiny images do not underflow
    return scaled / np.sqrt((scaled**2).sum(axis=1, keepdims=True))
