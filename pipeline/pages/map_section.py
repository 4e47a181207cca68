"""The section of a unit's page with the maps of its receptive field: all methods, one outline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from pipeline.pages.sections import Map, Maps, Part, Section

TITLE = "Receptive field maps"
ABOUT = (
    "Each map is colored from its lowest value (dark blue) to its highest (yellow); a pixel is as"
    " large in all of them. Centers are x to the right and y down from the center of the field."
)
SIGN_NAMES = {1: "raises the response", -1: "lowers the response"}
LIGHT_AND_DARK = {1: "light raises the response", -1: "dark raises the response"}  # of noise
HALF_HEIGHT = float(np.sqrt(2 * np.log(2)))  # radius of a Gaussian at half height, in sigmas
SPACE = "\u00a0"  # at which lines do not break
_TURN = np.linspace(0, 2 * np.pi, 72, endpoint=False)


@dataclass(frozen=True, eq=False)
class MethodMaps:
    """The maps of one unit by one method.

    Attributes:
        name: of the method, for readers.
        maps: what raises the response, and what lowers it.
        rows: the rows of the table ``receptive_fields`` by sign, 1 and -1.
        signs: what the maps show, by sign.
    """

    name: str
    maps: Float[np.ndarray, "2 height width"]
    rows: Mapping[int, Mapping[str, Any]]
    signs: Mapping[int, str] = field(default_factory=SIGN_NAMES.copy)


def map_section(methods: Sequence[MethodMaps], degrees: float) -> Section:
    """Return the section of one unit.

    Args:
        methods: maps by every method.
        degrees: of visual angle, that a pixel of the network spans.
    """
    said, row = _reference(methods)
    parts: list[Part] = [
        Maps(
            each.name,
            [
                _map(name, values, each.rows[sign], row, degrees)
                for (sign, name), values in zip(each.signs.items(), each.maps, strict=True)
            ],
        )
        for each in methods
    ]
    return Section(TITLE, parts, f"{ABOUT} {said}")


def _reference(methods: Sequence[MethodMaps]) -> tuple[str, Mapping[str, Any] | None]:
    """Return the row whose Gaussian is outlined on every map, with a sentence that says so.

    It is the one that explains most of its map, of what raises the response rather than of what
    lowers it, and of Gaussians that stay inside the map rather than of those that leave it.
    """
    fitted = [
        (sign == 1, not each.rows[sign]["leaves_map"], each.rows[sign]["fxvar"], each, sign)
        for sign in SIGN_NAMES
        for each in methods
        if np.isfinite(each.rows[sign]["sigma_long"])
    ]
    if not fitted:
        return "No Gaussian fits any of these maps, so there is no outline.", None
    *_, best, sign = max(fitted, key=lambda one: one[:3])
    said = (
        "The outline is the same on every map: the half height of the Gaussian that fits best, to"
        f" the map by {best.name} ({best.signs[sign]})."
    )
    return said, best.rows[sign]


def _map(
    name: str,
    values: Float[np.ndarray, "height width"],
    row: Mapping[str, Any],
    reference: Mapping[str, Any] | None,
    degrees: float,
) -> Map:
    if not np.isfinite(row["x"]):
        return Map(name, None, [_sentence(str(row["reason"]))])
    outline = None if reference is None else ellipse(reference, values.shape)
    return Map(name, values, _captions(row, degrees), outline)


def ellipse(row: Mapping[str, Any], size: tuple[int, ...]) -> Float[np.ndarray, "vertices 2"]:
    """Return a fitted Gaussian at half height: x and y from the upper left corner of a map.

    Args:
        row: with ``gauss_x``, ``gauss_y``, ``sigma_long``, ``sigma_short`` in pixels from the
            center of the map, and ``orientation`` in degrees counterclockwise from the right.
        size: height and width of the map.

    >>> row = {"gauss_x": 1.0, "gauss_y": 0.0, "sigma_long": 2.0, "sigma_short": 1.0}
    >>> points = ellipse(row | {"orientation": 90.0}, (21, 21))
    >>> points.min(axis=0).round(2).tolist(), points.max(axis=0).round(2).tolist()
    ([10.32, 8.15], [12.68, 12.85])
    """
    along = HALF_HEIGHT * row["sigma_long"] * np.cos(_TURN)
    across = HALF_HEIGHT * row["sigma_short"] * np.sin(_TURN)
    angle = np.deg2rad(row["orientation"])
    x = row["gauss_x"] + along * np.cos(angle) - across * np.sin(angle)
    y = row["gauss_y"] - along * np.sin(angle) - across * np.cos(angle)
    return np.stack([x + size[1] / 2, y + size[0] / 2], axis=1)


def _captions(row: Mapping[str, Any], degrees: float) -> list[str]:
    """Return where the field is and how large, and how well a Gaussian describes it."""
    if not np.isfinite(row["sigma_long"]):
        area = 2 * float(np.sqrt(row["half_area"] / np.pi))
        return [
            f"center of mass {_pair(row['x'], row['y'], degrees)}",
            f"diameter of the area above half height {_length(area, degrees)}",
            _sentence(str(row["reason"])),
        ]
    long, short = (2 * HALF_HEIGHT * row[name] for name in ("sigma_long", "sigma_short"))
    lines = [
        f"center {_pair(row['gauss_x'], row['gauss_y'], degrees)}",
        f"diameters at half height {long:.1f},{SPACE}{short:.1f}{SPACE}px"
        f" ({long * degrees:.2f},{SPACE}{short * degrees:.2f}°)",
        f"explained variance {row['fxvar']:.2f}",
    ]
    return [*lines, "The Gaussian leaves the map."] if row["leaves_map"] else lines


def _pair(x: float, y: float, degrees: float) -> str:
    pixels = f"{_signed(x, 1)},{SPACE}{_signed(y, 1)}{SPACE}px"
    return f"{pixels} ({_signed(x * degrees)},{SPACE}{_signed(y * degrees)}°)"


def _length(pixels: float, degrees: float) -> str:
    return f"{pixels:.1f}{SPACE}px ({pixels * degrees:.2f}°)"


def _signed(value: float, decimals: int = 2) -> str:
    text = f"{value:.{decimals}f}"
    return text.replace("-", "" if float(text) == 0 else "\u2212")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else "There is nothing to see."
