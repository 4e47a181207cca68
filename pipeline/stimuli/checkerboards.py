"""Checkerboards over the whole field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.stimuli.canvas import pixels
from pipeline.stimuli.field import Field
from pipeline.stimuli.looks import polarities
from pipeline.stimuli.options import checks_options
from pipeline.stimuli.parameters import loops
from pipeline.stimuli.stimulus_set import StimulusSet, compose


@dataclass(frozen=True, eq=False)
class CheckPlanes:
    """Draws checkerboards: side of the checks in pixels, and shift in x and y."""

    boards: Int[Tensor, "boards 3"]

    def __call__(
        self, geometries: Int[Tensor, " n"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n 1 height width"]:
        """Return 1 in every other check, among them the one below and right of the shift."""
        check, x0, y0 = self.boards[geometries].to(device).T[:, :, None]
        y, x = pixels(canvas, device)
        down, across = ((y - y0) / check).floor(), ((x - x0) / check).floor()
        odd = (down[:, :, None] + across[:, None, :]).remainder(2)
        return (1 - odd).float()[:, None]


@checks_options
def checkerboards(field: Field, checks: Sequence[int] | None = None) -> StimulusSet:
    """Return checkerboards of several sizes of checks and four places, in both polarities.

    Loops, slowest first: check, x, y (0 and half a check: where the corner of four checks lies),
    polarity (+1: white below and right of that corner).

    Args:
        field: the canvas and its colors.
        checks: sides of checks in whole pixels; a half, quarter, eighth and sixteenth of the field
            if not given.

    >>> checkerboards(Field(4, 4), checks=[2]).draw([0])[0, 0].tolist()[0]
    [1.0, 1.0, -1.0, -1.0]
    """
    if checks is None:
        checks = sorted({max(field.side // part, 1) for part in (2, 4, 8, 16)}, reverse=True)
    tables = []
    for check in checks:
        places = sorted({0, check // 2})
        tables.append(loops(check=[check], x=places, y=places))
    table = pd.concat(tables, ignore_index=True)
    planes = CheckPlanes(torch.from_numpy(table.to_numpy().copy()))
    table = table.assign(aliased=False, clipped=False)
    return compose("checkerboards", field, table, polarities(field.colors), planes)
