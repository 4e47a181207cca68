"""Structural similarity, SSIM."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from pipeline.errors import ConfigError

Images = Float[np.ndarray, "units channels height width"]
Spans = Float[np.ndarray, "units 1 1 1"]
WINDOW = 7  # pixels, as scikit-image
K1, K2 = 0.01, 0.03  # of the paper
TOGETHER = 1 << 18  # values that are filtered together, about


def ssim(
    first: Images, second: Images, window: int = WINDOW, data_range: float | None = None
) -> Float[np.ndarray, " units"]:
    """Return the mean structural similarity of the images of each unit.

    The numbers are those of scikit-image by default, of many images at once: a uniform window,
    sample covariances, K1 = 0.01 and K2 = 0.03, mean over channels. It is not invariant to
    contrast: scale the images first if their amplitudes are arbitrary, as those of ascents are
    (``displayed``).

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
    if window < 3 or window % 2 == 0:
        raise ConfigError(f"window: {window} is not an odd number of pixels from 3; use {WINDOW}")
    side = min(window, *first.shape[2:])
    side -= 1 - side % 2
    found = np.full(len(first), np.nan)
    rows = np.flatnonzero(_vary(first) & _vary(second)) if side >= 3 else np.empty(0, np.int64)
    size = max(1, TOGETHER // max(1, first[0].size)) if len(first) else 1
    for at in (rows[start : start + size] for start in range(0, len(rows), size)):
        a, b = first[at].astype(np.float64), second[at].astype(np.float64)
        spans = np.full((len(at), 1, 1, 1), data_range) if data_range else _spans(a, b)
        found[at] = _mean_ssim(a, b, side, spans)
    return found


def _mean_ssim(a: Images, b: Images, side: int, spans: Spans) -> Float[np.ndarray, " units"]:
    """Return the mean over all windows that lie inside the images."""
    from scipy.ndimage import uniform_filter

    edge = side // 2
    inside = (..., slice(edge, a.shape[2] - edge), slice(edge, a.shape[3] - edge))

    def smoothed(values: Images) -> Float[np.ndarray, "units channels rows columns"]:
        return uniform_filter(values, (1, 1, side, side))[inside]

    mean_a, mean_b = smoothed(a), smoothed(b)
    sample = side**2 / (side**2 - 1)
    variances = sample * (smoothed(a * a) + smoothed(b * b) - mean_a**2 - mean_b**2)
    covariance = sample * (smoothed(a * b) - mean_a * mean_b)
    c1, c2 = (K1 * spans) ** 2, (K2 * spans) ** 2
    means = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return (means * (2 * covariance + c2) / (variances + c2)).mean(axis=(1, 2, 3))


def _spans(a: Images, b: Images) -> Spans:
    """Return the largest minus the smallest value of each pair of images."""
    both = np.concatenate([a, b], axis=1)
    return np.ptp(both, axis=(1, 2, 3), keepdims=True)


def displayed(images: Images) -> Images:
    """Return images divided by their largest absolute value, as figures show them: -1 to 1."""
    largest = np.abs(images).max(axis=(1, 2, 3), keepdims=True, initial=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return images / largest


def _vary(images: Images) -> Bool[np.ndarray, " units"]:
    flat = images.reshape(len(images), -1)
    if not flat.size:
        return np.zeros(len(images), bool)
    with np.errstate(invalid="ignore"):
        return np.isfinite(flat).all(axis=1) & (np.ptp(flat, axis=1) > 0)
