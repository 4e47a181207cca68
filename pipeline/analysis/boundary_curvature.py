"""Boundary elements of smooth closed shapes: how curved the contour is, and in which direction.

A shape is a closed uniform cubic B-spline, as in Pasupathy & Connor (2001, J Neurophysiol 86:2505).
Its elements are the extrema of curvature along the contour. Coordinates have y pointing up and
angles run counterclockwise from the positive x axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pipeline.analysis.splines import signed_area_and_centroid, spline_at
from pipeline.errors import ConfigError

_STEPS = 200  # by which the length of a segment is measured


class Contour(NamedTuple):
    """Points at equal distances along a contour, counted from its area centroid."""

    points: Float[np.ndarray, "points 2"]
    curvature: Float[np.ndarray, " points"]  # squashed into -1..1, convex is positive


class Elements(NamedTuple):
    """Boundary elements in the order of the contour; many shapes are rows, padded by NaN."""

    angle: Float[np.ndarray, "*shapes elements"]  # radians about the centroid, 0..2 pi
    curvature: Float[np.ndarray, "*shapes elements"]  # squashed into -1..1, convex is positive


def contour(control: Float[np.ndarray, "control 2"], points: int = 1440) -> Contour:
    """Return points at equal arc lengths and the squashed curvature there.

    Curvature is kappa of the coordinates of the control points, squashed as tanh(kappa / 4)
    (Pasupathy & Connor 2001): a disc of radius 1 has .245, a sharp tip nearly 1.

    Raises:
        ConfigError: the control points do not enclose an area, or the contour has a cusp.
    """
    control = _checked(control)
    signed, centroid = signed_area_and_centroid(control)
    at = np.arange(len(control) * _STEPS + 1) / _STEPS
    speed = np.hypot(*spline_at(control, at, 1).T)
    if speed.min() <= 1e-9 * speed.max():
        raise ConfigError("shape: its contour stands still at a point; remove repeated points")
    length = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2)])
    equal = np.interp(np.arange(points) / points * length[-1], length, at)
    place, first, second = (spline_at(control, equal, order) for order in range(3))
    turning = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    kappa = np.sign(signed) * turning / np.hypot(*first.T) ** 3
    return Contour(place - centroid, np.tanh(kappa / 4))


def boundary_elements(
    control: Float[np.ndarray, "control 2"],
    hysteresis: float = 0.2,
    extent: float = 0.9,
    points: int = 1440,
) -> Elements:
    """Return the boundary elements of a shape: the extrema of curvature along its contour.

    The element table of the published studies was made by eye. This rule comes close to it
    (82 % of the 51 shapes have as many elements):

    - A maximum or minimum counts where the squashed curvature moves by ``hysteresis`` before and
      after it.
    - An element has the curvature of its extremum. It lies in the middle of the stretch that ends
      on either side where the curvature has moved by the share ``extent`` of the way to the next
      extremum.
    - A contour whose curvature varies less than ``hysteresis``, such as a disc, has eight elements
      45 degrees apart, each with its mean curvature.

    Args:
        control: control points, without a repetition of the first at the end.
        hysteresis: difference of squashed curvature, more than 0.
        extent: share of the way to the next extremum, 0..1.
        points: at equal arc lengths along the contour.

    Raises:
        ConfigError: the control points do not enclose an area.

    >>> disc = 0.4 * np.array([[np.cos(a), np.sin(a)] for a in np.arange(8) * np.pi / 4])
    >>> boundary_elements(disc).curvature.round(1)
    array([0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6])
    """
    line = contour(control, points)
    turns = turning_points(line.curvature, hysteresis)
    if len(turns) < 2:
        return Elements(np.arange(8) * np.pi / 4, np.full(8, line.curvature.mean()))
    neighbors = zip(*(np.roll(turns, by).tolist() for by in (1, 0, -1)), strict=True)
    middle = np.array([_middle(line.curvature, b, e, a, extent) for b, e, a in neighbors])
    # A middle may lie halfway between two points.
    low, high = np.floor(middle).astype(int), np.ceil(middle).astype(int)
    x, y = (line.points[low % points] + line.points[high % points]).T
    return Elements(np.arctan2(y, x) % (2 * np.pi), line.curvature[turns])


def element_table(
    shapes: Sequence[Float[np.ndarray, "_ 2"]],
    which: Int[np.ndarray, " stimuli"],
    rotation: Float[np.ndarray, " stimuli"],
) -> pd.DataFrame:
    """Return the boundary elements of a set of stimuli, each a rotated shape.

    Args:
        shapes: control points of each shape, without a repetition of the first at the end.
        which: number of the shape that each stimulus shows.
        rotation: by which it is turned, degrees counterclockwise.

    Returns:
        One row per element: ``stimulus`` (its number), ``shape``, ``rotation`` (degrees), ``angle``
        (degrees, 0..360) and ``curvature`` (squashed, -1..1).

    Raises:
        ConfigError: the control points of a shape do not enclose an area.

    >>> disc = 0.4 * np.array([[np.cos(a), np.sin(a)] for a in np.arange(8) * np.pi / 4])
    >>> element_table([disc], np.array([0]), np.array([45.0])).head(2).round(2)
       stimulus  shape  rotation  angle  curvature
    0         0      0      45.0   45.0        0.6
    1         0      0      45.0   90.0        0.6
    """
    elements = {shape: boundary_elements(shapes[shape]) for shape in np.unique(which)}
    counts = [len(elements[shape].angle) for shape in which]
    turned = np.repeat(rotation, counts)
    angle = np.concatenate([np.rad2deg(elements[shape].angle) for shape in which])
    return pd.DataFrame(
        {
            "stimulus": np.repeat(np.arange(len(which)), counts),
            "shape": np.repeat(which, counts),
            "rotation": turned,
            "angle": (angle + turned) % 360,
            "curvature": np.concatenate([elements[shape].curvature for shape in which]),
        }
    )


def padded(table: pd.DataFrame) -> Elements:
    """Return a table of elements as arrays with a row for each stimulus, padded by NaN.

    Args:
        table: columns ``stimulus`` (0, 1, ...), ``angle`` (degrees) and ``curvature``, from
            ``element_table`` or measured by hand.

    Raises:
        ConfigError: a column or a stimulus is missing, or a value is no number or out of range.
    """
    if missing := {"stimulus", "angle", "curvature"} - set(table):
        raise ConfigError(f"elements: the table lacks the columns {', '.join(sorted(missing))}")
    try:
        numbers = table[["stimulus", "angle", "curvature"]].to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"elements: the table must hold numbers ({error})") from error
    numbers = numbers[np.argsort(numbers[:, 0], kind="stable")]
    named, first, stimulus = np.unique(numbers[:, 0], return_index=True, return_inverse=True)
    if not len(named) or not np.array_equal(named, np.arange(len(named))):
        raise ConfigError("elements: stimuli must be numbered 0, 1, 2, ... with none left out")
    rank, values = np.arange(len(numbers)) - first[stimulus], numbers[:, 1:]
    if not np.isfinite(values).all() or np.abs(values[:, 1]).max(initial=0.0) > 1:
        raise ConfigError("elements: angles must be finite and curvatures between -1 and 1")
    filled = np.full((2, stimulus.max() + 1, rank.max() + 1), np.nan)
    filled[:, stimulus, rank] = np.deg2rad(values[:, 0]), values[:, 1]
    return Elements(*filled)


def turning_points(
    values: Float[np.ndarray, " points"], hysteresis: float
) -> Int[np.ndarray, " turns"]:
    """Return the places of the alternating maxima and minima of a closed sequence, in order.

    Smaller ripples than ``hysteresis`` are passed over. A sequence that varies less than that
    everywhere turns nowhere.

    >>> turning_points(np.array([0.0, 5, 4, 4.5, 0, 3]), hysteresis=1.0)
    array([0, 1, 4, 5])
    """
    start = int(np.argmax(values))
    ring = np.append(np.roll(values, -start), values[start])
    turns, sign, extreme = [0], -1, 0  # from the maximum, a minimum is looked for
    for place in range(1, len(ring)):
        ahead = sign * (ring[place] - ring[extreme])
        if ahead > 0:
            extreme = place
        elif -ahead >= hysteresis:
            turns.append(extreme)
            sign, extreme = -sign, place
    found = turns if len(turns) > 1 else []
    return np.sort((np.array(found, dtype=np.int64) + start) % len(values))


def _middle(
    curvature: Float[np.ndarray, " points"],
    before: int,
    extremum: int,
    after: int,
    extent: float,
) -> float:
    """Return the middle of the stretch around an extremum, in points along the contour."""
    back, forward = (
        _reach(np.roll(curvature, -extremum)[::step], float(curvature[neighbor]), extent, step)
        for neighbor, step in ((before, -1), (after, 1))
    )
    return extremum + (forward - back) / 2


def _reach(ring: Float[np.ndarray, " points"], target: float, extent: float, step: int) -> int:
    """Return after how many points a ring that starts at an extremum has come near ``target``."""
    ring = ring if step > 0 else np.roll(ring, 1)  # reversed, the extremum comes last
    return int(np.argmax((ring - ring[0]) / (target - ring[0]) >= extent))


def _checked(control: Float[np.ndarray, "control 2"]) -> Float[np.ndarray, "control 2"]:
    if len(control) < 3 or not np.isfinite(control).all():
        raise ConfigError("shape: at least three finite control points are needed")
    if np.array_equal(control[0], control[-1]):
        raise ConfigError("shape: the last control point repeats the first; leave it out")
    return control.astype(np.float64)
