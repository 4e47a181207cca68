"""Uniform fields and discs: hues, gray levels, and colors on the isoluminant circle.

Colors are given as pixel values from 0, the field's black, to 1, its white: with the colors
``bounds``, they are pixels before the network's preprocessing.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.analysis.cone_colors import GRAY, cone_contrasts, isoluminant, rms, to_srgb
from pipeline.errors import ConfigError, nearest
from pipeline.stimuli.canvas import pixels
from pipeline.stimuli.degree_gratings import BORDER
from pipeline.stimuli.field import Colors, Field
from pipeline.stimuli.looks import Looks
from pipeline.stimuli.options import checks_options
from pipeline.stimuli.parameters import leaves, leaves_screen, loops
from pipeline.stimuli.stimulus_set import StimulusSet, compose

GUNS = ("red", "green", "blue")
CONES = ("l_contrast", "m_contrast", "s_contrast")
ENCODINGS = ("linear", "srgb")
NAMED = (
    (0.0, 0.0, 0.0), (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0),
    (0.0, 0.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 1.0), (0.0, 1.0, 1.0),
)  # fmt: skip


@dataclass(frozen=True)
class DiscPlane:
    """Draws a disc: x and y of its center, and its radius, which may be infinite, in pixels."""

    x: float = 0.0
    y: float = 0.0
    radius: float = math.inf

    def __call__(
        self, geometries: Int[Tensor, " n"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n 1 height width"]:
        """Return 1 inside, the border included."""
        y, x = pixels(canvas, device)
        distance = (y - self.y).square()[:, None] + (x - self.x).square()
        disc = (distance <= (self.radius + BORDER) ** 2).float()
        return disc.expand(len(geometries), 1, -1, -1).contiguous()


def needs_three(name: str, field: Field) -> None:
    """Refuse a set in color for a network of another number of channels than 3.

    Raises:
        ConfigError: it has another.

    >>> needs_three("hues", Field(3, 3))
    """
    if field.colors.channels != 3:
        raise ConfigError(
            f"stimulus.{name}: a set in color needs a network of 3 channels, and this one has "
            f"{field.colors.channels}; use gray_levels or a set of gratings in gray"
        )


def _whole(name: str, field: Field, pixel: np.ndarray, columns: pd.DataFrame) -> StimulusSet:
    """Return fields of one pixel value per channel all over."""
    shown = field.colors.of_pixels(pixel)
    black = np.tile(field.colors.black, (len(pixel), 1))
    looks = Looks(
        {str(column): columns[column].to_numpy() for column in columns},
        torch.from_numpy(black).float(),
        torch.from_numpy(shown - black).float()[:, None],
    )
    table = pd.DataFrame({"aliased": [False], "clipped": [False]})
    return compose(name, field, table, looks, DiscPlane())


@checks_options
def gray_levels(field: Field, levels: Sequence[float] = (0.0, 0.5, 1.0)) -> StimulusSet:
    """Return fields that are gray all over, such as the blank fields that hues are compared with.

    Args:
        field: the canvas and its colors, of any number of channels.
        levels: pixel values from 0 to 1; the column ``level``.

    >>> gray_levels(Field(2, 2)).draw([0, 1, 2])[:, 0, 0, 0].tolist()
    [-1.0, 0.0, 1.0]
    """
    grays = np.asarray(levels, dtype=float)
    pixel = np.repeat(grays[:, None], field.colors.channels, 1)
    return _whole("gray_levels", field, pixel, pd.DataFrame({"level": grays}))


@checks_options
def full_field_colors(field: Field, rgb: Sequence[Sequence[float]] | None = None) -> StimulusSet:
    """Return fields of one color all over.

    Args:
        field: the canvas and its colors, of 3 channels.
        rgb: red, green and blue pixel values of each, from 0 to 1; black, gray, white, red,
            green, blue, yellow, magenta and cyan if not given.

    >>> full_field_colors(Field(2, 2)).draw([3])[0, :, 0, 0].tolist()
    [1.0, -1.0, -1.0]
    """
    needs_three("full_field_colors", field)
    colors = NAMED if rgb is None else rgb
    for color in colors:
        if len(color) != 3:
            raise ConfigError(
                f"stimulus.full_field_colors.rgb: {tuple(color)} is not a color; give three numbers"
            )
    pixel = np.asarray(colors, dtype=float)
    return _whole("full_field_colors", field, pixel, pd.DataFrame(pixel, columns=GUNS))


@checks_options
def hues(field: Field, step: int = 1) -> StimulusSet:
    """Return fields of one hue all over: HSL(hue, 1, .5), for color opponency.

    Args:
        field: the canvas and its colors, of 3 channels.
        step: degrees between hues, which begin with red at 0; 360 hues by default.

    Source: De Valois, Abramov & Jacobs (1966), J Opt Soc Am 56:966, as in ecs-vlc/opponency,
    ``devalois.py``.

    >>> hues(Field(2, 2), step=60).draw([1])[0, :, 0, 0].tolist()
    [1.0, 1.0, -1.0]
    """
    needs_three("hues", field)
    degrees = np.arange(0, 360, step)
    pixel = np.array([colorsys.hls_to_rgb(hue / 360, 0.5, 1.0) for hue in degrees])
    table = pd.DataFrame(pixel, columns=GUNS)
    table.insert(0, "hue", degrees)
    return _whole("hues", field, pixel, table)


@checks_options
def isoluminant_discs(
    field: Field,
    hues: int = 24,
    contrasts: Sequence[float] = (0.25, 0.5, 1.0),
    diameter: float | None = 2.0,
    encoding: str = "linear",
    cones: str = "smith_pokorny",
) -> StimulusSet:
    """Return discs on gray with hues around the isoluminant circle of the cardinal axes.

    Loops, slowest first: hue (degrees from L - M towards S), contrast (1 is the most that all hues
    can have: .985 of each axis's gamut). The table has the pixel values, the cone contrasts with
    gray, and their root mean square, ``cone_contrast``.

    Args:
        field: the canvas, its colors of 3 channels, and the screen.
        hues: how many, evenly spaced over 360 degrees.
        contrasts: from 0 to 1.
        diameter: of the disc in degrees; the whole field if ``None``.
        encoding: ``linear`` (pixel values are taken to be linear light, and gray is .5) or ``srgb``
            (pixels are the sRGB values of the linear ones, and gray is .735).
        cones: ``smith_pokorny`` or ``hunt_pointer_estevez``.

    >>> from pipeline.stimuli.field import Screen
    >>> discs = isoluminant_discs(Field(9, 9, screen=Screen(96, 96)))
    >>> discs.table.loc[[2], ["hue", "contrast", "l_contrast", "m_contrast"]].round(3)
       hue  contrast  l_contrast  m_contrast
    2  0.0       1.0       0.072      -0.137
    """
    name = "isoluminant_discs"
    needs_three(name, field)
    if encoding not in ENCODINGS:
        raise ConfigError(
            f"stimulus.{name}.encoding: '{encoding}' is not one of {', '.join(ENCODINGS)}"
            f"{nearest(encoding, ENCODINGS)}"
        )
    table = loops(hue=around(hues, 360.0), contrast=contrasts)
    linear = GRAY + isoluminant(table["hue"].to_numpy(), cones) * table[["contrast"]].to_numpy()
    encode = to_srgb if encoding == "srgb" else np.asarray
    pixel, gray = encode(linear), encode(np.full((1, 3), GRAY))
    excited = cone_contrasts(linear, cones)
    columns = {**_columns(table), **dict(zip(GUNS, pixel.T, strict=True)), **by_cone(excited)}
    looks = on_gray(field.colors, columns, pixel - gray, gray)
    return _disc(name, field, diameter, looks)


def around(count: int, degrees: float) -> np.ndarray:
    """Return angles evenly spaced from 0 to, but without, some degrees.

    >>> around(4, 360.0).tolist()
    [0.0, 90.0, 180.0, 270.0]
    """
    return np.arange(count) * (degrees / count)


def by_cone(contrasts: Float[np.ndarray, "n 3"]) -> dict[str, np.ndarray]:
    """Return columns of the contrasts of the cones and of their root mean square.

    >>> pd.DataFrame(by_cone(np.array([[1.0, 1.0, -1.0]])))
       l_contrast  m_contrast  s_contrast  cone_contrast
    0         1.0         1.0        -1.0            1.0
    """
    return {**dict(zip(CONES, contrasts.T, strict=True)), "cone_contrast": rms(contrasts)}


def on_gray(
    colors: Colors,
    columns: dict[str, np.ndarray],
    added: Float[np.ndarray, "looks *planes 3"],
    gray: Float[np.ndarray, "1 3"],
) -> Looks:
    """Return looks that add pixel values to a gray where their planes are 1.

    >>> added, gray = np.array([[0.5, 0.0, 0.0]]), np.full((1, 3), 0.5)
    >>> on_gray(Colors.published(), {}, added, gray).weights.tolist()
    [[[1.0, 0.0, 0.0]]]
    """
    by_plane = added[:, None] if added.ndim == 2 else added
    weights = by_plane * (np.asarray(colors.white) - np.asarray(colors.black))
    background = np.repeat(colors.of_pixels(gray), len(added), 0)
    return Looks(columns, torch.from_numpy(background).float(), torch.from_numpy(weights).float())


def _columns(table: pd.DataFrame) -> dict[str, np.ndarray]:
    return {str(name): table[name].to_numpy() for name in table}


def _disc(name: str, field: Field, diameter: float | None, looks: Looks) -> StimulusSet:
    if diameter is None:
        table = pd.DataFrame({"aliased": [False], "clipped": [False]})
        return compose(name, field, table, looks, DiscPlane())
    wide, (x, y) = diameter * field.seen.pixels_per_degree, field.shift
    scale = field.seen.pixels_per_degree
    table = pd.DataFrame({"x": [x], "x_degrees": x / scale, "y": y, "y_degrees": y / scale})
    table = table.assign(diameter=wide, diameter_degrees=diameter)
    reach = np.array([wide / 2])
    table = table.assign(
        leaves_field=leaves(field, table, reach, reach),
        aliased=wide < 1,
        clipped=leaves_screen(field, table, reach, reach),
    )
    return compose(name, field, table, looks, DiscPlane(x, y, wide / 2))
