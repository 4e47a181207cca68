"""Bars of the published protocols 4a, 4b and 4c7o, with soft edges.

Source: tonyfu97/RF-Mapping, ``bar.py``, after W. Bair.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.stimuli.canvas import pixels, precision
from pipeline.stimuli.field import Field
from pipeline.stimuli.looks import eight_colors, polarities
from pipeline.stimuli.options import checks_options
from pipeline.stimuli.parameters import ORIENTATIONS, cosine_and_sine, leaves, loops, placed
from pipeline.stimuli.stimulus_set import StimulusSet, compose

LENGTHS = (48 / 64, 24 / 64, 12 / 64, 6 / 64)  # of the field's shorter side
ASPECTS = (1 / 2, 1 / 5, 1 / 10)  # width by length
SOFT = 0.5  # pixels on each side of an edge over which a bar fades


@dataclass(frozen=True, eq=False)
class BarPlanes:
    """Draws the coverage of bars: x, y, cosine and sine of the orientation, width/2, length/2."""

    bars: Float[Tensor, "bars 6"]

    def __call__(
        self, geometries: Int[Tensor, " n"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n 1 height width"]:
        """Return f of every bar: 0 outside, 1 inside, softened at the edge."""
        bars = self.bars[geometries]
        rows, columns = (_reached(bars, axis, canvas) for axis in (1, 0))
        x0, y0, cosine, sine, half_width, half_length = bars.to(device, precision(device)).T[
            :, :, None
        ]
        y, x = pixels(canvas, device)
        down, across = y[rows] - y0, x[columns] - x0
        # Distances from the long and the short edges, positive inside.
        aside = (across * cosine)[:, None, :] - (down * sine)[:, :, None]
        along = (across * sine)[:, None, :] + (down * cosine)[:, :, None]
        inside_width = (half_width[..., None] - aside.abs_()).float()
        inside_length = (half_length[..., None] - along.abs_()).float()
        within = torch.minimum(inside_width, inside_length).clamp_(min=0)
        beyond = inside_width.clamp_(max=0).square_().add_(inside_length.clamp_(max=0).square_())
        planes = torch.zeros(len(bars), 1, *canvas, device=device)
        planes[:, 0, rows, columns] = softened(within.sub_(beyond.sqrt_()))
        return planes


def _reached(bars: Float[Tensor, "bars 6"], axis: int, canvas: tuple[int, int]) -> slice:
    """Return the rows (axis 1) or columns (0) outside of which all bars are 0."""
    if not len(bars):
        return slice(0, 0)
    length = canvas[1 - axis]
    centers = bars[:, axis] + (length - 1) / 2
    reach = torch.hypot(bars[:, 4], bars[:, 5]) + 1
    first, last = float((centers - reach).min()), float((centers + reach).max())
    return slice(max(math.floor(first), 0), max(min(math.ceil(last) + 1, length), 0))


def softened(distance: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the coverage at a distance in pixels from a bar's edge, positive inside.

    It is half a sine within half a pixel of the edge, 0.146 to 0.854, and jumps to 0 and 1 there,
    as published.

    >>> softened(torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])).mul(1000).round().tolist()
    [0.0, 146.0, 500.0, 854.0, 1000.0]
    """
    near = distance.clamp(-SOFT, SOFT)
    # Beyond the soft edge, 0.2 more or less than 0.854 or 0.146 is 1 or 0 once clamped.
    jump = (distance - near).sign_().mul_(0.2)
    return near.mul_(math.pi / 4 / SOFT).sin_().mul_(0.5).add_(0.5).add_(jump).clamp_(0, 1)


def with_flags(field: Field, bars: pd.DataFrame) -> pd.DataFrame:
    """Add the flags: narrower than a pixel (aliased), and leaving the canvas (clipped).

    >>> bar = {"x": 1.0, "y": 0.0, "length": 4.0, "width": 0.5, "orientation": 90.0}
    >>> with_flags(Field(5, 5), pd.DataFrame([bar]))[["aliased", "clipped"]].to_numpy().tolist()
    [[True, True]]
    """
    cosine, sine = (np.abs(part) for part in cosine_and_sine(bars["orientation"].to_numpy()))
    width, length = bars["width"].to_numpy() / 2, bars["length"].to_numpy() / 2
    clipped = leaves(field, bars, width * cosine + length * sine, width * sine + length * cosine)
    return bars.assign(aliased=bars["width"] < 1, clipped=clipped)


def bar_planes(bars: pd.DataFrame) -> BarPlanes:
    """Return what draws the bars of a table.

    >>> bar = {"x": 0.0, "y": 0.0, "length": 3.0, "width": 3.0, "orientation": 0.0}
    >>> draw = bar_planes(pd.DataFrame([bar]))
    >>> draw(torch.tensor([0]), (3, 5), torch.device("cpu"))[0, 0, 1].mul(1000).round().tolist()
    [146.0, 854.0, 1000.0, 854.0, 146.0]
    """
    cosine, sine = cosine_and_sine(bars["orientation"].to_numpy())
    sizes = [bars["width"] / 2, bars["length"] / 2]
    columns = np.stack([bars["x"], bars["y"], cosine, sine, *sizes], axis=1)
    return BarPlanes(torch.from_numpy(columns.astype(np.float64)))


def bar_table(field: Field, places: Callable[[float], dict[str, np.ndarray]]) -> pd.DataFrame:
    """Return the parameters and flags of bars of the published sizes and orientations.

    Args:
        field: the canvas.
        places: the positions, ``x`` and ``y``, of bars of a length in pixels.

    >>> len(bar_table(Field(51, 51), lambda length: {"x": np.zeros(1), "y": np.zeros(1)}))
    96
    """
    tables = []
    for length in (fraction * field.side for fraction in LENGTHS):
        for aspect in ASPECTS:
            table = loops(**places(length), orientation=ORIENTATIONS)
            table.insert(0, "length", length)
            table.insert(1, "width", aspect * length)
            tables.append(table)
    return with_flags(field, pd.concat(tables, ignore_index=True))


def bars_4a(field: Field) -> StimulusSet:
    """Return the bars of protocol 4a: white on black and black on white.

    Loops, slowest first: length (48, 24, 12 and 6/64 of the field), width (1/2, 1/5, 1/10 of the
    length), x, y, orientation (0 to 157.5 degrees in steps of 22.5), polarity. The orientation is
    that of the long axis from vertical, counterclockwise on the screen.

    >>> bars_4a(Field(51, 51)).table.loc[[2], ["x", "y", "orientation", "polarity"]]
            x       y  orientation  polarity
    2 -19.125 -19.125         22.5         1
    """
    table = bar_table(field, lambda length: placed(field, length))
    return compose("bars_4a", field, table, polarities(field.colors), bar_planes(table))


@checks_options
def bars_4b(field: Field, divider: float = 2.0) -> StimulusSet:
    """Return the bars of protocol 4b: those of 4a on a grid of any density.

    Args:
        field: the canvas and its colors.
        divider: how many steps of the grid a bar's length holds; 2 as in 4a.

    >>> len(bars_4b(Field(51, 51), divider=1.0))
    9024
    """
    table = bar_table(field, lambda length: placed(field, length, divider))
    return compose("bars_4b", field, table, polarities(field.colors), bar_planes(table))


def bars_4c7o(field: Field) -> StimulusSet:
    """Return the bars of protocol 4c7o: those of 4a, in eight colors on gray.

    The last loop is the color: white, black (K), red, green, blue, yellow, magenta, cyan.

    >>> bars_4c7o(Field(51, 51)).table["color"][:8].tolist()
    ['W', 'K', 'R', 'G', 'B', 'Y', 'M', 'C']
    """
    table = bar_table(field, lambda length: placed(field, length))
    return compose("bars_4c7o", field, table, eight_colors(field.colors), bar_planes(table))
