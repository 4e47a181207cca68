"""Fifteen families of drawn textures, which wrap around at their borders.

Each has structure that its amplitude spectrum does not hold: edges, junctions, contours, lines.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

Texture = Float[np.ndarray, "side side"]
SIZES = (0.05, 0.1, 0.2)  # of the features, as a share of the texture's side


Box = tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]


def _around(side: int, place: Float[np.ndarray, " 2"], reach: float) -> Box:
    """Return the pixels near a place in 0..1 to draw on, and how far down and right of it they are.

    Pixels go around the borders, each at most once.
    """
    half = min(int(reach * side) + 1, (side - 1) // 2)
    near = np.arange(-half, half + 1)
    rows, columns = (int(at * side) + near for at in place)
    y, x = ((axis + 0.5) / side - at for axis, at in zip((rows, columns), place, strict=True))
    return np.ix_(rows % side, columns % side), y[:, None], x[None, :]


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
    for place, radius, gray in zip(rng.random((count, 2)), radii, rng.random(count), strict=True):
        pixels, y, x = _around(side, place, radius)
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
    for place in rng.random((round(2.5 * size**-2), 2)):
        bend = np.sin(2 * np.pi * place).sum()
        pixels, y, x = _around(side, place, 2.5 * size)
        along = x * np.cos(turn + bend) + y * np.sin(turn + bend)
        across = y * np.cos(turn + bend) - x * np.sin(turn + bend)
        envelope = np.exp(-0.5 * (np.square(along / size) + np.square(across / (0.2 * size))))
        texture[pixels] += rng.choice([-1, 1]) * envelope * np.cos(np.pi * across / (0.4 * size))
    return np.tanh(texture)


def sticks(side: int, size: float, rng: np.random.Generator) -> Texture:
    """Return bright straight sticks on dark ground, in any orientation.

    >>> sticks(16, 0.25, np.random.default_rng(0)).shape
    (16, 16)
    """
    texture = np.zeros((side, side))
    for place in rng.random((round(1.5 * size**-2), 2)):
        turn = rng.random() * np.pi
        pixels, y, x = _around(side, place, 1.2 * size)
        along = x * np.cos(turn) + y * np.sin(turn)
        across = y * np.cos(turn) - x * np.sin(turn)
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
