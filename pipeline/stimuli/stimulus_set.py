"""A stimulus set: a table of parameters and the exact sum of planes that each row is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, SupportsIndex, runtime_checkable

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.stimuli.field import Field
from pipeline.stimuli.looks import Looks

Numbers = Int[Tensor, " n"] | Int[np.ndarray, " n"] | pd.Index | Sequence[SupportsIndex]
CACHED = 1 << 17  # pixels that a formula works on at once without leaving a CPU's cache


def at_once(canvas: tuple[int, int], device: torch.device) -> int:
    """Return how many stimuli to draw together: on a CPU, what stays in its cache.

    >>> at_once((64, 64), torch.device("cpu"))
    32
    """
    return max(1, CACHED // (canvas[0] * canvas[1])) if device.type == "cpu" else 1 << 10


@runtime_checkable
class Planes(Protocol):
    """Draws planes of geometries on a canvas (height, width) whose center is theirs."""

    def __call__(
        self, geometries: Int[Tensor, " n"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n k height width"]:
        """Return the planes of each geometry."""
        ...


@dataclass(frozen=True, eq=False)
class Shifts:
    """How one wide presentation of each figure answers for all of its positions.

    Figure ``f``, drawn at the center of a canvas that is wider by ``margin`` on every side, gives a
    map of ``steps`` units on each side of the center. The unit at map place ``(i, j)`` responds as
    the center unit responds to row ``rows[f, look, i, j]`` of the set, since its field lies
    ``(i, j) - center`` strides away from the figure. This holds where no padding is seen.

    Attributes:
        stride: pixels between the fields of neighboring units, and between positions.
        steps: positions on each side of the center, down and across.
        figures: the geometry of each figure at the center of the canvas.
        rows: row of the set for each place of the map.
    """

    stride: int
    steps: tuple[int, int]
    figures: Int[Tensor, " figures"]
    rows: Int[Tensor, "figures looks down across"]

    @property
    def margin(self) -> tuple[int, int]:
        """By how many pixels the canvas is wider on each side, down and across."""
        return self.steps[0] * self.stride, self.steps[1] * self.stride


@dataclass(frozen=True, eq=False)
class StimulusSet:
    """Stimuli by formula, in network-input space.

    A stimulus is ``background[row] + sum over k of weights[row, k] * plane k of its geometry``,
    with one background and one weight per channel. Since the first layer of a network is linear,
    its response to a stimulus is the same sum of its responses to the planes, so it needs to run
    only once per geometry.

    Attributes:
        name: of the set.
        size: height and width of the canvas in pixels: the receptive field.
        table: one row per stimulus, whose index is the stimulus number: parameters in pixels, ``x``
            to the right and ``y`` down from the center of the canvas, angles in degrees; and the
            flags ``aliased`` (finer than pixels can show) and ``clipped`` (the figure leaves the
            canvas).
        geometry: of each row.
        background: of each row.
        weights: of each row and plane.
        renderer: draws the planes of geometries.
        shifts: how one wide presentation answers for many rows, where the set has it.
        contents: digest of the files that are shown, of a set that reads files.
    """

    name: str
    size: tuple[int, int]
    table: pd.DataFrame
    geometry: Int[Tensor, " rows"]
    background: Float[Tensor, "rows channels"]
    weights: Float[Tensor, "rows k channels"]
    renderer: Planes
    shifts: Shifts | None = None
    contents: str | None = None

    def __repr__(self) -> str:
        height, width = self.size
        return f"StimulusSet({self.name}: {len(self.table)} stimuli of {height} x {width} pixels)"

    def __len__(self) -> int:
        return len(self.table)

    @property
    def geometries(self) -> int:
        """How many geometries the set has; the rows have them in order."""
        return int(self.geometry[-1]) + 1

    def planes(
        self,
        geometries: Numbers,
        device: torch.device | str | None = None,
        margin: tuple[int, int] = (0, 0),
    ) -> Float[Tensor, "n k height width"]:
        """Draw the planes of geometries, in 0..1 for figures and in -1..1 for patterns.

        Args:
            geometries: numbers from 0 to ``geometries - 1``.
            device: where to draw; the CPU if not given.
            margin: pixels that the canvas is larger on each side, down and across; for figures.

        Raises:
            ConfigError: a geometry does not exist.
        """
        numbers = self._numbers(geometries, self.geometries, "geometries")
        on = torch.device(device or "cpu")
        canvas = self.size[0] + 2 * margin[0], self.size[1] + 2 * margin[1]
        pieces = [self.renderer(some, canvas, on) for some in numbers.split(at_once(canvas, on))]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def draw(
        self,
        rows: Numbers,
        device: torch.device | str | None = None,
    ) -> Float[Tensor, "n channels height width"]:
        """Draw stimuli in network-input space.

        Args:
            rows: stimulus numbers, in any order.
            device: where to draw; the CPU if not given.

        Raises:
            ConfigError: a stimulus does not exist.

        >>> from pipeline.stimuli.bars import bars_4a
        >>> from pipeline.stimuli.field import Field
        >>> bars_4a(Field(51, 51)).draw([0, 1]).shape
        torch.Size([2, 3, 51, 51])
        """
        numbers = self._numbers(rows, len(self), "rows")
        on = torch.device(device or "cpu")
        shape = len(numbers), self.background.shape[1], *self.size
        stimuli = torch.empty(shape, device=on)
        step = at_once(self.size, on)
        for some, piece in zip(numbers.split(step), stimuli.split(step), strict=True):
            self._draw_into(piece, some)
        return stimuli

    def _draw_into(
        self, stimuli: Float[Tensor, "n channels height width"], rows: Int[Tensor, " n"]
    ) -> None:
        drawn, which = torch.unique(self.geometry[rows], return_inverse=True)
        planes = self.renderer(drawn, self.size, stimuli.device)[which.to(stimuli.device)]
        background, weights = (
            part[rows].to(stimuli.device)[..., None, None]
            for part in (self.background, self.weights)
        )
        torch.mul(weights[:, 0], planes[:, 0, None], out=stimuli)
        for k in range(1, weights.shape[1]):
            stimuli += weights[:, k] * planes[:, k, None]
        stimuli += background

    def _numbers(self, given: Numbers, count: int, what: str) -> Int[Tensor, " n"]:
        found = given.cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
        if found.size and found.dtype.kind not in "iu":
            raise ConfigError(
                f"{what}: are of type {found.dtype}; give whole numbers, and for a mask those that "
                "np.flatnonzero returns"
            )
        numbers = torch.from_numpy(found.astype(np.int64))
        wrong = numbers[(numbers < 0) | (numbers >= count)]
        if len(wrong):
            raise ConfigError(
                f"{what}: {int(wrong[0])} is not one of {self.name}, which are numbered from 0 to "
                f"{count - 1}"
            )
        return numbers


def compose(
    name: str,
    field: Field,
    geometries: pd.DataFrame,
    looks: Looks,
    renderer: Planes,
    shifts: Shifts | None = None,
) -> StimulusSet:
    """Return the set of all geometries in all looks; looks vary fastest.

    Args:
        name: of the set.
        field: the canvas.
        geometries: parameters and flags, one row per geometry.
        looks: the colors in which each geometry is shown.
        renderer: draws the planes of geometries.
        shifts: of a set whose positions step by the layer's stride.

    Raises:
        ConfigError: there are no geometries, or their table lacks a flag.

    >>> from pipeline.stimuli.bars import bar_planes
    >>> from pipeline.stimuli.looks import polarities
    >>> bar = {"x": 0.0, "y": 0.0, "length": 3.0, "width": 1.0, "orientation": 0.0}
    >>> table = pd.DataFrame([bar | {"aliased": False, "clipped": False}])
    >>> looks = polarities(Field(3, 3).colors)
    >>> own = compose("own", Field(3, 3), table, looks, bar_planes(table))
    >>> own.draw([0])[0, 0, 1].mul(10).round().tolist()
    [-7.0, 7.0, -7.0]
    """
    count, each = len(geometries), len(looks)
    flags = ["aliased", "clipped"]
    if missing := {*flags} - {*geometries}:
        raise ConfigError(
            f"stimulus.{name}: its table lacks the flags {', '.join(sorted(missing))}; add them, "
            "as in table.assign(aliased=False, clipped=False)"
        )
    if not count:
        raise ConfigError(f"stimulus.{name}: has no stimuli; none of its lists may be empty")
    table = geometries.loc[geometries.index.repeat(each)].reset_index(drop=True)
    shown = {column: np.tile(np.asarray(values), count) for column, values in looks.columns.items()}
    table = table.drop(columns=flags).assign(**shown, **{f: table[f].astype(bool) for f in flags})
    return StimulusSet(
        name,
        field.size,
        table,
        torch.arange(count).repeat_interleave(each),
        looks.background.repeat(count, 1),
        looks.weights.repeat(count, 1, 1),
        renderer,
        shifts,
    )
