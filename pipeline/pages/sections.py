"""Sections: what a stage adds to the page of a unit, as plain data of a few kinds.

A section is a title, a few sentences, and parts: numbers, plots, rings, outlines of shapes or
maps. A
stage returns the sections of a unit; the pages show them without knowing the stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from pipeline.pages.colored_maps import colored_png
from pipeline.pages.data_scripts import data_url, plain
from pipeline.pages.encoded_images import display_url

VERTICES = 96  # of an outline on a page, at most: a tenth of a pixel on the screen


@dataclass(frozen=True)
class Number:
    """One number with its name.

    Attributes:
        name: what it is.
        value: the number, or a word; ``None`` or NaN if it is missing.
        unit: its unit.
        note: what one should know to read it.
    """

    name: str
    value: float | str | None
    unit: str = ""
    note: str = ""


@dataclass(frozen=True)
class Numbers:
    """A list of numbers."""

    numbers: Sequence[Number]
    title: str = ""

    def data(self) -> dict[str, Any]:
        """Return it as plain data."""
        rows = [asdict(number) for number in self.numbers]
        return {"kind": "numbers", "title": self.title, "numbers": rows}


@dataclass(frozen=True)
class Words:
    """A sentence, such as why something is missing."""

    text: str
    title: str = ""

    def data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"kind": "words", "title": self.title, "text": self.text}


@dataclass(frozen=True)
class Curve:
    """A curve of a plot; values that are not finite interrupt it.

    Attributes:
        name: what the legend calls it.
        x: ascending, or the places of names on the axis.
        y: as many values.
        points: whether each value is a point: where something was measured.
    """

    name: str
    x: Sequence[float] | Float[np.ndarray, " n"]
    y: Sequence[float] | Float[np.ndarray, " n"]
    points: bool = False


@dataclass(frozen=True)
class Plot:
    """A plot of up to six curves.

    Attributes:
        title: what stands above it.
        x_name: name and unit of the horizontal axis.
        y_name: name and unit of the vertical axis.
        curves: the curves.
        names: what stands at x = 0, 1 and so on instead of numbers, if given.
        x_ticks: numbers on the horizontal axis, if they should not be round ones.
        y_range: lowest and highest value of the vertical axis that are shown in any case.
        log: whether the horizontal axis is logarithmic; x are above 0 then.
    """

    title: str
    x_name: str
    y_name: str
    curves: Sequence[Curve]
    names: Sequence[str] = ()
    x_ticks: Sequence[float] = ()
    y_range: tuple[float, float] | None = None
    log: bool = False

    def data(self) -> dict[str, Any]:
        """Return it as plain data.

        Raises:
            ValueError: a curve has not as many x as y.
        """
        _check_curves(self.title, self.curves)
        return {"kind": "plot", **asdict(self)}


@dataclass(frozen=True)
class Ring:
    """A plot around a circle, whose center is 0 and whose rim is the highest value.

    Attributes:
        title: what stands above it.
        x_name: what goes around, and its unit.
        y_name: name and unit of what is drawn outward; it counts as 0 where it is negative.
        curves: the curves; x are degrees from the right, and the last point joins the first.
        clockwise: whether degrees go clockwise, as orientations do on a screen with y down.
        rim: colors around the rim, evenly from 0 degrees on, as ``#rrggbb``; none by default.
    """

    title: str
    x_name: str
    y_name: str
    curves: Sequence[Curve]
    clockwise: bool = False
    rim: Sequence[str] = ()

    def data(self) -> dict[str, Any]:
        """Return it as plain data.

        Raises:
            ValueError: a curve has not as many x as y.
        """
        _check_curves(self.title, self.curves)
        return {"kind": "ring", **asdict(self)}


@dataclass(frozen=True)
class Outline:
    """The outline of a shape.

    Attributes:
        points: x right and y up.
        value: what stands below it.
        name: what it is, for those who do not see it.
    """

    points: Float[np.ndarray, "vertices 2"]
    value: float
    name: str


@dataclass(frozen=True)
class Outlines:
    """Shapes side by side at one scale, white on gray.

    Attributes:
        title: what stands above them.
        outlines: the shapes.
        reach: from the center of a shape to the rim of its frame, in units of the points.
    """

    title: str
    outlines: Sequence[Outline]
    reach: float

    def data(self) -> dict[str, Any]:
        """Return it as plain data."""
        shapes = [
            {"points": _thinned(each.points), "value": each.value, "name": each.name}
            for each in self.outlines
        ]
        return {"kind": "outlines", "title": self.title, "reach": self.reach, "outlines": shapes}


@dataclass(frozen=True)
class Map:
    """A map as a small image, from its lowest value to its highest.

    Attributes:
        name: what stands above it.
        values: finite values, row by row from the top; ``None`` if there is nothing to see, for
            the reason that the captions give.
        captions: lines below it.
        outline: a closed line on it: x and y from the upper left corner, y down, in pixels.
    """

    name: str
    values: Float[np.ndarray, "height width"] | None
    captions: Sequence[str] = ()
    outline: Float[np.ndarray, "vertices 2"] | None = None

    def data(self) -> dict[str, Any]:
        """Return it as plain data."""
        said = {"name": self.name, "captions": list(self.captions)}
        if self.values is None:
            return said | {"image": None}
        height, width = self.values.shape
        image = {
            "width": width,
            "height": height,
            "outline": None if self.outline is None else _thinned(self.outline),
            "png": data_url(colored_png(self.values), "image/png"),
        }
        return said | {"image": image}


@dataclass(frozen=True)
class Picture:
    """An image in colors of its own, side by side with others like a map.

    Attributes:
        name: what stands above it.
        image: of one or three channels, 0..1, scaled for display; NaN pixels are light gray.
            ``None`` if there is none, for the reason that the captions give.
        captions: lines below it.
    """

    name: str
    image: Float[np.ndarray, "height width channels"] | None
    captions: Sequence[str] = ()

    def data(self) -> dict[str, Any]:
        """Return it as plain data, in the form of a map."""
        said = {"name": self.name, "captions": list(self.captions)}
        if self.image is None:
            return said | {"image": None}
        url, width, height = display_url(self.image)
        image = {"width": width, "height": height, "outline": None, "png": url}
        return said | {"image": image}


@dataclass(frozen=True)
class Maps:
    """Maps or pictures side by side; one pixel is as large in all parts of a section."""

    title: str
    maps: Sequence[Map | Picture]

    def data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"kind": "maps", "title": self.title, "maps": [each.data() for each in self.maps]}


Part: TypeAlias = Numbers | Words | Plot | Ring | Outlines | Maps


@dataclass(frozen=True)
class Section:
    """A section of the page of a unit.

    Attributes:
        title: its heading.
        parts: its contents, in order.
        about: a few sentences on how to read it.
    """

    title: str
    parts: Sequence[Part]
    about: str = ""

    def data(self) -> dict[str, Any]:
        """Return the section as plain data.

        >>> Section("Size", [Numbers([Number("width", 3.0, "pixels")])]).data()["parts"][0]["kind"]
        'numbers'
        """
        parts = [part.data() for part in self.parts]
        return plain({"title": self.title, "about": self.about, "parts": parts})


UnitSections: TypeAlias = Callable[[int], Sequence[Section]]


def _check_curves(title: str, curves: Sequence[Curve]) -> None:
    for curve in curves:
        if len(curve.x) != len(curve.y):
            raise ValueError(
                f"plot '{title}': the curve '{curve.name}' has {len(curve.x)} x and"
                f" {len(curve.y)} y; give one y for each x"
            )


def _thinned(points: Float[np.ndarray, "vertices 2"]) -> list[list[float]]:
    """Return some of the points, evenly spread, with three decimals."""
    count = min(VERTICES, len(points))
    chosen = np.arange(count) * len(points) // count
    return np.round(points[chosen].astype(np.float64), 3).tolist()
