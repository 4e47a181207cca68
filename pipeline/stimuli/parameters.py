"""Tables of the parameters of stimuli: loops over values, grids of positions, degrees."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.errors import ConfigError
from pipeline.stimuli.field import Field

# Columns in pixels, with or without a number (x_0); x to the right and y down from the center.
PIXELS = (
    "x", "y", "published_y", "length", "width", "diameter", "size", "side", "check", "position",
)  # fmt: skip
ORIENTATIONS = tuple(np.arange(0.0, 180.0, 22.5))  # of bars and gratings, in degrees


def loops(**values: Sequence[Any] | np.ndarray) -> pd.DataFrame:
    """Return a table of all combinations; the first column varies slowest.

    >>> loops(x=[0, 1], y=[5, 6]).to_numpy().tolist()
    [[0, 5], [0, 6], [1, 5], [1, 6]]
    """
    grids = np.meshgrid(*(np.asarray(value) for value in values.values()), indexing="ij")
    return pd.DataFrame({name: grid.ravel() for name, grid in zip(values, grids, strict=True)})


def positions(extent: int, size: float, divider: float = 2.0) -> Float[np.ndarray, " positions"]:
    """Return the positions of a figure along one axis of the published protocols.

    The step is ``size / divider``. The farthest position is a whole number of steps from the center
    and about half the extent away from it; where the step is 1 pixel or less, the positions go on
    for 1 pixel at the far end.

    Args:
        extent: of the receptive field along this axis, in pixels.
        size: of the figure, in pixels.
        divider: how many steps a size holds.

    Source: tonyfu97/RF-Mapping, ``stimset_gridx_barmap`` in ``bar.py``.

    >>> positions(51, 38.25).tolist()
    [-19.125, 0.0, 19.125]
    """
    step = size / divider
    # Python's round, to the even neighbor, is part of the protocol.
    farthest = round((extent / step) / 2.0) * step
    return np.arange(-farthest, farthest + 1, step)


def placed(field: Field, size: float, divider: float = 2.0) -> dict[str, np.ndarray]:
    """Return the positions of a figure of a size on both axes, x first.

    >>> {axis: len(places) for axis, places in placed(Field(51, 99), 38.25).items()}
    {'x': 7, 'y': 3}
    """
    return {
        "x": positions(field.width, size, divider),
        "y": positions(field.height, size, divider),
    }


def cosine_and_sine(degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return cosines and sines of angles in degrees, exact at the multiples of 90.

    >>> [part.tolist() for part in cosine_and_sine(np.array([0.0, 90.0]))]
    [[1.0, 0.0], [0.0, 1.0]]
    """
    radians = np.deg2rad(degrees)
    square = np.mod(degrees, 90) == 0
    cosine, sine = np.cos(radians), np.sin(radians)
    return np.where(square, np.round(cosine), cosine), np.where(square, np.round(sine), sine)


def leaves(
    field: Field, table: pd.DataFrame, reach_x: np.ndarray, reach_y: np.ndarray
) -> np.ndarray:
    """Return which figures leave the canvas, from how far they reach from their x and y.

    >>> reach = np.array([2.0, 2.0])
    >>> leaves(Field(5, 5), pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 0.0]}), reach, reach).tolist()
    [False, True]
    """
    tolerance = 1e-9
    return np.asarray(
        (table["x"].abs() + reach_x > field.width / 2 + tolerance)
        | (table["y"].abs() + reach_y > field.height / 2 + tolerance)
    )


def leaves_screen(
    field: Field, table: pd.DataFrame, reach_x: np.ndarray, reach_y: np.ndarray
) -> np.ndarray:
    """Return which figures leave the screen, from how far they reach from their x and y.

    Stimuli that are centered on each unit's own field are taken to be at the screen's center.

    >>> from pipeline.stimuli.field import Screen
    >>> field = Field(5, 5, screen=Screen(80, 80, center=(1.0, 0.0)))
    >>> table = pd.DataFrame({"x": [0.0, 0.0], "y": [0.0, 0.0]})
    >>> leaves_screen(field, table, np.array([30.0, 31.0]), np.array([40.0, 40.0])).tolist()
    [False, True]
    """
    screen = field.seen
    right, down = (place * screen.pixels_per_degree for place in screen.center or (0.0, 0.0))
    shown = pd.DataFrame(
        {"x": table["x"] - field.shift[0] + right, "y": table["y"] - field.shift[1] + down}
    )
    return leaves(Field(screen.height, screen.width), shown, reach_x, reach_y)


def in_degrees(
    table: pd.DataFrame, pixels_per_degree: float, pixels: Collection[str] = PIXELS
) -> pd.DataFrame:
    """Return a table with each column in pixels followed by the same in degrees.

    Args:
        table: of a stimulus set, for example.
        pixels_per_degree: pixels of the network per degree of visual angle, positive.
        pixels: names of the columns in pixels, without the numbers of names like ``x_0``.

    Returns:
        The table with ``x_degrees`` and the like for lengths and positions in pixels, and
        ``frequency_per_degree``, in cycles per degree, for frequencies in cycles per pixel.

    Raises:
        ConfigError: ``pixels_per_degree`` is not positive.

    >>> in_degrees(pd.DataFrame({"x": [14.0], "frequency": [0.5]}), 28.0)
          x  x_degrees  frequency  frequency_per_degree
    0  14.0        0.5        0.5                  14.0
    """
    if not pixels_per_degree > 0:
        raise ConfigError(
            f"pixels_per_degree: {pixels_per_degree} is not a positive number; give the width of "
            "the screen in pixels divided by its width in degrees"
        )
    columns: dict[Any, pd.Series] = {}
    for name, values in table.items():
        columns[name] = values
        kind = re.sub(r"_\d+$", "", str(name))
        if kind in pixels:
            columns[f"{name}_degrees"] = values / pixels_per_degree
        elif kind == "frequency":
            columns[f"{name}_per_degree"] = values * pixels_per_degree
    return pd.DataFrame(columns)
