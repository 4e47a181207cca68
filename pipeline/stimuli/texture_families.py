"""Fifteen families of drawn textures, which wrap around at their borders.

Each has structure that its amplitude spectrum does not hold: edges, junctions, contours, lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

Texture = Float[np.ndarray, "side side"]
SIZES = (0.05, 0.1, 0.2)  # of the features, as a share of the texture's side


# Where to draw, and how far down and right of a place each of its pixels is.
Box = tuple[tuple[slice, slice] | tuple[np.ndarray, ...], np.ndarray, np.ndarray]


def _around(
    side: int, places: Float[np.ndarray, "n 2"], reaches: Float[np.ndarray, " n"]
) -> Iterator[Box]:
    """Yield the pixels within reach of each place in 0..1, both as shares of the side.

    Pixels go around the borders, each at most once.
    """
    halves = np.minimum((reaches * side).astype(np.int64) + 1, (side - 1) // 2)
    widest = int(halves.max())
    near = np.arange(-widest, widest + 1)
    pixels = (places * side).astype(np.int64)[..., None] + near
    away = (pixels + 0.5) / side - places[..., None]
    for half, numbers, distances in zip(halves.tolist(), pixels, away, strict=True):
        own = slice(widest - half, widest + half + 1)
        rows, columns = numbers[:, own]
        y, x = distances[:, own]
        inside = rows[0] >= 0 and rows[-1] < side and columns[0] >= 0 and columns[-1] < side
        # Slices are faster than indices.
        drawn = (
            (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
            if inside
            else np.ix_(rows % side, columns % side)
        )
        yield drawn, y[:, None], x[None, :]


def _nearest(
    side: int, size: float, rng: np.random.Generator
) -> tuple[Texture, Texture, Int[np.ndarray, "side side"]]:
    """Return distances to the nearest and the second nearest of random places, and which it is."""
    tree = KDTree(rng.random((max(4, round(size**-2)), 2)), boxsize=1.0)
    axis = (np.arange(side) + 0.5) / side
    found: Any = tree.query(np.stack(np.meshgrid(axis, axis, indexing="ij"), -1), k=2)
    away, which = found
    return away[..., 0], away[..., 1], which[..., 0]


def dead_leaves(side: int, size: float, rng: np.random.Generator) -> Texture:
    """Return discs of random grays that cover one another.

    >>> dead_leaves(16, 0.25, np.random.default_rng(0)).shape
    (16, 16)
    """
    count = round(5 * size**-2)
    texture = np.zeros((side, side))
    radii = size * (0.4 + 0.6 * rng.random(count) ** 2)
    places, grays = rng.random((count, 2)), rng.random(count)
    boxes = _around(side, places, radii)
    for (pixels, y, x), radius, gray in zip(boxes, radii, grays, strict=True):
        texture[pixels] = np.where(y**2 + x**2 <= radius**2, gray, texture[pixels])
    return texture


def cells(side: int, size: float, rng: np.random.Generator) -> Texture:
    """Return the dark borders between cells around random places.

    >>> cells(16, 0.25, np.random.default_rng(0)).shape
    (16, 16)
    """
    near, second, _ = _nearest(side, size, rng)
    return np.minimum((second - near) / (0.25 * size), 1.0)


def stones(side: int, size: float, rng: np.random.Generator) -> Texture:
    """Return cells around random places, each of one gray.

    >>> stones(16, 0.25, np.random.default_rng(0)).shape
    (16, 16)
    """
    which = _nearest(side, size, rng)[2]
    return rng.random(int(which.max()) + 1)[which]


def contours(side: int, size: float, rng: np.random.Generator) -> Texture:
    """Return dark and bright lines whose orientation changes slowly from place to place.

    >>> contours(16, 0.25, np.random.default_rng(0)).shape
    (16, 16)
    """
    texture = np.zeros((side, side))
    turn = rng.random() * np.pi
    places = rng.random((round(2.5 * size**-2), 2))
    turns = turn + np.sin(2 * np.pi * places).sum(axis=1)
    signs = rng.choice([-1, 1], len(places))
    boxes = _around(side, places, np.full(len(places), 2.5 * size))
    for (pixels, y, x), sign, cosine, sine in zip(
        boxes, signs, np.cos(turns), np.sin(turns), strict=True
    ):
        along, across = x * cosine + y * sine, y * cosine - x * sine
        envelope = np.exp(-0.5 * (np.square(along / size) + np.square(across / (0.2 * size))))
        texture[pixels] += sign * envelope * np.cos(np.pi * across / (0.4 * size))
    return np.tanh(texture)


def sticks(side: int, size: float, rng: np.random.Generator) -> Texture:
    """Return bright straight sticks on dark ground, in any orientation.

    >>> sticks(16, 0.25, np.random.default_rng(0)).shape
    (16, 16)
    """
    texture = np.zeros((side, side))
    places = rng.random((round(1.5 * size**-2), 2))
    turns = rng.random(len(places)) * np.pi
    boxes = _around(side, places, np.full(len(places), 1.2 * size))
    for (pixels, y, x), cosine, sine in zip(boxes, np.cos(turns), np.sin(turns), strict=True):
        along, across = x * cosine + y * sine, y * cosine - x * sine
        stick = (np.abs(along) < size) & (np.abs(across) < max(0.08 * size, 0.5 / side))
        texture[pixels] = np.where(stick, 1.0, texture[pixels])
    return texture


KINDS: tuple[Callable[[int, float, np.random.Generator], Texture], ...] = (
    dead_leaves, cells, stones, contours, sticks,
)  # fmt: skip
FAMILIES = tuple(product(KINDS, SIZES))  # the size varies fastest


def family_names() -> list[str]:
    """Return the names of the families, in order.

    >>> family_names()[:2]
    ['dead_leaves_0.05', 'dead_leaves_0.1']
    """
    return [f"{kind.__name__}_{size:g}" for kind, size in FAMILIES]


def drawn_texture(family: int, sample: int, side: int, seed: int) -> Texture:
    """Return a sample of a family, which depends on nothing but these numbers.

    >>> bool(np.ptp(drawn_texture(0, 1, 16, 0)) > 0)
    True
    """
    kind, size = FAMILIES[family]
    return kind(side, size, np.random.default_rng([seed, family, sample]))


def phase_randomized(texture: Texture, rng: np.random.Generator) -> Texture:
    """Return noise with the amplitude spectrum of a texture.

    Phases are those of white noise, so that they are odd as those of any picture; the mean stays.

    >>> texture = np.eye(8)
    >>> noise = phase_randomized(texture, np.random.default_rng(0))
    >>> bool(np.allclose(np.abs(np.fft.fft2(noise)), np.abs(np.fft.fft2(texture))))
    True
    """
    white = np.fft.rfft2(rng.standard_normal(texture.shape))
    turned = np.abs(np.fft.rfft2(texture)) * white / np.abs(white)
    turned[0, 0] = np.fft.rfft2(texture)[0, 0].real
    return np.fft.irfft2(turned, s=texture.shape)
