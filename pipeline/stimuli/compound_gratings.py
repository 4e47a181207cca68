"""Two gratings at once: plaids, and a center with a surround."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from pipeline.errors import ConfigError
from pipeline.stimuli.degree_gratings import RingPlanes, evenly, in_pixels, ring
from pipeline.stimuli.field import Colors, Field
from pipeline.stimuli.looks import Looks, sine_weights
from pipeline.stimuli.options import checks_options
from pipeline.stimuli.parameters import loops
from pipeline.stimuli.stimulus_set import StimulusSet, compose


def _two(colors: Colors, table: pd.DataFrame, second: str) -> Looks:
    """Return looks of two gratings with the same phase, each at its own contrast."""
    turns = sine_weights(table["phase"].to_numpy())
    both = np.concatenate([turns * table[[name]].to_numpy() for name in ("contrast", second)], 1)
    weights = torch.from_numpy(both[:, :, None] * np.asarray(colors.swing)).float()
    columns = {str(name): table[name].to_numpy() for name in table}
    return Looks(columns, torch.tensor([colors.gray] * len(table)), weights)


@checks_options
def plaids(
    field: Field,
    orientations: int = 6,
    frequencies: Sequence[float] = (0.75, 1.5, 3.0, 6.0),
    diameter: float = 2.0,
    mask_contrasts: Sequence[float] = (0.0, 0.0625, 0.125, 0.25, 0.5),
    phases: int = 8,
) -> StimulusSet:
    """Return gratings of contrast 0 and .5, under a second one that is orthogonal to them.

    With both in one disc, they show cross-orientation suppression. Loops, slowest first:
    frequency, orientation of the first, contrast of the first (0, .5), of the mask
    (``mask_contrast``), phase of both.

    Args:
        field: the canvas, its colors and the screen.
        orientations: how many, evenly spaced over 180 degrees.
        frequencies: in cycles per degree.
        diameter: in degrees.
        mask_contrasts: from 0 to .5.
        phases: how many, evenly spaced over 360 degrees.

    >>> from pipeline.stimuli.field import Screen
    >>> len(plaids(Field(51, 51, screen=Screen(224, 224))))
    1920
    """
    table = loops(
        frequency_per_degree=frequencies,
        orientation=np.arange(orientations) * (180 / orientations),
        diameter_degrees=[diameter],
    )
    drawn = in_pixels(field, table)
    mask = drawn.assign(orientation=(drawn["orientation"] + 90) % 180)
    planes = RingPlanes(torch.stack([ring(drawn), ring(mask)], 1))
    drawn.insert(0, "mask_orientation", mask["orientation"])
    shown = loops(contrast=[0.0, 0.5], mask_contrast=mask_contrasts, phase=evenly(phases))
    return compose("plaids", field, drawn, _two(field.colors, shown, "mask_contrast"), planes)


@checks_options
def center_surround(
    field: Field,
    orientations: int = 6,
    frequencies: Sequence[float] = (0.75, 1.5, 3.0, 6.0),
    diameters: Sequence[float] = (1.0, 4.0),
    surround_contrasts: Sequence[float] = (0.0, 0.25, 0.5, 1.0),
    phases: int = 8,
) -> StimulusSet:
    """Return a disc of a grating in a ring of another, parallel or orthogonal to it.

    Loops, slowest first: frequency, orientation of the center, angle between both (0: iso, 90:
    cross), contrast of the center (0, 1), of the surround (``surround_contrast``), phase of both.

    Args:
        field: the canvas, its colors and the screen.
        orientations: how many, evenly spaced over 180 degrees.
        frequencies: in cycles per degree.
        diameters: of the center, and of the ring's outer edge, in degrees; they touch.
        surround_contrasts: from 0 to 1.
        phases: how many, evenly spaced over 360 degrees.

    >>> from pipeline.stimuli.field import Screen
    >>> len(center_surround(Field(51, 51, screen=Screen(224, 224))))
    3072
    """
    if len(diameters) != 2 or not diameters[0] < diameters[1]:
        raise ConfigError(
            f"stimulus.center_surround.diameters: {list(diameters)} are not the diameters of a "
            "center and of a larger ring, in degrees"
        )
    table = loops(
        frequency_per_degree=frequencies,
        orientation=np.arange(orientations) * (180 / orientations),
        angle=[0.0, 90.0],
    )
    drawn = in_pixels(field, table.assign(diameter_degrees=diameters[1]))  # flags of the ring
    around = (drawn["orientation"] + drawn["angle"]) % 180
    radius = np.full(len(drawn), diameters[0] * field.seen.pixels_per_degree / 2)
    center = ring(drawn.assign(diameter=2 * radius))
    planes = RingPlanes(torch.stack([center, ring(drawn.assign(orientation=around), radius)], 1))
    drawn.insert(0, "surround_orientation", around)
    drawn.insert(0, "center_diameter_degrees", diameters[0])
    drawn.insert(0, "center_diameter", 2 * radius)
    shown = loops(contrast=[0.0, 1.0], surround_contrast=surround_contrasts, phase=evenly(phases))
    looks = _two(field.colors, shown, "surround_contrast")
    return compose("center_surround", field, drawn, looks, planes)
