"""The gratings with which single cells of V1 were characterized, in degrees of visual angle.

All are in discs at contrast 1; ``degree_gratings`` says how orientation and phase count. ``blank``
is what is around them.

Source: Marques, Schrimpf & DiCarlo (2021), bioRxiv 2021.03.01.433495; brain-score/vision,
``marques_gen_stim.py``. There, gratings lie .5 degrees right of and below the center of an image
(``screen.center=[0.5,0.5]`` here), are drawn at twice the resolution of an input of 224 pixels and
8 degrees, and are cut to 8 bits; here, they are drawn at the network's own resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.stimuli.degree_gratings import FREQUENCIES, evenly, grating_set
from pipeline.stimuli.field import Field
from pipeline.stimuli.looks import contrasts_and_phases, figures
from pipeline.stimuli.options import checks_options
from pipeline.stimuli.parameters import loops
from pipeline.stimuli.stimulus_set import StimulusSet, compose

STEPS = np.arange(-10, 11)  # positions of the receptive field set, each a quarter of a degree
FINE = 2.0 ** np.arange(-1.375, 3.9, 0.25)  # 22 frequencies, a quarter of an octave apart
DIAMETERS = 2.0 ** np.arange(-2.25, 3.3, 0.5)  # 12 in degrees, half an octave apart


@dataclass(frozen=True)
class BlankPlanes:
    """Draws nothing."""

    def __call__(
        self, geometries: Int[Tensor, " n"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n 1 height width"]:
        """Return a plane of zeros."""
        return torch.zeros(len(geometries), 1, *canvas, device=device)


def blank(field: Field) -> StimulusSet:
    """Return one stimulus, the background alone, whose response is that to a blank screen.

    >>> blank(Field(3, 3)).draw([0]).unique().tolist()
    [0.0]
    """
    gray = [field.colors.gray]
    table = pd.DataFrame({"aliased": [False], "clipped": [False]})
    return compose("blank", field, table, figures({}, gray, gray), BlankPlanes())


def _set(name: str, field: Field, table: pd.DataFrame, phases: tuple[float, ...]) -> StimulusSet:
    return grating_set(name, field, table, contrasts_and_phases(field.colors, [1.0], phases))


def marques_receptive_field(field: Field) -> StimulusSet:
    """Return small gratings on a grid of positions, 3528 in all.

    Loops, slowest first: x, y (-2.5 to 2.5 degrees in steps of .25; ``step_x`` and ``step_y`` count
    them from -10), orientation (0, 45, 90, 135), phase (0, 180). Each is one cycle, a third of a
    degree. Those that lie outside the receptive field show the background alone.

    >>> from pipeline.stimuli.field import Screen
    >>> len(marques_receptive_field(Field(51, 51, screen=Screen(224, 224))))
    3528
    """
    table = loops(step_x=STEPS, step_y=STEPS, orientation=np.arange(0.0, 180.0, 45.0))
    table = table.assign(
        x_degrees=table["step_x"] / 4,
        y_degrees=table["step_y"] / 4,
        frequency_per_degree=3.0,
        diameter_degrees=1 / 3,
    )
    return _set("marques_receptive_field", field, table, (0.0, 180.0))


@checks_options
def marques_orientation(field: Field, phases: int = 8) -> StimulusSet:
    """Return gratings of 12 orientations, 1152 in all.

    Loops, slowest first: cycles in the disc (2, 3, 4), frequency (.77, 1.54, 3.08, 6.17 cycles per
    degree), orientation (0 to 165 degrees in steps of 15), phase.

    Args:
        field: the canvas, its colors and the screen.
        phases: how many, evenly spaced over 360 degrees; 8 as published.

    >>> from pipeline.stimuli.field import Screen
    >>> len(marques_orientation(Field(51, 51, screen=Screen(224, 224))))
    1152
    """
    table = loops(
        cycles=[2, 3, 4],
        frequency_per_degree=FREQUENCIES,
        orientation=np.arange(0.0, 180.0, 15.0),
    )
    table["diameter_degrees"] = table["cycles"] / table["frequency_per_degree"]
    return _set("marques_orientation", field, table, evenly(phases))


@checks_options
def marques_spatial_frequency(field: Field, phases: int = 8) -> StimulusSet:
    """Return gratings of 22 frequencies, 2112 in all.

    Loops, slowest first: diameter (1.5 and 4.5 degrees), frequency (.386 to 14.67 cycles per
    degree, a quarter of an octave apart), orientation (0 to 150 degrees in steps of 30), phase.

    Args:
        field: the canvas, its colors and the screen.
        phases: how many, evenly spaced over 360 degrees; 8 as published.

    >>> from pipeline.stimuli.field import Screen
    >>> len(marques_spatial_frequency(Field(51, 51, screen=Screen(224, 224))))
    2112
    """
    table = loops(
        diameter_degrees=[1.5, 4.5],
        frequency_per_degree=FINE,
        orientation=np.arange(0.0, 180.0, 30.0),
    )
    return _set("marques_spatial_frequency", field, table, evenly(phases))


@checks_options
def marques_size(field: Field, phases: int = 8) -> StimulusSet:
    """Return gratings of 12 sizes, 2304 in all.

    Loops, slowest first: diameter (.21 to 9.51 degrees, half an octave apart), frequency (.77,
    1.54, 3.08, 6.17 cycles per degree), orientation (0 to 150 degrees in steps of 30), phase.

    Args:
        field: the canvas, its colors and the screen.
        phases: how many, evenly spaced over 360 degrees; 8 as published.

    >>> from pipeline.stimuli.field import Screen
    >>> len(marques_size(Field(51, 51, screen=Screen(224, 224))))
    2304
    """
    table = loops(
        diameter_degrees=DIAMETERS,
        frequency_per_degree=FREQUENCIES,
        orientation=np.arange(0.0, 180.0, 30.0),
    )
    return _set("marques_size", field, table, evenly(phases))
