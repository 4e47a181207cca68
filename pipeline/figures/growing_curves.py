"""Curves of responses that grow from frame to frame, drawn by Pillow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from pipeline.figures import style
from pipeline.figures.animated_ascent import AnimatedAscent, timeline
from pipeline.figures.animation_page import SMALLEST_TEXT, Place, Size
from pipeline.figures.lettering import font, width

FINE = 3  # factor by which curves are drawn larger and then reduced, which smooths their edges


class Curves:
    """Growing curves in one pair of axes.

    Args:
        panels: panels with the responses.
        size: width and height of the axes, without the text below them.
        text: text height in pixels.
        counted: what steps are called.
    """

    def __init__(
        self, panels: Sequence[AnimatedAscent], size: Size, text: int, counted: str = "step"
    ) -> None:
        self.counted = counted
        self.panels, self.text = panels, FINE * max(text - 2, SMALLEST_TEXT - 2)
        last, numbers = timeline(panels)[-1], np.concatenate([p.responses for p in panels])
        self.low, self.high = _range(numbers)
        if 0 < self.low < 0.1 * self.high:
            self.low = 0.0  # so close that it should have a tick
        rows = style.few_ticks().tick_values(self.low, self.high)
        rows = [float(value) for value in rows if self.low <= value <= self.high]
        columns = style.few_ticks(integer=True).tick_values(0, last)
        columns = [float(value) for value in columns if 0 <= value <= last]
        label = max(width(f"{value:g}", self.text) for value in rows)
        self.left = round(1.5 * self.text) + label + FINE * 6
        self.right, self.top = FINE * size[0] - self.text, self.text // 2
        self.bottom, self.last = FINE * size[1], max(last, 1)
        self.blank = Image.new(
            "RGB", (FINE * size[0], self.bottom + round(2.8 * self.text)), "white"
        )
        self._draw_axes(rows, columns)

    def at(self, step: int) -> Image.Image:
        """Return the curves up to a step."""
        sheet = self.blank.copy()
        draw = ImageDraw.Draw(sheet)
        for number, panel in enumerate(self.panels):
            line, apart = ([self._place(*point) for point in part] for part in panel.curve(step))
            _draw_curve(draw, number, line, apart, 5 * FINE)
        return sheet.reduce(FINE)

    def _place(self, step: float | int, response: float) -> Place:
        across = step / self.last
        up = (response - self.low) / (self.high - self.low)
        return (
            self.left + across * (self.right - self.left),
            self.bottom - up * (self.bottom - self.top),
        )

    def _draw_axes(self, rows: Sequence[float], columns: Sequence[float]) -> None:
        draw, letters = ImageDraw.Draw(self.blank), font(self.text)
        corners = [(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)]
        draw.line(corners, style.INK, FINE)
        tick = 4 * FINE
        for value in rows:
            _, y = self._place(0, value)
            draw.line([(self.left - tick, y), (self.left, y)], style.INK, FINE)
            draw.text((self.left - 6 * FINE, y), f"{value:g}", style.INK, letters, "rm")
        for value in columns:
            x, _ = self._place(value, self.low)
            draw.line([(x, self.bottom), (x, self.bottom + tick)], style.INK, FINE)
            draw.text((x, self.bottom + 2 * tick), f"{value:g}", style.INK, letters, "mt")
        middle = (self.left + self.right) / 2
        draw.text((middle, self.blank.height), self.counted, style.INK, letters, "mb")
        side = Image.new("RGB", (self.bottom, round(1.4 * self.text)), "white")
        place = (self.bottom / 2, side.height / 2)
        ImageDraw.Draw(side).text(place, "response", style.INK, letters, "mm")
        self.blank.paste(side.rotate(90, expand=True), (0, 0))


class Spark:
    """A small growing curve without axes, over all steps and the responses of its own panel."""

    def __init__(self, panel: AnimatedAscent, last: int, size: Size) -> None:
        self.panel, self.last, self.size = panel, max(last, 1), size
        self.low, self.high = _range(panel.responses)

    def at(self, step: int) -> Image.Image:
        """Return the curve up to a step."""
        wide, high = (FINE * side for side in self.size)
        sheet = Image.new("RGB", (wide, high), "white")
        draw = ImageDraw.Draw(sheet)
        draw.line([(0, high - 1), (wide, high - 1)], style.NULL_COLOR, FINE)
        radius = 3 * FINE
        across, up = wide - 2 * radius, high - 2 * radius
        line, apart = (
            [
                (
                    radius + x / self.last * across,
                    high - radius - (y - self.low) / (self.high - self.low) * up,
                )
                for x, y in part
            ]
            for part in self.panel.curve(step)
        )
        _draw_curve(draw, 0, line, apart, radius)
        return sheet.reduce(FINE)


def _range(numbers: Float[np.ndarray, " _"]) -> tuple[float, float]:
    """Return the smallest and largest finite value, widened if they are equal."""
    finite = numbers[np.isfinite(numbers)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _draw_curve(
    draw: ImageDraw.ImageDraw,
    number: int,
    line: Sequence[Place],
    apart: Sequence[Place],
    radius: float | int,
) -> None:
    """Draw a curve with a marker at its end, and a marker at each separate point."""
    if line:
        draw.line(line, _color(number), 2 * FINE, joint="curve")
    for place in apart or line[-1:]:
        mark(draw, number, place, radius)


def _color(number: int) -> str:
    return style.SERIES_COLORS[number % len(style.SERIES_COLORS)]


def mark(draw: ImageDraw.ImageDraw, number: int, place: Place, radius: float | int) -> None:
    """Draw the marker of a curve: a disk, a square, a diamond or a triangle, in its color."""
    (x, y), color = place, _color(number)
    corners = {
        1: [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        2: [(0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)],
        3: [(0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
    }.get(number % 4)
    if corners is None:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), color)
    else:
        draw.polygon([(x + radius * across, y + radius * down) for across, down in corners], color)
