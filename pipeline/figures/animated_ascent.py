"""One ascent of an animation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

RGB = UInt8[np.ndarray, "_ _ 3"]
Point = tuple[int, float]  # step and response
NO_IMAGE = 224  # gray value of a panel that has no image yet


@dataclass(frozen=True)
class AnimatedAscent:
    """One ascent to show.

    Attributes:
        name: title of the panel; may be empty.
        images: images for display, one for each of ``steps``.
        steps: step numbers, increasing to the last.
        responses: before every step and after the last; those that are not finite are not drawn.
        note: remark on its outcome; may be empty.
        transformed: whether all but the first and the last response are those of transformed
            images, which are drawn as a separate line.
    """

    name: str
    images: UInt8[np.ndarray, "frames height width 3"]
    steps: Sequence[int]
    responses: Float[np.ndarray, " steps_and_one"]
    note: str = ""
    transformed: bool = False

    def at(self, step: int) -> RGB:
        """Return the last image up to a step; a light gray one before the first."""
        index = int(np.searchsorted(self.steps, step, "right")) - 1
        if index < 0:
            return np.full_like(self.images[0], NO_IMAGE)
        return self.images[index]

    def response(self, step: int) -> float:
        """Return the response at a step; the last one if the ascent was shorter."""
        return float(self.responses[min(step, len(self.responses) - 1)])

    def is_transformed(self, step: int) -> bool:
        """Return whether the response at a step is that of a transformed image."""
        return self.transformed and 0 < step < len(self.responses) - 1

    def curve(self, step: int) -> tuple[list[Point], list[Point]]:
        """Return steps and finite responses up to a step, for the line and for separate points."""
        known = enumerate(self.responses[: step + 1].tolist())
        points = [point for point in known if np.isfinite(point[1])]
        if not self.transformed:
            return points, []
        line = [point for point in points if self.is_transformed(point[0])]
        return line, [point for point in points if not self.is_transformed(point[0])]


def timeline(panels: Sequence[AnimatedAscent]) -> list[int]:
    """Return the steps at which any panel has an image."""
    return sorted({int(step) for panel in panels for step in panel.steps})
