"""Bars whose positions step by the layer's stride, so that one wide presentation answers all."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.stimuli.bars import ASPECTS, LENGTHS, bar_planes, bar_table
from pipeline.stimuli.field import Field
from pipeline.stimuli.looks import polarities
from pipeline.stimuli.parameters import ORIENTATIONS
from pipeline.stimuli.stimulus_set import Shifts, StimulusSet, compose


def bars_on_stride(field: Field) -> StimulusSet:
    """Return the bars of 4a at positions that step by the layer's stride.

    Positions are -k to k strides on both axes, k the whole part of the field's extent by two
    strides. Loops, slowest first: length, width, x, y, orientation, polarity. The columns
    ``step_x`` and ``step_y`` are positions in strides, and ``figure`` numbers the 96 bars apart
    from position and polarity. One presentation of a figure on a wide canvas answers for all of
    its positions: see ``shifts``.

    >>> bars = bars_on_stride(Field(51, 51, stride=8))
    >>> len(bars), bars.shifts.rows.shape, bars.shifts.margin
    (9408, torch.Size([96, 2, 7, 7]), (24, 24))
    """
    down, across = (extent // (2 * field.stride) for extent in field.size)
    step_x, step_y = np.arange(-across, across + 1), np.arange(-down, down + 1)
    x, y = step_x * float(field.stride), step_y * float(field.stride)
    table = bar_table(field, lambda _: {"x": x, "y": y})
    kinds, turns = len(LENGTHS) * len(ASPECTS), len(ORIENTATIONS)
    loop = np.arange(len(table)).reshape(kinds, len(step_x), len(step_y), turns)
    figure = np.empty_like(loop)
    figure[:] = np.arange(kinds * turns).reshape(kinds, 1, 1, turns)
    table.insert(0, "figure", figure.ravel())
    table.insert(5, "step_x", np.rint(table["x"] / field.stride).astype(int))
    table.insert(6, "step_y", np.rint(table["y"] / field.stride).astype(int))
    at = torch.from_numpy(loop).permute(0, 3, 2, 1).flatten(0, 1)  # figures, y, x
    # A unit below the center sees the figure above its own center: the map is turned around.
    geometries = at.flip(1, 2)
    looks = polarities(field.colors)
    rows = geometries[:, None] * len(looks) + torch.arange(len(looks))[:, None, None]
    shifts = Shifts(field.stride, (down, across), at[:, down, across].contiguous(), rows)
    return compose("bars_on_stride", field, table, looks, bar_planes(table), shifts)
