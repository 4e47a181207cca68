"""Drifting edges: a border between black and white that moves across the field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.stimuli.canvas import pixels, precision
from pipeline.stimuli.field import Field
from pipeline.stimuli.looks import polarities
from pipeline.stimuli.options import checks_options
from pipeline.stimuli.parameters import cosine_and_sine, loops
from pipeline.stimuli.stimulus_set import StimulusSet, compose


@dataclass(frozen=True, eq=False)
class EdgePlanes:
    """Draws half planes: cosine and sine of the direction, and how far the edge has come."""

    edges: Float[Tensor, "edges 3"]

    def __call__(
        self, geometries: Int[Tensor, " n"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n 1 height width"]:
        """Return the coverage behind the edge, which fades over one pixel."""
        edges = self.edges[geometries].to(device, precision(device))
        cosine, sine, position = edges.T[:, :, None]
        y, x = pixels(canvas, device)
        ahead = (x * cosine - position)[:, None, :] - (y * sine)[:, :, None]
        return (0.5 - ahead).clamp_(0, 1).float()[:, None]


@checks_options
def drifting_edges(field: Field, directions: int = 8, frames: int = 16) -> StimulusSet:
    """Return an edge that drifts over the field, frame by frame.

    Loops, slowest first: direction (degrees counterclockwise from rightward on the screen),
    position (pixels from the center along the direction), polarity (+1: white follows black). The
    frames are evenly spaced from one end of the field to the other, half a step inside.

    Args:
        field: the canvas and its colors.
        directions: how many, evenly spaced over 360 degrees.
        frames: of each direction.

    >>> drifting_edges(Field(1, 4), directions=1, frames=2).draw([0, 2])[:, 0, 0].tolist()
    [[1.0, -1.0, -1.0, -1.0], [1.0, 1.0, 1.0, -1.0]]
    """
    table = loops(direction=np.arange(directions) * (360 / directions), frame=np.arange(frames))
    cosine, sine = cosine_and_sine(table["direction"].to_numpy())
    reach = (field.width * np.abs(cosine) + field.height * np.abs(sine)) / 2
    table["position"] = reach * ((2 * table["frame"] + 1) / frames - 1)
    columns = np.stack([cosine, sine, table["position"]], axis=1)
    planes = EdgePlanes(torch.from_numpy(columns))
    table = table.assign(aliased=False, clipped=False)
    return compose("drifting_edges", field, table, polarities(field.colors), planes)
