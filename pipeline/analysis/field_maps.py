"""Where a unit's receptive field lies on a map and how large it is.

Coordinates are pixels from the center of the map, x to the right and y down: pixel (row, column) of
a map of h by w pixels is at (column - (w - 1) / 2, row - (h - 1) / 2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from pipeline.analysis.gaussian_fit import fit_gaussians, undescribable

_AT_ONCE = 2**22  # values that are sorted at once


def centers_of_mass(
    maps: Float[np.ndarray, "units height width"],
) -> Float[np.ndarray, "units 2"]:
    """Return the center of mass (x, y) of the map of each unit, after subtracting its minimum.

    NaN where a map is flat or not finite.

    >>> centers_of_mass(np.array([[[0.0, 0.0, 4.0], [0.0, 0.0, 0.0]]]))
    array([[ 1. , -0.5]])
    """
    mass = _masses(maps)
    height, width = maps.shape[1:]
    # Sums rather than matrix products, whose rounding depends on how many units there are.
    x = (mass.sum(axis=1) * (np.arange(width) - (width - 1) / 2)).sum(axis=1)
    y = (mass.sum(axis=2) * (np.arange(height) - (height - 1) / 2)).sum(axis=1)
    return np.stack([x, y], axis=1)


def mass_radii(
    maps: Float[np.ndarray, "units height width"], fractions: Sequence[float] = (0.1, 0.5, 0.9)
) -> Float[np.ndarray, "units fractions"]:
    """Return the radii around the center of mass that hold fractions of the mass of each map.

    The minimum of a map is subtracted first. Pixels count in the order of their distance from the
    center of mass, and the radius is the distance of the pixel by which the fraction is reached
    (tonyfu97/RF-Mapping, stimulus.py), so it is not finer than a pixel. NaN where a map is flat or
    not finite.

    >>> mass_radii(np.array([[[0.0, 1.0, 2.0, 1.0, 0.0]]]), fractions=(0.5, 0.9))
    array([[0., 1.]])
    """
    height, width = maps.shape[1:]
    row, column = np.indices((height, width)).reshape(2, -1)
    radii = np.full((len(maps), len(fractions)), np.nan)
    at_once = max(1, _AT_ONCE // (height * width))
    for first in range(0, len(maps), at_once):
        some = slice(first, first + at_once)
        x, y = centers_of_mass(maps[some]).T[:, :, None]
        distance = np.hypot(column - (width - 1) / 2 - x, row - (height - 1) / 2 - y)
        order = distance.argsort(axis=1)
        mass = np.take_along_axis(_masses(maps[some]).reshape(len(order), -1), order, axis=1)
        held = mass.cumsum(axis=1)
        reached = [(held >= f * held[:, -1:]).argmax(axis=1) for f in fractions]
        nearest = np.take_along_axis(order, np.stack(reached, axis=1), axis=1)
        radii[some] = np.take_along_axis(distance, nearest, axis=1)
    return radii


def hot_spots(maps: Float[np.ndarray, "units height width"]) -> Int[np.ndarray, "units 2"]:
    """Return row and column of the highest pixel of each map, the first of those that are equal.

    >>> hot_spots(np.array([[[0.0, 3.0], [3.0, 1.0]]]))
    array([[0, 1]])
    """
    highest = maps.reshape(len(maps), -1).argmax(axis=1)
    return np.stack(np.unravel_index(highest, maps.shape[1:]), axis=1).astype(np.int64)


def areas_above_half(
    maps: Float[np.ndarray, "units height width"],
) -> Float[np.ndarray, " units"]:
    """Return the area above half height of each map, in pixels.

    Half height is halfway between the lowest and the highest value of the map. NaN where a map is
    flat or not finite.

    >>> areas_above_half(np.array([[[0.0, 1.0, 2.0, 1.5]]]))
    array([2.])
    """
    mass = _masses(maps)
    highest = mass.max(axis=(1, 2), keepdims=True)
    area = (mass > highest / 2).sum(axis=(1, 2)).astype(np.float64)
    return np.where(np.isnan(highest[:, 0, 0]), np.nan, area)


def effective_sizes(
    maps: Float[np.ndarray, "units height width"], least: float = 1 - 0.9545
) -> Float[np.ndarray, " units"]:
    """Return the side of a square as large as the area where a map counts, in pixels.

    The area holds the pixels above a fraction of the map's maximum (Luo et al. 2016, Understanding
    the effective receptive field, NIPS, section 3). NaN where a map is flat or not finite.

    Args:
        maps: mean absolute gradients of each unit.
        least: the fraction.

    >>> effective_sizes(np.array([[[0.0, 0.04, 0.2, 1.0, 0.3, 0.05, 0.0]]]))
    array([2.])
    """
    with np.errstate(invalid="ignore"):
        counted = maps > least * maps.max(axis=(1, 2), keepdims=True)
    side = np.sqrt(counted.sum(axis=(1, 2)))
    return np.where([bool(undescribable(unit)) for unit in maps], np.nan, side)


def summarize_maps(
    maps: Float[np.ndarray, "units height width"], least_fxvar: float = 0.25
) -> pd.DataFrame:
    """Return the place and size of the field of each unit by several measures.

    Args:
        maps: one per unit.
        least_fxvar: see ``fit_gaussians``.

    Returns:
        One row per unit: ``unit`` (its row), ``x`` and ``y`` of the center of mass, ``radius_10``,
        ``radius_50`` and ``radius_90`` that hold so many percent of the mass, ``hot_x`` and
        ``hot_y`` of the highest pixel, ``half_area`` above half height (square pixels), the columns
        of ``fit_gaussians``, and ``reason``: why some or all numbers are missing, or an empty
        string. A map that is flat or not finite has no numbers, and one to which no Gaussian fits
        has all others. Where the pixels of a map are 0 or 1, as in one of figures that do not
        overlap, none is the highest, and ``hot_x`` and ``hot_y`` are NaN.

    >>> table = summarize_maps(np.zeros((2, 5, 5)))
    >>> table["reason"].tolist()
    ['the map is flat', 'the map is flat']
    """
    x, y = centers_of_mass(maps).T
    radii = mass_radii(maps).T
    hot = hot_spots(maps) - (np.array(maps.shape[1:]) - 1) / 2
    hot[np.isnan(x) | _of_two_values(maps)] = np.nan
    return pd.DataFrame(
        {
            "unit": np.arange(len(maps)),
            "x": x,
            "y": y,
            **{f"radius_{p}": radius for p, radius in zip((10, 50, 90), radii, strict=True)},
            "hot_x": hot[:, 1],
            "hot_y": hot[:, 0],
            "half_area": areas_above_half(maps),
        }
    ).join(fit_gaussians(maps, least_fxvar))


def _of_two_values(maps: Float[np.ndarray, "units height width"]) -> Bool[np.ndarray, " units"]:
    """Return which maps have one low and one high value, the high one in several pixels."""
    low, high = (edge(axis=(1, 2), keepdims=True) for edge in (maps.min, maps.max))
    highest = maps == high
    return (highest | (maps == low)).all(axis=(1, 2)) & (highest.sum(axis=(1, 2)) > 1)


def _masses(
    maps: Float[np.ndarray, "units height width"],
) -> Float[np.ndarray, "units height width"]:
    """Return maps less their minimum with the sum 1; NaN where a map is flat or not finite."""
    described = np.array([not undescribable(unit) for unit in maps], dtype=bool)[:, None, None]
    mass = np.where(described, maps, np.nan).astype(np.float64)
    mass -= mass.min(axis=(1, 2), keepdims=True)
    mass /= mass.max(axis=(1, 2), keepdims=True)  # so that sums of tiny values do not underflow
    return mass / mass.sum(axis=(1, 2), keepdims=True)
