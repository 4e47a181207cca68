"""Gratings in color: isoluminant, cone-isolating; and those of spatial opponency, in gray.

Those in color are gray .5 plus and minus a direction of linear light, which pixel values are taken
to be; ``degree_gratings`` says how orientation and phase count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from pipeline.analysis.cone_colors import (
    GRAY,
    cardinal_directions,
    cone_contrasts,
    cone_directions,
    isoluminant,
)
from pipeline.errors import ConfigError
from pipeline.stimuli.degree_gratings import RingPlanes, evenly, grating_set, ring, too_fine
from pipeline.stimuli.field import Field
from pipeline.stimuli.looks import Looks, sine_weights
from pipeline.stimuli.options import checks_options
from pipeline.stimuli.parameters import loops
from pipeline.stimuli.stimulus_set import StimulusSet
from pipeline.stimuli.uniform_colors import around, by_cone, needs_three, on_gray

CONE_NAMES = ("L", "M", "S", "luminance")
TURNS = 6  # orientations, 30 degrees apart


def _looks(
    field: Field,
    columns: dict[str, np.ndarray],
    directions: Float[np.ndarray, "looks 3"],
    cones: str,
) -> Looks:
    """Return gratings that swing along directions of RGB; ``columns`` has their phase."""
    turns = sine_weights(columns["phase"])
    excited = by_cone(cone_contrasts(GRAY + directions, cones))
    added = turns[:, :, None] * directions[:, None, :]
    return on_gray(field.colors, {**columns, **excited}, added, np.full((1, 3), GRAY))


def _table(frequencies: Sequence[float], diameter: float) -> pd.DataFrame:
    return loops(
        frequency_per_degree=frequencies,
        orientation=np.arange(TURNS) * (180 / TURNS),
        diameter_degrees=[diameter],
    )


@checks_options
def isoluminant_gratings(
    field: Field,
    hues: int = 24,
    contrasts: Sequence[float] = (0.25, 0.5, 1.0),
    frequencies: Sequence[float] = (0.75, 1.5, 3.0),
    diameter: float = 2.0,
    phases: int = 8,
) -> StimulusSet:
    """Return gratings between opposite hues of the isoluminant circle, of Smith-Pokorny cones.

    Loops, slowest first: frequency, orientation (6), hue (degrees from L - M towards S), contrast
    (1 is the most that all hues can have), phase. Hues go half around, since the opposite hue is
    the same grating half a cycle later. ``l_contrast``, ``m_contrast``, ``s_contrast`` are those at
    the grating's crest, and ``cone_contrast`` is their root mean square.

    Args:
        field: the canvas, its colors of 3 channels, and the screen.
        hues: how many there are around the circle, an even number, of which half are drawn.
        contrasts: from 0 to 1.
        frequencies: in cycles per degree.
        diameter: in degrees.
        phases: how many, evenly spaced over 360 degrees.

    >>> from pipeline.stimuli.field import Screen
    >>> len(isoluminant_gratings(Field(9, 9, screen=Screen(96, 96))))
    5184
    """
    name = "isoluminant_gratings"
    needs_three(name, field)
    if hues % 2:
        raise ConfigError(f"stimulus.{name}.hues: {hues} is not an even number")
    table = loops(hue=around(hues // 2, 180.0), contrast=contrasts, phase=evenly(phases))
    columns = {str(column): table[column].to_numpy() for column in table}
    directions = isoluminant(columns["hue"]) * columns["contrast"][:, None]
    looks = _looks(field, columns, directions, "smith_pokorny")
    return grating_set(name, field, _table(frequencies, diameter), looks)


@checks_options
def cone_gratings(
    field: Field,
    contrasts: Sequence[float] = (0.25, 0.5, 1.0),
    frequencies: Sequence[float] = (0.75, 1.5, 3.0),
    diameter: float = 2.0,
    phases: int = 8,
    cones: str = "smith_pokorny",
) -> StimulusSet:
    """Return gratings that only the L, the M or the S cones see, and such of luminance.

    Loops, slowest first: frequency, orientation (6), cone (L, M, S, luminance), contrast (of the
    largest that pixels can show: ``l_contrast``, ``m_contrast`` and ``s_contrast`` say how much
    that is, and ``cone_contrast`` their root mean square), phase.

    Args:
        field: the canvas, its colors of 3 channels, and the screen.
        contrasts: from 0 to 1.
        frequencies: in cycles per degree.
        diameter: in degrees.
        phases: how many, evenly spaced over 360 degrees.
        cones: ``smith_pokorny`` or ``hunt_pointer_estevez``.

    >>> from pipeline.stimuli.field import Screen
    >>> gratings = cone_gratings(Field(9, 9, screen=Screen(96, 96)), contrasts=[1.0], phases=1)
    >>> gratings.table[["cone", "l_contrast", "m_contrast", "s_contrast"]].head(4).round(3)
            cone  l_contrast  m_contrast  s_contrast
    0          L       0.191       0.000       0.000
    1          M       0.000       0.225       0.000
    2          S       0.000       0.000       0.859
    3  luminance       1.000       1.000       1.000
    """
    name = "cone_gratings"
    needs_three(name, field)
    along = np.concatenate([cone_directions(cones), cardinal_directions(cones)[:1]])
    table = loops(cone=range(4), contrast=contrasts, phase=evenly(phases))
    directions = along[table["cone"]] * table[["contrast"]].to_numpy()
    columns = {str(column): table[column].to_numpy() for column in table}
    columns["cone"] = np.asarray(CONE_NAMES)[columns["cone"]]
    looks = _looks(field, columns, directions, cones)
    return grating_set(name, field, _table(frequencies, diameter), looks)


@checks_options
def spatial_opponency(field: Field, image: float = 32.0) -> StimulusSet:
    """Return the gratings of the whole field, black to white, by which spatial opponency is found.

    Pixels are ``1/2 + cos(2 pi (f u / image - phase)) / 2``, with u = x cos(90 - t) - y sin(90 - t)
    from the center of the field, x right and y **up**. Loops, slowest first: orientation t (0 to
    180 in steps of 20: both ends), phase (0 to 1 cycle in steps of .2: both ends), cycles f (1 to
    16): 960 in all, some of which are equal.

    Args:
        field: the canvas and its colors.
        image: pixels of the network in which there are f cycles.

    Source: ecs-vlc/opponency, ``spatial_opponency.py`` and ``gratings.py``, whose images of 32
    pixels are drawn with textures of 128 levels and rounded to 8 bits.

    >>> spatial_opponency(Field(32, 32)).table.loc[[17], ["orientation", "phase_cycles", "cycles"]]
        orientation  phase_cycles  cycles
    17          0.0           0.2       2
    """
    turns = np.arange(0.0, 181.0, 20.0)
    # y down, u grows along (sin t, cos t): 90 - t clockwise from rightward.
    gratings = loops(orientation=90.0 - turns, cycles=np.arange(1, 17))
    gratings = gratings.assign(x=0.0, y=0.0, frequency=gratings["cycles"] / image, diameter=np.inf)
    rows = loops(orientation=turns, step=np.arange(6), cycles=np.arange(1, 17))
    geometry = (rows["orientation"] // 20 * 16 + rows["cycles"] - 1).to_numpy().astype(np.int64)
    table = pd.DataFrame(
        {
            "orientation": rows["orientation"],
            "phase_cycles": rows["step"] / 5,
            "cycles": rows["cycles"],
            "frequency": rows["cycles"] / image,
            "aliased": too_fine(gratings)[geometry],
            "clipped": False,
        }
    )
    # cos(a - p) = cos p cos a + sin p sin a; both ends of the phases are exactly the same.
    turned = sine_weights(90.0 - rows["step"].to_numpy() % 5 * 72.0)
    colors = field.colors
    half = (np.asarray(colors.white) - np.asarray(colors.black)) / 2
    middle = colors.of_pixels(np.full((len(rows), colors.channels), 0.5))
    return StimulusSet(
        "spatial_opponency",
        field.size,
        table,
        torch.from_numpy(geometry),
        torch.from_numpy(middle).float(),
        torch.from_numpy(turned[:, :, None] * half).float(),
        RingPlanes(ring(gratings)[:, None]),
    )
