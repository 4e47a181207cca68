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


def root_mean_squares(
    images: Float[np.ndarray, "images c height width"],
) -> Float[np.ndarray, " images"]:
    """Return the root mean square of every image over pixels and colors, in network-input space.

    It is the RMS contrast about the mean color of the preprocessing, which is 0 there.

    >>> root_mean_squares(np.full((1, 3, 2, 2), -0.5)).tolist()
    [0.5]
    """
    return np.sqrt(np.square(images, dtype=np.float64).mean((1, 2, 3)))


def at_rms(
    images: Float[np.ndarray, "images c height width"], rms: Float[np.ndarray, " images"]
) -> Float[np.ndarray, "images c height width"]:
    """Return images scaled about the mean color to a root mean square; those of 0 become NaN.

    >>> at_rms(np.array([[[[3.0, -1.0]]]]), np.array([1.0])).round(3).tolist()
    [[[[1.342, -0.447]]]]
    """
    now = root_mean_squares(images)
    factors = rms / np.where(now > 0, now, np.nan)
    return (images * factors[:, None, None, None]).astype(images.dtype)
