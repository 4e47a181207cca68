"""Sine gratings in discs: the published sets sin1, sine_1 and sine_2.

Source: tonyfu97/RF-Mapping, ``grating.py``, after W. Bair.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.stimuli.canvas import pixels, precision
from pipeline.stimuli.field import Field
from pipeline.stimuli.looks import phases
from pipeline.stimuli.options import checks_options
from pipeline.stimuli.parameters import ORIENTATIONS, cosine_and_sine, leaves, loops, placed
from pipeline.stimuli.stimulus_set import StimulusSet, compose

DIAMETERS = (48 / 64, 24 / 64, 12 / 64, 6 / 64)  # of the field's shorter side
FREQUENCIES = (0.02, 0.04, 0.08, 0.16, 0.32)  # cycles per pixel
NYQUIST = 0.5  # cycles per pixel


@dataclass(frozen=True, eq=False)
class GratingPlanes:
    """Draws gratings in discs: x, y, cosine and sine of the orientation, frequency, diameter/2."""

    gratings: Float[Tensor, "gratings 6"]

    def __call__(
        self, geometries: Int[Tensor, " n"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n 2 height width"]:
        """Return the cosine and the sine of every grating, 0 outside of its disc."""
        gratings = self.gratings[geometries].to(device, precision(device))
        x0, y0, cosine, sine, frequency, radius = gratings.T[:, :, None]
        y, x = pixels(canvas, device)
        down, across = y - y0, x - x0
        inside = (
            across.square()[:, None, :] + down.square()[:, :, None] < radius.square()[..., None]
        )
        # cos(a - b) and sin(a - b) from those of both axes: no cosine of every pixel is needed.
        a = 2 * math.pi * frequency * cosine * across
        b = 2 * math.pi * frequency * sine * down
        cos_a, sin_a = a.cos().float()[:, None, :], a.sin().float()[:, None, :]
        cos_b, sin_b = b.cos().float()[:, :, None], b.sin().float()[:, :, None]
        planes = torch.stack([cos_a * cos_b + sin_a * sin_b, sin_a * cos_b - cos_a * sin_b], dim=1)
        return planes.mul_(inside[:, None])


def _compose(name: str, field: Field, table: pd.DataFrame, degrees: Sequence[int]) -> StimulusSet:
    cosine, sine = cosine_and_sine(table["orientation"].to_numpy())
    frequency, radius = table["frequency"].to_numpy(), table["diameter"].to_numpy() / 2
    finest = frequency * np.maximum(np.abs(cosine), np.abs(sine))
    table = table.assign(aliased=finest > NYQUIST, clipped=leaves(field, table, radius, radius))
    columns = np.stack([table["x"], table["y"], cosine, sine, frequency, radius], axis=1)
    renderer = GratingPlanes(torch.from_numpy(columns.astype(np.float64)))
    return compose(name, field, table, phases(field.colors, degrees), renderer)


@checks_options
def sin1(field: Field, frequencies: Sequence[float] = FREQUENCIES) -> StimulusSet:
    """Return the gratings of the published set sin1, for mapping receptive fields.

    A grating is ``cos(2 pi f (x cos t - y sin t) - phase)`` about the center of its disc, x right
    and y down: the wave vector points t degrees counterclockwise from rightward on the screen.
    Loops, slowest first: diameter (48, 24, 12 and 6/64 of the field), frequency, x, y, orientation
    (0 to 157.5 degrees in steps of 22.5), phase (0, 90, 180, 270). The published numbers count y
    up, so ``y`` falls along its loop; ``published_y`` has the published sign. Aliased are gratings
    of more than half a cycle per pixel along an axis.

    Args:
        field: the canvas and its colors.
        frequencies: in cycles per pixel; the published ones if not given.

    >>> sin1(Field(51, 51)).table.loc[[0], ["x", "y", "published_y", "frequency", "phase"]]
            x       y  published_y  frequency  phase
    0 -19.125  19.125      -19.125       0.02      0
    """
    tables = []
    for diameter in (fraction * field.side for fraction in DIAMETERS):
        grid = placed(field, diameter)
        places = {"x": grid["x"], "published_y": grid["y"]}
        table = loops(frequency=frequencies, **places, orientation=ORIENTATIONS)
        table.insert(0, "diameter", diameter)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    table.insert(3, "y", 0.0 - table["published_y"])
    return _compose("sin1", field, table, (0, 90, 180, 270))


def _centered(name: str, field: Field, frequencies: Sequence[float]) -> StimulusSet:
    diameters = field.side / math.sqrt(2) ** np.arange(7, -1, -1)
    table = loops(frequency=frequencies, orientation=ORIENTATIONS, diameter=diameters)
    table = table.assign(x=0.0, y=0.0)
    return _compose(name, field, table, tuple(range(0, 360, 45)))


def sine_1(field: Field) -> StimulusSet:
    """Return the centered gratings sine_1: five frequencies, an octave apart.

    Loops, slowest first: frequency (0.016 to 0.256 cycles per pixel), orientation (0 to 157.5
    degrees in steps of 22.5), diameter (the field by 8 sqrt(2) to the whole field, half an octave
    apart), phase (0 to 315 degrees in steps of 45).

    >>> len(sine_1(Field(51, 51)))
    2560
    """
    return _centered("sine_1", field, (0.016, 0.032, 0.064, 0.128, 0.256))


def sine_2(field: Field) -> StimulusSet:
    """Return the centered gratings sine_2: as sine_1, with ten frequencies half an octave apart.

    >>> len(sine_2(Field(51, 51)))
    5120
    """
    frequencies = (0.016, 0.023, 0.032, 0.045, 0.064, 0.091, 0.128, 0.181, 0.256, 0.362)
    return _centered("sine_2", field, frequencies)
