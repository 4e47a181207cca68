"""Small squares of eight colors that scan the field.

Source: tonyfu97/RF-Mapping, ``block.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.stimuli.field import Field
from pipeline.stimuli.looks import eight_colors
from pipeline.stimuli.parameters import leaves, loops
from pipeline.stimuli.squares import squares
from pipeline.stimuli.stimulus_set import StimulusSet, compose


@dataclass(frozen=True, eq=False)
class BlockPlanes:
    """Draws squares by their upper left pixel, in a canvas of the size that they were made for.

    Attributes:
        corners: row and column of each square's upper left pixel.
        side: in pixels.
        size: height and width of the field that corners are counted in.
    """

    corners: Int[Tensor, "geometries 2"]
    side: int
    size: tuple[int, int]

    def __call__(
        self, geometries: Int[Tensor, " n"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n 1 height width"]:
        """Return 1 in the square."""
        top, left = self.corners[geometries].to(device).T
        down, across = ((canvas[axis] - self.size[axis]) // 2 for axis in (0, 1))
        return squares(top + down, left + across, self.side, canvas)[:, None]


def blocks(field: Field) -> StimulusSet:
    """Return squares of eight colors on gray at all places of a grid.

    The side is a twentieth of the field and the grid's step a third of the side, in whole pixels
    and at least 1. Loops, slowest first: row, column, color (white, black (K), red, green, blue,
    yellow, cyan, magenta). The upper left pixel runs from the first to the last but one, so that
    the last squares leave the canvas; ``x`` and ``y`` are the centers.

    >>> blocks(Field(51, 51)).table.loc[[0], ["side", "x", "y", "color", "clipped"]]
       side     x     y color  clipped
    0     2 -24.5 -24.5     W    False
    """
    side = max(field.side // 20, 1)
    step = max(side // 3, 1)
    corners = loops(
        top=np.arange(0, max(field.height - 1, 1), step),
        left=np.arange(0, max(field.width - 1, 1), step),
    )
    table = pd.DataFrame(
        {
            "side": side,
            "x": corners["left"] + (side - field.width) / 2,
            "y": corners["top"] + (side - field.height) / 2,
            "aliased": False,
        }
    )
    reach = np.full(len(table), side / 2)
    table["clipped"] = leaves(field, table, reach, reach)
    planes = BlockPlanes(torch.from_numpy(corners.to_numpy().copy()), side, field.size)
    return compose("blocks", field, table, eight_colors(field.colors, "WKRGBYCM"), planes)
