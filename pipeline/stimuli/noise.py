"""Sparse and dense noise for reverse correlation: a frame follows from the seed and its number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import ConfigError, nearest
from pipeline.stimuli.field import Field
from pipeline.stimuli.looks import Looks
from pipeline.stimuli.options import checks_options
from pipeline.stimuli.random_numbers import random_bits, uniform
from pipeline.stimuli.squares import squares
from pipeline.stimuli.stimulus_set import StimulusSet, compose

AT_ONCE = 1024  # stimuli whose random numbers are drawn together
DISTRIBUTIONS: dict[str, Callable[[Int[Tensor, "*shape"]], Float[Tensor, "*shape"]]] = {
    "binary": lambda bits: 2.0 * (bits & 1).float() - 1,
    "uniform": lambda bits: 2 * uniform(bits) - 1,
}


@dataclass(frozen=True, eq=False)
class SparsePlanes:
    """Draws squares: those that are white as one plane, those that are black as another."""

    corners: Int[Tensor, "stimuli squares 2"]
    white: Int[Tensor, "stimuli squares"]
    side: int

    def __call__(
        self, geometries: Int[Tensor, " n"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n 2 height width"]:
        """Return 1 in white squares, and 1 in black squares."""
        corners, white = self.corners[geometries].to(device), self.white[geometries].to(device)
        planes = torch.zeros(len(corners), 2, *canvas, device=device)
        for k in range(corners.shape[1]):
            drawn = squares(corners[:, k, 0], corners[:, k, 1], self.side, canvas)
            is_white = white[:, k, None, None]
            planes[:, 0] += drawn * is_white
            planes[:, 1] += drawn * (1 - is_white)
        return planes


def _checked(name: str, field: Field, side: int | None) -> int:
    """Return the side of squares in pixels, a tenth of the field if not given."""
    side = max(field.side // 10, 1) if side is None else side
    if side > field.side:
        raise ConfigError(
            f"stimulus.{name}.side: {side} is not a number of pixels from 1 to {field.side}, the "
            "shorter side of the field"
        )
    return side


@checks_options
def sparse_noise(
    field: Field, stimuli: int = 10_000, per_frame: int = 1, side: int | None = None, seed: int = 0
) -> StimulusSet:
    """Return frames of a few white and black squares on gray, at random cells of a grid.

    The grid covers the field and lies about its center, so that squares at the rim may be clipped.
    The cells of a frame differ. With one square per frame, the table has its center, ``x`` and
    ``y``, and its ``polarity``; with more, ``x_0``, ``y_0``, ``polarity_0`` and so on. The
    planes are the white squares and the black squares.

    Args:
        field: the canvas and its colors.
        stimuli: how many frames.
        per_frame: how many squares a frame has.
        side: of squares, in pixels; a tenth of the field if not given.
        seed: of the random numbers; a frame depends on it and on its number alone.

    >>> len(sparse_noise(Field(51, 51), stimuli=20, per_frame=3))
    20
    """
    side = _checked("sparse_noise", field, side)
    down, across = -(-field.height // side), -(-field.width // side)
    if per_frame > down * across:
        raise ConfigError(
            f"stimulus.sparse_noise.per_frame: {per_frame} is not a number from 1 to "
            f"{down * across}, the cells of {side} pixels that cover the field"
        )
    cells, white = _places(seed, stimuli, per_frame, down * across)
    margins = (field.height - down * side) // 2, (field.width - across * side) // 2
    corners = torch.stack([cells // across, cells % across], 2) * side + torch.tensor(margins)
    table = pd.DataFrame({"side": [side] * stimuli})
    for k in range(per_frame):
        of_square = f"_{k}" if per_frame > 1 else ""
        table[f"x{of_square}"] = (corners[:, k, 1] + (side - field.width) / 2).numpy()
        table[f"y{of_square}"] = (corners[:, k, 0] + (side - field.height) / 2).numpy()
        table[f"polarity{of_square}"] = (2 * white[:, k] - 1).numpy()
    limits = torch.tensor([field.height - side, field.width - side])
    clipped = ((corners < 0) | (corners > limits)).any(2).any(1)
    table = table.assign(aliased=False, clipped=clipped.numpy())
    colors = torch.tensor([field.colors.white, field.colors.black], dtype=torch.float64)
    gray = torch.tensor([field.colors.gray], dtype=torch.float64)
    looks = Looks({}, gray.float(), (colors - gray).float()[None])
    return compose("sparse_noise", field, table, looks, SparsePlanes(corners, white, side))


def _places(
    seed: int, stimuli: int, per_frame: int, cells: int
) -> tuple[Int[Tensor, "stimuli per_frame"], Int[Tensor, "stimuli per_frame"]]:
    """Return the cells of every stimulus, all different, and whether each is white."""
    found, white = [], []
    for numbers in torch.arange(stimuli).split(AT_ONCE):
        bits = random_bits(seed, numbers, cells + per_frame)
        # The cells with the largest numbers, in which the cell itself decides between equals.
        ranked = bits[:, :cells] * cells + torch.arange(cells)
        found.append(ranked.topk(per_frame, dim=1).values % cells)
        white.append(bits[:, cells:] & 1)
    return torch.cat(found), torch.cat(white)


@dataclass(frozen=True, eq=False)
class DensePlanes:
    """Draws a random value in -1..1 for every check, for each color or for all together."""

    seed: int
    side: int
    planes: int
    distribution: str

    def __call__(
        self, geometries: Int[Tensor, " n"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n k height width"]:
        """Return the values of every stimulus."""
        down, across = (-(-length // self.side) for length in canvas)
        bits = random_bits(self.seed, geometries.to(device), self.planes * down * across)
        checks = DISTRIBUTIONS[self.distribution](bits).view(-1, self.planes, down, across)
        rows, columns = (
            torch.arange(length, device=device).div(self.side, rounding_mode="floor")
            for length in canvas
        )
        return checks[:, :, rows][..., columns]


@checks_options
def dense_noise(
    field: Field,
    stimuli: int = 10_000,
    side: int = 1,
    distribution: str = "binary",
    colored: bool = False,
    seed: int = 0,
) -> StimulusSet:
    """Return frames in which every check of a grid has a random value about gray.

    The values go up and down to contrast 1; the grid begins at the upper left pixel.

    Args:
        field: the canvas and its colors.
        stimuli: how many frames.
        side: of checks, in pixels.
        distribution: ``binary`` (two values, equally often) or ``uniform`` (all values between).
        colored: whether each channel has values of its own.
        seed: of the random numbers; a frame depends on it and on its number alone.

    >>> dense_noise(Field(4, 4), stimuli=9).draw([8]).unique().tolist()
    [-1.0, 1.0]
    """
    side = _checked("dense_noise", field, side)
    if distribution not in DISTRIBUTIONS:
        raise ConfigError(
            f"stimulus.dense_noise.distribution: '{distribution}' is not one of "
            f"{', '.join(DISTRIBUTIONS)}{nearest(distribution, DISTRIBUTIONS)}"
        )
    swing, gray = torch.tensor(field.colors.swing), torch.tensor([field.colors.gray])
    weights = swing.diag() if colored else swing[None]
    table = pd.DataFrame({"side": [side] * stimuli}).assign(aliased=False, clipped=False)
    planes = DensePlanes(seed, side, len(weights), distribution)
    return compose("dense_noise", field, table, Looks({}, gray, weights[None]), planes)
