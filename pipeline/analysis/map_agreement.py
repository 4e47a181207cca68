"""Do two methods find the same receptive field? One map of each unit against another.

Maps of different sizes are cut to the smaller height and width about their centers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from pipeline.analysis.similarity import pearson
from pipeline.errors import ConfigError

_TRIFLE = 1e-10  # of the mass of a map

Maps = Float[np.ndarray, "_ _ _"]  # units, height, width
Values = Float[np.ndarray, " units"]
SIGNS = (1, -1)


def agreement(
    maps: Mapping[str, Float[np.ndarray, "units 2 _ _"]],
    pairs: Iterable[tuple[str, str]],
    units: Sequence[int],
) -> pd.DataFrame:
    """Compare the maps of two methods unit by unit, for several pairs of methods.

    Args:
        maps: by the name of the method: what raises the response, and what lowers it.
        pairs: the names of the methods that are compared.
        units: numbers of the units, in order.

    Returns:
        One row per pair, sign and unit: ``sign``, ``first``, ``second``, ``unit``, and
        ``correlation`` after blur, ``iou`` of the areas above half height, and ``distance`` (earth
        mover's, in pixels); NaN where a map is flat or not finite.

    >>> bump = np.zeros((1, 2, 8, 8))
    >>> bump[..., 2, 2] = 1
    >>> maps = {"one": bump, "other": np.roll(bump, 3, axis=3)}
    >>> agreement(maps, [("one", "other")], [7])[["sign", "unit", "distance"]].values.tolist()
    [[1.0, 7.0, 3.0], [-1.0, 7.0, 3.0]]
    """
    parts = []
    for first, second in pairs:
        for k, sign in enumerate(SIGNS):
            one, other = maps[first][:, k], maps[second][:, k]
            names = {"sign": sign, "first": first, "second": second, "unit": list(units)}
            compared = {
                "correlation": map_correlations(one, other),
                "iou": half_height_ious(one, other),
                "distance": earth_movers_distances(one, other),
            }
            parts.append(pd.DataFrame(names | compared))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def map_correlations(first: Maps, second: Maps, blur: float = 1 / 30) -> Values:
    """Return Pearson's r between the blurred maps of each unit.

    As in tonyfu97/RF-Mapping (MIT), correlations/map_corelations.py, which calls r > 0.7 high.
    There each map is also divided by its maximum, which does not change r.

    Args:
        first: a map of each unit.
        second: likewise by another method.
        blur: standard deviation of the Gaussian, as a fraction of the height of each map.

    Returns:
        r of each unit; NaN where a map is flat or not finite.

    Raises:
        ConfigError: the maps are of different numbers of units.

    >>> bump = np.zeros((1, 9, 9))
    >>> bump[0, 4, 4] = 1
    >>> map_correlations(bump, 3 * bump + 1).round(6)
    array([1.])
    """
    _check(first, second)
    return pearson(*_same_size(*(_blurred(maps, blur) for maps in (first, second))))


def half_height_ious(first: Maps, second: Maps, blur: float = 1 / 30) -> Values:
    """Return how much the areas above half height overlap: intersection over union.

    Half height is halfway between the lowest and the highest value of the blurred map.

    Args:
        first: a map of each unit.
        second: likewise by another method.
        blur: see ``map_correlations``.

    Returns:
        0..1 for each unit; NaN where a map is flat or not finite.

    Raises:
        ConfigError: the maps are of different numbers of units.

    >>> one, other = np.array([[[0.0, 4, 4, 0]]]), np.array([[[0.0, 0, 4, 4]]])
    >>> half_height_ious(one, other, blur=0.0).round(4)
    array([0.3333])
    """
    _check(first, second)
    first, second = _same_size(*(_blurred(maps, blur) for maps in (first, second)))
    one, other = _above_half(first), _above_half(second)
    either = (one | other).sum(axis=(1, 2))
    both = (one & other).sum(axis=(1, 2))
    defined = _described(first) & _described(second)
    return np.divide(both, either, out=np.full(len(first), np.nan), where=defined)


def earth_movers_distances(first: Maps, second: Maps, grid: int = 12) -> Values:
    """Return how far the mass of one map must be moved to make the other, in pixels.

    The minimum of each map is subtracted and its sum is made 1. The distance is the smallest sum of
    mass times Euclidean distance over all ways to move the mass (the Wasserstein distance of order
    1, Rubner et al. 2000), found exactly by linear programming. It is 0 for equal maps, and d for a
    map and its copy shifted by d pixels. Faint noise all over a map counts as mass, too.

    Maps of more than ``grid`` pixels a side are first brought to that size: the mass of a pixel is
    divided among the nearest points of the coarser grid so that its center of mass stays. Distances
    are then exact for the coarse maps, still in pixels of the originals, and differ from those of
    the originals by at most sqrt(2) times the spacing of the grid. They are never below the
    distance between the centers of mass.

    Args:
        first: a map of each unit.
        second: likewise by another method.
        grid: largest number of points a side, at least 2. Time grows with its fourth power or
            faster: about 0.05 seconds a unit for 12, and 0.2 for 16.

    Returns:
        Distance of each unit; NaN where a map is flat or not finite.

    Raises:
        ConfigError: the maps are of different numbers of units, or the grid is too small.

    >>> one = np.zeros((1, 8, 8))
    >>> one[0, 2, 2] = 5
    >>> earth_movers_distances(one, np.roll(one, (3, 4), axis=(1, 2))).round(6)
    array([5.])
    """
    _check(first, second)
    if grid < 2:
        raise ConfigError(f"grid: at least 2 points a side are needed, not {grid}")
    first, second = _same_size(first.astype(np.float64), second.astype(np.float64))
    defined = _described(first) & _described(second)
    rows, columns = (_sharing(side, grid) for side in first.shape[1:])
    places = np.stack(
        np.meshgrid(_nodes(first.shape[1], grid), _nodes(first.shape[2], grid), indexing="ij"), -1
    ).reshape(-1, 2)
    distances = np.full(len(first), np.nan)
    for unit in np.flatnonzero(defined):
        one, other = (rows @ _mass(maps[unit]) @ columns.T for maps in (first, second))
        distances[unit] = _least_work((one - other).ravel(), places)
    return distances


def _least_work(surplus: Float[np.ndarray, " places"], places: np.ndarray) -> float:
    """Return the least work that moves mass from where there is too much to where it lacks.

    Mass that both maps have at a place need not move, by the triangle inequality.
    """
    from scipy.optimize import linprog  # these take long, and plans do without
    from scipy.sparse import coo_array

    high, low = np.flatnonzero(surplus > _TRIFLE), np.flatnonzero(surplus < -_TRIFLE)
    if not len(high) or not len(low):
        return 0.0
    cost = np.hypot(*(places[high][:, None] - places[low]).transpose(2, 0, 1))
    giver, taker = np.indices(cost.shape).reshape(2, -1)
    route, one = np.arange(cost.size), np.ones(cost.size)
    # Kantorovich's dual: prices at the places, of which no two differ by more than the way between
    # them. Unlike the plan of transport it has a solution however the masses are rounded.
    mass = np.concatenate([surplus[high], surplus[low]])
    mass[: len(high)] *= -mass[len(high) :].sum() / mass[: len(high)].sum()
    differences = coo_array(
        (
            np.concatenate([one, -one]),
            (np.concatenate([route, route]), np.concatenate([giver, len(high) + taker])),
        )
    )
    scale = np.abs(mass).max()
    found = linprog(
        -mass / scale,
        A_ub=differences.tocsr(),
        b_ub=cost.ravel(),
        bounds=[(0, 0), *[(None, None)] * (len(mass) - 1)],
        method="highs",
    )
    if not found.success:
        raise RuntimeError(f"earth mover's distance: {found.message}")
    return -float(found.fun) * scale


def _nodes(side: int, grid: int) -> Float[np.ndarray, " points"]:
    """Return where the points of the coarse grid lie, in pixels."""
    return np.linspace(0, side - 1, min(side, grid))


def _sharing(side: int, grid: int) -> Float[np.ndarray, "points pixels"]:
    """Return what share of each pixel's mass goes to each point of the coarse grid."""
    nodes = _nodes(side, grid)
    if len(nodes) == 1:
        return np.ones((1, side))
    spacing = nodes[1] - nodes[0]
    return np.maximum(0, 1 - np.abs(nodes[:, None] - np.arange(side)) / spacing)


def _mass(unit: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    mass = (unit - unit.min()) / np.ptp(unit)
    return mass / mass.sum()


def _blurred(maps: Maps, blur: float) -> Maps:
    sigma = blur * maps.shape[1]
    from scipy.ndimage import gaussian_filter  # takes long, and plans do without

    return gaussian_filter(maps.astype(np.float64), (0.0, sigma, sigma))


def _same_size(first: Maps, second: Maps) -> tuple[Maps, Maps]:
    size = np.minimum(first.shape[1:], second.shape[1:])
    return _cut(first, size), _cut(second, size)


def _cut(maps: Maps, size: np.ndarray) -> Maps:
    top, left = (np.array(maps.shape[1:]) - size) // 2
    return maps[:, top : top + size[0], left : left + size[1]]


def _above_half(maps: Maps) -> Bool[np.ndarray, "units _ _"]:
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    return maps > low + (high - low) / 2


def _described(maps: Maps) -> Bool[np.ndarray, " units"]:
    with np.errstate(invalid="ignore"):
        varies = np.ptp(maps, axis=(1, 2)) > 1e-12 * np.abs(maps).max(axis=(1, 2), initial=0.0)
    return np.isfinite(maps).all(axis=(1, 2)) & varies


def _check(first: Maps, second: Maps) -> None:
    if len(first) != len(second):
        raise ConfigError(
            f"map against map: maps of {len(first)} units were compared with maps of {len(second)}"
        )
