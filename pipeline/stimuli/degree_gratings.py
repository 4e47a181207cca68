"""Sine gratings in degrees of visual angle, with hard edges, as in studies of visual cortex.

A grating is ``contrast * sin(2 pi f (x cos t + y sin t) + phase)`` about its center, x right and y
down. So the orientation t is the direction in which it changes, in degrees **clockwise** on the
screen from rightward: at 0 the stripes are vertical. (Those of ``sin1`` turn counterclockwise.)

Source: brain-score/vision, ``marques_stim_common.py``, as described by Marques, Schrimpf & DiCarlo
(2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.stimuli.canvas import pixels, precision
from pipeline.stimuli.field import Field
from pipeline.stimuli.gratings import NYQUIST, GratingPlanes
from pipeline.stimuli.looks import Looks, contrasts_and_phases
from pipeline.stimuli.options import checks_options
from pipeline.stimuli.parameters import (
    cosine_and_sine,
    in_degrees,
    leaves,
    leaves_screen,
    loops,
)
from pipeline.stimuli.stimulus_set import StimulusSet, compose

BORDER = 1e-9  # pixels by which radii are longer, so that rounding does not undo "inclusive"
NEEDED = ("orientation", "frequency_per_degree", "diameter_degrees")
CONTRASTS = np.logspace(-2, 0, 12)
FREQUENCIES = tuple(2.0**octave for octave in (-0.375, 0.625, 1.625, 2.625))  # per degree


@dataclass(frozen=True, eq=False)
class RingPlanes:
    """Draws one or more gratings in rings about the same place.

    Of each grating: x, y, cosine and sine of the orientation counterclockwise, frequency, outer
    and inner radius; both radii are inside the figure or not as ``r <= outer`` and ``r > inner``.
    """

    gratings: Float[Tensor, "geometries gratings 7"]

    def __call__(
        self, geometries: Int[Tensor, " n"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n k height width"]:
        """Return the cosine and the sine of every grating, 0 outside of its ring."""
        drawn: list[Tensor] = []
        for grating in self.gratings.unbind(1):
            planes = GratingPlanes(grating[:, :6])(geometries, canvas, device)
            if (grating[:, 6] >= 0).any():
                planes *= self._beyond(grating[geometries], canvas, device)[:, None]
            drawn.append(planes)
        return torch.cat(drawn, 1)

    @staticmethod
    def _beyond(
        gratings: Float[Tensor, "n 7"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n height width"]:
        x0, y0, *_, inner = gratings.to(device, precision(device)).T[:, :, None]
        y, x = pixels(canvas, device)
        across, down = (x - x0).square()[:, None, :], (y - y0).square()[:, :, None]
        hole = torch.where(inner < 0, -1.0, inner.square())
        return (across + down > hole[..., None]).float()


def in_pixels(field: Field, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of gratings in degrees with the same in pixels, and with its flags.

    Args:
        field: the canvas and the screen.
        table: one row per geometry: ``orientation``, ``frequency_per_degree``,
            ``diameter_degrees``, which may be infinite, and ``x_degrees`` and ``y_degrees`` right
            of and below the center of stimuli, 0 if not given; other columns are kept.

    Returns:
        The table with ``x``, ``y`` (pixels from the center of the field), ``diameter`` (pixels),
        ``frequency`` (cycles per pixel), each followed by its value in degrees; and the flags
        ``leaves_field`` (the disc reaches beyond the receptive field, where no unit sees it),
        ``aliased`` (more than half a cycle per pixel along an axis) and ``clipped`` (the disc
        leaves the screen).

    Raises:
        ConfigError: a column is missing or has a value that cannot be.

    >>> from pipeline.stimuli.field import Screen
    >>> field = Field(51, 51, screen=Screen(224, 224))
    >>> grating = {"orientation": 0.0, "frequency_per_degree": 14.672, "diameter_degrees": 1.0}
    >>> in_pixels(field, pd.DataFrame([grating]))[["diameter", "aliased", "clipped"]]
       diameter  aliased  clipped
    0      28.0     True    False
    """
    _check(table)
    scale = field.seen.pixels_per_degree
    own = {"x_degrees", "y_degrees", *NEEDED}
    rest = table.drop(columns=[name for name in table if name in own])
    names = ("x_degrees", "y_degrees")
    place = [table[name] if name in table else pd.Series(0.0, table.index) for name in names]
    drawn = pd.DataFrame(
        {
            "x": place[0] * scale + field.shift[0],
            "y": place[1] * scale + field.shift[1],
            "orientation": table["orientation"].astype(float),
            "frequency": table["frequency_per_degree"] / scale,
            "diameter": table["diameter_degrees"] * scale,
        }
    )
    reach = np.where(np.isinf(drawn["diameter"]), 0.0, drawn["diameter"] / 2)
    flags = {
        "leaves_field": leaves(field, drawn, reach, reach),
        "aliased": too_fine(drawn),
        "clipped": leaves_screen(field, drawn, reach, reach),
    }
    return pd.concat([rest, in_degrees(drawn, scale)], axis=1).assign(**flags)


def too_fine(gratings: pd.DataFrame) -> np.ndarray:
    """Return which gratings have more than half a cycle per pixel along an axis.

    >>> fine = {"frequency": [0.5, 0.6, 0.6], "orientation": [0.0, 90.0, 45.0]}
    >>> too_fine(pd.DataFrame(fine)).tolist()
    [False, True, False]
    """
    cosine, sine = cosine_and_sine(gratings["orientation"].to_numpy())
    along = np.maximum(np.abs(cosine), np.abs(sine))
    return gratings["frequency"].to_numpy() * along > NYQUIST + 1e-12


def _check(table: pd.DataFrame) -> None:
    if missing := [name for name in NEEDED if name not in table]:
        raise ConfigError(
            f"stimulus.gratings.table: lacks the columns {', '.join(missing)}; it needs "
            f"{', '.join(NEEDED)}, in degrees, and may have x_degrees and y_degrees"
        )
    for name in ("x_degrees", "y_degrees", *NEEDED):
        if name not in table:
            continue
        values = np.asarray(pd.to_numeric(table[name], errors="coerce"), dtype=float)
        positive, endless = name in NEEDED[1:], name == "diameter_degrees"
        wrong = np.isnan(values) | (positive & (values <= 0)) | (np.isinf(values) & (not endless))
        if wrong.any():
            row = int(wrong.argmax())
            raise ConfigError(
                f"stimulus.gratings.table: {name} is {table[name].iloc[row]} in row {row}; it must "
                f"be a {'positive' if positive else 'finite'} number"
            )


def ring(table: pd.DataFrame, inner: np.ndarray | None = None) -> Float[Tensor, "geometries 7"]:
    """Return what ``RingPlanes`` needs of one grating of each geometry.

    Args:
        table: in pixels, as from ``in_pixels``.
        inner: radii of holes, in pixels; no hole if not given.

    >>> grating = {"x": 0.0, "y": 0.0, "orientation": 90.0, "frequency": 0.1, "diameter": 4.0}
    >>> ring(pd.DataFrame([grating])).tolist()[0][2:5]
    [0.0, -1.0, 0.1]
    """
    cosine, sine = cosine_and_sine(table["orientation"].to_numpy())
    outer = table["diameter"].to_numpy() / 2 + BORDER
    hole = np.full(len(table), -1.0) if inner is None else inner + BORDER
    columns = [table["x"], table["y"], cosine, -sine, table["frequency"], outer, hole]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float64))


def grating_set(name: str, field: Field, table: pd.DataFrame, looks: Looks) -> StimulusSet:
    """Return the set of all gratings of a table in degrees, in all looks of their two planes.

    >>> from pipeline.stimuli.field import Screen
    >>> field = Field(51, 51, screen=Screen(224, 224))
    >>> table = loops(orientation=[0.0], frequency_per_degree=[3.0], diameter_degrees=[1.0])
    >>> looks = contrasts_and_phases(field.colors, [1.0], [0.0, 180.0])
    >>> len(grating_set("own", field, table, looks))
    2
    """
    drawn = in_pixels(field, table.reset_index(drop=True))
    return compose(name, field, drawn, looks, RingPlanes(ring(drawn)[:, None]))


def evenly(phases: int) -> tuple[float, ...]:
    """Return phases evenly spaced over 360 degrees.

    >>> evenly(4)
    (0.0, 90.0, 180.0, 270.0)
    """
    return tuple(360.0 * k / phases for k in range(phases))


@checks_options
def gratings(
    field: Field,
    table: pd.DataFrame | str | Path,
    contrasts: Sequence[float] = (1.0,),
    phases: int = 8,
) -> StimulusSet:
    """Return the gratings of a table, such as the preferred one of each unit.

    Loops, slowest first: the rows of the table, contrast, phase.

    Args:
        field: the canvas, its colors and the screen.
        table: one row per grating, or the path of a CSV file: ``orientation`` (degrees clockwise),
            ``frequency_per_degree``, ``diameter_degrees``, and, if not 0, ``x_degrees`` and
            ``y_degrees``; other columns are kept.
        contrasts: from 0 to 1.
        phases: how many, evenly spaced over 360 degrees.

    >>> from pipeline.stimuli.field import Screen
    >>> field = Field(51, 51, screen=Screen(224, 224))
    >>> best = loops(orientation=[30.0], frequency_per_degree=[2.0], diameter_degrees=[1.5])
    >>> gratings(field, best, contrasts=[0.1, 1.0]).table["contrast"].unique().tolist()
    [0.1, 1.0]
    """
    contents = None
    if not isinstance(table, pd.DataFrame):
        path = Path(table).expanduser()
        if not path.is_file():
            raise ConfigError(f"stimulus.gratings.table: there is no file {path}")
        read = path.read_bytes()
        table, contents = pd.read_csv(BytesIO(read)), sha256(read).hexdigest()
    looks = contrasts_and_phases(field.colors, contrasts, evenly(phases))
    return replace(grating_set("gratings", field, table, looks), contents=contents)


@checks_options
def contrast_series(
    field: Field,
    contrasts: Sequence[float] | None = None,
    orientations: int = 6,
    frequencies: Sequence[float] = (0.75, 1.5, 3.0, 6.0),
    diameters: Sequence[float] = (2.0,),
    phases: int = 8,
) -> StimulusSet:
    """Return gratings of 12 contrasts, from .01 to 1 and even in the logarithm.

    Loops, slowest first: diameter, frequency, orientation, contrast, phase.

    Args:
        field: the canvas, its colors and the screen.
        contrasts: from 0 to 1; those 12 if not given.
        orientations: how many, evenly spaced over 180 degrees.
        frequencies: in cycles per degree.
        diameters: in degrees.
        phases: how many, evenly spaced over 360 degrees.

    >>> from pipeline.stimuli.field import Screen
    >>> len(contrast_series(Field(51, 51, screen=Screen(224, 224))))
    2304
    """
    table = loops(
        diameter_degrees=diameters,
        frequency_per_degree=frequencies,
        orientation=np.arange(orientations) * (180 / orientations),
    )
    shown = CONTRASTS.tolist() if contrasts is None else contrasts
    looks = contrasts_and_phases(field.colors, shown, evenly(phases))
    return grating_set("contrast_series", field, table, looks)
