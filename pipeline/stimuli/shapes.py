"""The 51 shapes of Pasupathy & Connor (2001, J Neurophysiol 86:2505) and their rotations.

Their outlines are closed cubic B-splines in coordinates of x right and y up, where the large disc
has a radius of 1.44. They are drawn y up, as published in 2001; tonyfu97/RF-Mapping draws them
mirrored top to bottom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.analysis.splines import signed_area_and_centroid, spline
from pipeline.errors import ConfigError
from pipeline.stimuli.canvas import precision
from pipeline.stimuli.field import Color, Field
from pipeline.stimuli.looks import figures, polarities
from pipeline.stimuli.options import checks_options
from pipeline.stimuli.parameters import cosine_and_sine, leaves, loops, placed
from pipeline.stimuli.polygons import coverage
from pipeline.stimuli.stimulus_set import StimulusSet, compose

SIZES = (48 / 64, 24 / 64, 12 / 64)  # of the field's shorter side
EXTENT = 4.0  # of the coordinates, which a size in pixels spans
UNION = 3.80515  # extent of all centered, rotated shapes together
VERTICES = 512  # of the polygon that is filled for an outline


@cache
def control_points() -> tuple[Float[np.ndarray, "points 2"], ...]:
    """Return the control points of the 51 shapes, x right and y up.

    >>> control_points()[1][:2].tolist()
    [[-1.6, 0.0], [-1.131, 1.131]]
    """
    table = _table()
    return tuple(part[["x", "y"]].to_numpy() for _, part in table.groupby("shape"))


@cache
def rotations() -> pd.DataFrame:
    """Return the 362 shapes: ``shape`` 0 to 50 and ``rotation`` in degrees counterclockwise.

    Of rotations by 45 degrees that look alike, once centered, there is only the first.

    >>> len(rotations()), rotations().loc[[1, 2, 3]].to_numpy().tolist()
    (362, [[1, 0], [2, 0], [2, 45]])
    """
    counts = _table().groupby("shape")["rotations"].first()
    pairs = [(shape, 45 * turn) for shape, count in enumerate(counts) for turn in range(count)]
    return pd.DataFrame(pairs, columns=["shape", "rotation"])


def named_shapes(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the shape and rotation of its ``best`` and ``worst`` of the 362.

    Where a number is -1 they are missing.

    >>> named_shapes(pd.DataFrame({"best": [3], "worst": [-1]})).iloc[0].tolist()
    [2, 45, <NA>, <NA>]
    """
    names = rotations()
    for which in ("best", "worst"):
        numbers = table[which].to_numpy()
        at = list(table.columns).index(which)
        table = table.drop(columns=which)
        for offset, name in enumerate(("shape", "rotation")):
            values = pd.array(names[name].to_numpy()[numbers], dtype="Int64")
            values[numbers < 0] = pd.NA
            table.insert(at + offset, f"{which}_{name}", values)
    return table


def _table() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).with_name("shapes.csv"), comment="#")


@cache
def outlines(centered: bool) -> Float[np.ndarray, "shapes vertices 2"]:
    """Return the polygons of the 362 shapes, x right and y up.

    Args:
        centered: on the center of their area, or where their control points are.

    >>> outlines(centered=True).shape
    (362, 512, 2)
    """
    drawn = []
    for control in control_points():
        center = signed_area_and_centroid(control)[1] if centered else 0.0
        drawn.append(spline(control, VERTICES) - center)
    table = rotations()
    x, y = np.moveaxis(np.stack(drawn)[table["shape"]], 2, 0)
    cosine, sine = (part[:, None] for part in cosine_and_sine(table["rotation"].to_numpy()))
    return np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=2)


@dataclass(frozen=True, eq=False)
class ShapePlanes:
    """Draws the coverage of shapes: which outline, where (y down), and pixels per unit.

    Attributes:
        polygons: outlines, x right and y up.
        which: outline of each geometry.
        places: x, y and scale of each geometry.
    """

    polygons: Float[Tensor, "shapes vertices 2"]
    which: Int[Tensor, " geometries"]
    places: Float[Tensor, "geometries 3"]

    def __call__(
        self, geometries: Int[Tensor, " n"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n 1 height width"]:
        """Return the coverage of every shape."""
        points = self.polygons[self.which[geometries]].to(device, precision(device))
        x, y, scale = self.places[geometries].to(device, precision(device)).T[:, :, None]
        vertices = torch.stack([x + scale * points[..., 0], y - scale * points[..., 1]], dim=2)
        return coverage(vertices, canvas)[:, None]


def _drawn(
    field: Field, table: pd.DataFrame, scale: np.ndarray, centered: bool
) -> tuple[pd.DataFrame, ShapePlanes]:
    """Return the table with its flags, and what draws its rows; ``figure`` numbers the outlines."""
    polygons = outlines(centered)
    which = table["figure"].to_numpy()
    reach = np.abs(polygons).max(1)[which] * scale[:, None]
    flagged = table.assign(aliased=False, clipped=leaves(field, table, reach[:, 0], reach[:, 1]))
    places = np.stack([table["x"], table["y"], scale], axis=1).astype(np.float64)
    tensors = (torch.from_numpy(part) for part in (polygons, which.copy(), places))
    return flagged, ShapePlanes(*tensors)


def _with_names(table: pd.DataFrame) -> pd.DataFrame:
    names = rotations().loc[table["figure"]].reset_index(drop=True)
    return pd.concat([table, names], axis=1)


def shapes(field: Field) -> StimulusSet:
    """Return the shapes of the published mapping protocol: white on black and black on white.

    Loops, slowest first: size (48, 24 and 12/64 of the field, in whole pixels), x, y, shape (0 to
    50), rotation, polarity. A size spans 4 units of the coordinates, whose origin, not the center
    of the area, lies at x and y.

    Source: tonyfu97/RF-Mapping, ``pasu_shape.py``; its pixels differ, since it draws every pixel
    that an outline touches, mirrors the shapes top to bottom, and exchanges x and y of positions.

    >>> len(shapes(Field(51, 51)))
    129596
    """
    tables = []
    for exact in (fraction * field.side for fraction in SIZES):
        table = loops(**placed(field, exact), figure=np.arange(len(rotations())))
        table.insert(0, "size", max(round(exact), 1))
        tables.append(_with_names(table))
    table = pd.concat(tables, ignore_index=True)
    table, planes = _drawn(field, table, table["size"].to_numpy() / EXTENT, centered=False)
    return compose("shapes", field, table, polarities(field.colors), planes)


@checks_options
def v4_shapes(
    field: Field,
    width: float = 32.0,
    x: Sequence[float] = (0.0,),
    figure: Color | None = None,
    background: Color | None = None,
) -> StimulusSet:
    """Return the shapes with which tuning as in area V4 is studied, centered on their area.

    Loops, slowest first: x, shape (0 to 50), rotation: 362 for each position.

    Args:
        field: the canvas and its colors.
        width: pixels that all shapes in all rotations together are wide; 1 unit of the coordinates
            is ``width / 3.80515`` pixels.
        x: positions to the right of the center, in pixels.
        figure: color of the shapes in network-input space; white if not given.
        background: color around them; gray if not given.

    Source: Pospisil, Pasupathy & Bair (2018), eLife 7:e38242.

    >>> len(v4_shapes(Field(51, 51)))
    362
    """
    shown = field.colors.white if figure is None else figure
    ground = field.colors.gray if background is None else background
    for name, color in (("figure", shown), ("background", ground)):
        if len(color) != field.colors.channels:
            raise ConfigError(
                f"stimulus.v4_shapes.{name}: {tuple(color)} is not a color of the network; give "
                f"one finite number for each of its {field.colors.channels} channels"
            )
    table = _with_names(loops(x=np.asarray(x, dtype=float), figure=np.arange(len(rotations()))))
    table.insert(1, "y", 0.0)
    table.insert(0, "size", float(width))
    scale = np.full(len(table), width / UNION)
    table, planes = _drawn(field, table, scale, centered=True)
    return compose("v4_shapes", field, table, figures({}, [shown], [ground]), planes)
