"""Similarity of images that may lie a few pixels apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float

from pipeline.errors import ConfigError

Images = Float[np.ndarray, "units channels height width"]
Sums = Float[np.ndarray, "units shifts shifts"]
SHIFT = 4  # pixels
OVERLAP = 4  # shifts are at most this part of the shorter side, so that more than half is compared


def shifted_r(first: Images, second: Images, shift: int = SHIFT) -> Float[np.ndarray, " units"]:
    """Return the largest Pearson's r over shifts of one image against the other.

    Each r is over the pixels where both images overlap, with means and variances of the overlap: a
    normalized cross-correlation by Fourier transforms. Since it is a maximum, chance alone makes it
    positive; its null must be the same maximum.

    Source: Padfield (2012), IEEE Trans Image Process 21:2706, equations 17 to 23, for images
    without masks.

    Args:
        first: images.
        second: as many images of the same size.
        shift: largest shift in pixels along each axis; at most a quarter of the shorter side.

    Returns:
        r per unit, -1 to 1; NaN where it is undefined for all shifts, or an image is not finite.

    Raises:
        ConfigError: the shift is negative.

    >>> image = np.random.default_rng(0).normal(size=(1, 3, 16, 16))
    >>> shifted_r(image, np.roll(image, 2, axis=3)).round(6).tolist()
    [1.0]
    """
    return largest_r(shiftable(first, shift), shiftable(second, shift))


@dataclass(frozen=True, eq=False)
class Shiftable:
    """Images ready to be compared at all shifts.

    Attributes:
        spectra: Fourier transforms of the images on a larger plane, without their mean.
        plane: height and width of that plane.
        limit: largest shift.
        counts: values in the overlap, by shift down and right of this image's part.
        sums: sums of values in the part of the image that overlaps.
        squares: sums of squares.
    """

    spectra: Complex[np.ndarray, "units channels height half"]
    plane: tuple[int, int]
    limit: int
    counts: Float[np.ndarray, "shifts shifts"]
    sums: Sums
    squares: Sums


def shiftable(images: Images, shift: int = SHIFT) -> Shiftable:
    """Return images ready to be compared at all shifts up to some pixels.

    Raises:
        ConfigError: the shift is negative.
    """
    if shift < 0:
        raise ConfigError(f"shift: {shift} pixels are negative; use 0 or more")
    height, width = images.shape[2:]
    limit = min(shift, min(height, width) // OVERLAP)
    scale = np.abs(images).max(axis=(1, 2, 3), keepdims=True, initial=0.0)
    scale[scale == 0] = np.nan
    centered = images / scale  # so that sums of squares neither overflow nor underflow
    centered = centered - centered.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float64)
    plane = (height + limit, width + limit)
    steps = np.arange(-limit, limit + 1)
    rows, columns = (side - np.abs(steps) for side in (height, width))
    return Shiftable(
        np.fft.rfft2(centered, plane),
        plane,
        limit,
        images.shape[1] * np.outer(rows, columns).astype(np.float64),
        _overlapping(centered.sum(axis=1), steps),
        _overlapping((centered**2).sum(axis=1), steps),
    )


def _overlapping(values: Float[np.ndarray, "units height width"], steps: np.ndarray) -> Sums:
    """Return sums over the part that overlaps with another image moved by each shift.

    A shift of dy means that row y of this image lies on row y - dy of the other.
    """
    height, width = values.shape[1:]
    table = np.zeros((len(values), height + 1, width + 1))
    table[:, 1:, 1:] = values.cumsum(axis=1).cumsum(axis=2)
    top, left = np.maximum(steps, 0), np.maximum(steps, 0)
    bottom, right = height + np.minimum(steps, 0), width + np.minimum(steps, 0)

    def corner(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return table[:, y[:, None], x[None]]

    return corner(bottom, right) - corner(top, right) - corner(bottom, left) + corner(top, left)


def largest_r(first: Shiftable, second: Shiftable) -> Float[np.ndarray, " units"]:
    """Return the largest r over shifts of images that are ready for it."""
    limit = first.limit
    with np.errstate(invalid="ignore", divide="ignore"):
        spectrum = (first.spectra * second.spectra.conj()).sum(axis=1)
        products = np.fft.irfft2(spectrum, first.plane)
        at = np.arange(-limit, limit + 1)
        cross = products[:, at[:, None], at[None]]
        # The other image overlaps with the opposite part.
        sums, squares = second.sums[:, ::-1, ::-1], second.squares[:, ::-1, ::-1]
        a = first.squares - first.sums**2 / first.counts
        b = squares - sums**2 / first.counts
        r = (cross - first.sums * sums / first.counts) / np.sqrt(a * b)
        # Where an image is constant in the overlap, rounding is all that is left.
        flat = (a <= 1e-9 * first.squares.max(axis=(1, 2), keepdims=True)) | (
            b <= 1e-9 * squares.max(axis=(1, 2), keepdims=True)
        )
        r = np.where(flat | ~np.isfinite(r), -np.inf, r).max(axis=(1, 2))
    return np.where(np.isfinite(r), np.clip(r, -1.0, 1.0), np.nan)
