"""Structural similarity, SSIM."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pipeline.errors import ConfigError

Images = Float[np.ndarray, "units channels height width"]
WINDOW = 7  # pixels, as scikit-image


def ssim(
    first: Images, second: Images, window: int = WINDOW, data_range: float | None = None
) -> Float[np.ndarray, " units"]:
    """Return the mean structural similarity of the images of each unit.

    Computed by scikit-image with its defaults: a uniform window, sample covariances, K1 = 0.01 and
    K2 = 0.03, mean over channels. It is not invariant to contrast: scale the images first if their
    amplitudes are arbitrary, as those of ascents are (``displayed``).

    Source: Wang, Bovik, Sheikh & Simoncelli (2004), IEEE Trans Image Process 13:600.

    Args:
        first: images.
        second: as many images of the same size.
        window: side of the window in pixels, odd; on smaller images, the largest odd side that
            fits.
        data_range: largest minus smallest possible value; that of both images together by default.

    Returns:
        SSIM per unit, -1 to 1; NaN where an image is constant or not finite, or has less than 3
        pixels on a side.

    Raises:
        ConfigError: the window is even, or smaller than 3.

    >>> image = np.arange(243.0).reshape(1, 3, 9, 9)
    >>> ssim(image, image).tolist()
    [1.0]
    """
    from skimage.metrics import structural_similarity

    if window < 3 or window % 2 == 0:
        raise ConfigError(f"window: {window} is not an odd number of pixels from 3; use {WINDOW}")
    side = min(window, *first.shape[2:])
    side -= 1 - side % 2
    found = np.full(len(first), np.nan)
    for row, (a, b) in enumerate(zip(first, second, strict=True)):
        if side < 3 or not (_varies(a) and _varies(b)):
            continue
        a, b = a.astype(np.float64), b.astype(np.float64)
        span = float(max(a.max(), b.max()) - min(a.min(), b.min()))
        found[row] = structural_similarity(
            a, b, win_size=side, data_range=data_range or span, channel_axis=0
        )
    return found


def displayed(images: Images) -> Images:
    """Return images divided by their largest absolute value, as figures show them: -1 to 1."""
    largest = np.abs(images).max(axis=(1, 2, 3), keepdims=True, initial=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return images / largest


def _varies(image: Float[np.ndarray, "channels height width"]) -> bool:
    return bool(np.isfinite(image).all() and np.ptp(image) > 0)
