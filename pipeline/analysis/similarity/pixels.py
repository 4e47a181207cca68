"""Similarity pixel by pixel: Pearson's r, and what differs from it in one respect each."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

Batch = Float[np.ndarray, "units *_"]
Values = Float[np.ndarray, " units"]


def pearson(first: Batch, second: Batch) -> Values:
    """Return Pearson's r between the images of each unit, over all pixels and colors.

    Computed in float64. NaN where it is undefined: an image is constant or not finite.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        a, b = (standardized(images) for images in (first, second))
        r = np.einsum("up,up->u", a, b)
    return np.clip(r, -1.0, 1.0)


def absolute_r(first: Batch, second: Batch) -> Values:
    """Return |r|, the larger of Pearson's r with an image and with its negative.

    It does not see which of two opposite contrasts an image has. Its null must be of |r| too, since
    chance alone makes it positive.

    >>> absolute_r(np.array([[1.0, 2.0, 3.0]]), np.array([[3.0, 2.0, 1.0]])).round(6).tolist()
    [1.0]
    """
    return np.abs(pearson(first, second))


def spearman(first: Batch, second: Batch) -> Values:
    """Return Spearman's rank correlation over all pixels and colors; ties share their mean rank.

    It is 1 for any monotonic change of contrast, and a few very large pixels do not decide it. NaN
    where an image is constant or not finite.

    >>> spearman(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 8.0, 900.0]])).round(6).tolist()
    [1.0]
    """
    return pearson(ranks(first), ranks(second))


def ranks(images: Batch) -> Float[np.ndarray, "units pixels"]:
    """Return the rank of every pixel among those of its image; NaN if one is not finite."""
    flat = images.reshape(len(images), -1)
    if not flat.size:
        return flat.astype(np.float64)
    ranked = rankdata(flat, axis=1)
    ranked[~np.isfinite(flat).all(axis=1)] = np.nan
    return ranked


def cosine(first: Batch, second: Batch) -> Values:
    """Return the cosine of the angle between two images as vectors.

    Unlike r, it counts what the images have in common in their mean. NaN where an image is zero or
    not finite.

    >>> cosine(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])).round(4).tolist()
    [0.7071]
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        a, b = (_unit_length(x.reshape(len(x), -1).astype(np.float64)) for x in (first, second))
        return np.clip(np.einsum("up,up->u", a, b), -1.0, 1.0)


def weighted_r(first: Batch, second: Batch, weights: Batch) -> Values:
    """Return Pearson's r in which some pixels count more than others.

    The means, variances and covariance are all weighted, as in a population in which pixels occur
    as often as their weights say.

    Args:
        first: images ``[units, ...]``.
        second: as many images of the same shape.
        weights: of the shape of the images, or without channels, ``[units, height, width]``; 0 or
            more, on any scale.

    Returns:
        r per unit; NaN where weights are all zero or not finite, or an image is constant where they
        are not zero.

    >>> images = np.array([[1.0, 2.0, 3.0, 50.0]]), np.array([[2.0, 4.0, 6.0, -9.0]])
    >>> weighted_r(*images, weights=np.array([[1.0, 1.0, 1.0, 0.0]])).round(6).tolist()
    [1.0]
    """
    if weights.ndim == first.ndim - 1:
        weights = weights[:, None]
    spread = np.broadcast_to(weights, first.shape).reshape(len(first), -1).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        spread = spread / spread.sum(axis=1, keepdims=True)
        a, b = (_weighted(images, spread) for images in (first, second))
        return np.clip(np.einsum("up,up->u", a, b), -1.0, 1.0)


def _weighted(images: Batch, weights: Float[np.ndarray, "units pixels"]) -> Batch:
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat = np.where(weights == 0, 0.0, flat)  # where nothing counts, nothing matters
    centered = (flat - (weights * flat).sum(axis=1, keepdims=True)) * np.sqrt(weights)
    _drop_rounding(centered, flat)
    return _unit_length(centered)


def standardized(images: Batch) -> Float[np.ndarray, "units pixels"]:
    """Return images with mean 0 and length 1, flat, in float64; NaN where they are constant."""
    flat = images.reshape(len(images), -1)
    if not flat.shape[1]:
        return np.full((len(images), 1), np.nan)
    centered = flat - flat.mean(axis=1, keepdims=True, dtype=np.float64)
    _drop_rounding(centered, flat)
    return _unit_length(centered)


def _drop_rounding(centered: Batch, images: Batch) -> None:
    """Set to NaN what the mean's rounding leaves of a constant image, which is not a picture."""
    largest = np.abs(centered).max(axis=1, initial=0.0)
    centered[largest <= 1e-12 * np.abs(images).max(axis=1, initial=0.0)] = np.nan


def _unit_length(images: Float[np.ndarray, "units pixels"]) -> Float[np.ndarray, "units pixels"]:
    largest = np.abs(images).max(axis=1, keepdims=True, initial=0.0)
    largest[largest == 0] = np.nan
    scaled = images / largest  # so that squares of tiny images do not underflow
    return scaled / np.sqrt((scaled**2).sum(axis=1, keepdims=True))
