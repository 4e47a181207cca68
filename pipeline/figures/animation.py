"""Ascents step by step: images with the curves of their responses, as the frames of a video.

Pillow composes them: a hundred frames of matplotlib take a minute. What does not change from frame
to frame is drawn once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from pipeline.figures import style
from pipeline.figures.contact_sheet import response_text
from pipeline.figures.lettering import font, width, wrapped

SMALLEST_SIDE = 180  # pixels of an image: smaller ones are enlarged by whole factors
LARGEST_SIDE = 480
SMALLEST_OF_MANY, LARGEST_OF_MANY = 96, 192  # the same, of small multiples
PLOT = (300, 180)  # width and least height of the curves, in pixels
SPARK = 30  # height of the curve below one of many images
GAP = 10
SMALLEST_TEXT = 14
ACROSS = 62  # the text is so many times smaller than a page is wide: 8 points across two columns
FINE = 3  # curves are drawn so many times larger and then reduced, which smooths their edges

RGB = UInt8[np.ndarray, "_ _ 3"]
Size = tuple[int, int]
Place = tuple[float | int, float | int]
Point = tuple[int, float]  # step and response
Compose = Callable[[int], Image.Image]  # from a step to its frame


@dataclass(frozen=True)
class AnimatedAscent:
    """One ascent to be shown.

    Attributes:
        name: to be written above it; may be empty.
        images: for display, one for each of ``steps``.
        steps: their numbers, rising from 0 to the last.
        responses: before every step and after the last; those that are not finite are not drawn.
        note: on its outcome; empty where there is nothing to say.
        transformed: whether all but the first and the last response are those of transformed
            images, which make a line of their own.
    """

    name: str
    images: UInt8[np.ndarray, "frames height width 3"]
    steps: Sequence[int]
    responses: Float[np.ndarray, " steps_and_one"]
    note: str = ""
    transformed: bool = False

    def at(self, step: int) -> RGB:
        """Return the last image up to a step."""
        return self.images[np.searchsorted(self.steps, step, "right") - 1]

    def response(self, step: int) -> float:
        """Return the response at a step; that of the last where the ascent was shorter."""
        return float(self.responses[min(step, len(self.responses) - 1)])

    def is_transformed(self, step: int) -> bool:
        """Say whether the response at a step is that of a transformed image."""
        return self.transformed and 0 < step < len(self.responses) - 1

    def curve(self, step: int) -> tuple[list[Point], list[Point]]:
        """Return steps and finite responses up to a step: of the line, and of images apart."""
        known = enumerate(self.responses[: step + 1].tolist())
        points = [point for point in known if np.isfinite(point[1])]
        if not self.transformed:
            return points, []
        line = [point for point in points if self.is_transformed(point[0])]
        return line, [point for point in points if not self.is_transformed(point[0])]


def side_by_side(
    panels: Sequence[AnimatedAscent], title: str, caption: str
) -> UInt8[np.ndarray, "frames page_height page_width 3"]:
    """Return ascents of one unit beside each other and, at their right, their growing curves.

    There is a frame for every step at which a panel has an image. All share one pair of axes: the
    step, and the response (a network's numbers have no unit).

    Args:
        panels: all of one size, each with a color and a mark of its own.
        title: of the page.
        caption: below; must say how values were scaled.
    """
    down, across = _shown_size(panels, SMALLEST_SIDE, LARGEST_SIDE)
    text = _text_size(len(panels) * (across + GAP) + PLOT[0])
    column = max(across, *(width(line, text) for panel in panels for line in _lines(panel)))
    named = any(panel.name for panel in panels)
    above = round(1.5 * text) if named else 0
    left = GAP + len(panels) * (column + GAP)
    size = (left + PLOT[0] + GAP, above + max(down, PLOT[1]) + round(2.6 * text))
    page = _Page(size, title, caption, text, _timeline(panels)[-1])
    curves = _Curves(panels, (PLOT[0], above + max(down, PLOT[1])), text)
    for number, panel in enumerate(panels if named else ()):
        x = GAP + number * (column + GAP)
        mark = Image.new("RGB", (FINE * text, FINE * text), "white")
        middle = FINE * text / 2
        _mark(ImageDraw.Draw(mark), number, (middle, middle), 0.4 * FINE * text)
        page.blank.paste(mark.reduce(FINE), (x, page.top))
        page.write(panel.name, (x + round(1.4 * text), page.top), "lt")

    def compose(step: int) -> Image.Image:
        sheet, draw = page.begin(step)
        for number, panel in enumerate(panels):
            x, y = GAP + number * (column + GAP), page.top + above
            sheet.paste(_resized(panel.at(step), (down, across)), (x, y))
            value = _value(panel, step)
            draw.text((x, y + down + text // 2), value, style.INK, font(text), "lt")
        sheet.paste(curves.at(step), (left, page.top))
        return sheet

    return _frames(panels, compose)


def small_multiples(
    panels: Sequence[AnimatedAscent], columns: int, title: str, caption: str
) -> UInt8[np.ndarray, "frames page_height page_width 3"]:
    """Return many ascents row by row, each with its name, its response and a small curve.

    The curves have one axis of steps, and each its own of responses.

    Args:
        panels: all of one size.
        columns: how many beside each other.
        title: of the page.
        caption: below; must say how values were scaled.
    """
    down, across = _shown_size(panels, SMALLEST_OF_MANY, LARGEST_OF_MANY)
    text = SMALLEST_TEXT
    across_cell = max(across, *(width(line, text) for p in panels for line in _lines(p))) + 2 * GAP
    down_cell = down + round(2.8 * text) + SPARK + GAP
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    size = (GAP + columns * across_cell, rows * down_cell)
    page = _Page(size, title, caption, text, _timeline(panels)[-1])
    corners = [
        (GAP + index % columns * across_cell, page.top + index // columns * down_cell)
        for index in range(len(panels))
    ]
    for panel, (x, y) in zip(panels, corners, strict=True):
        page.write(panel.name, (x, y), "lt")
    last = _timeline(panels)[-1]
    sparks = [_Spark(panel, last, (across, SPARK)) for panel in panels]
    below = round(1.4 * text)

    def compose(step: int) -> Image.Image:
        sheet, draw = page.begin(step)
        for panel, spark, (x, y) in zip(panels, sparks, corners, strict=True):
            sheet.paste(_resized(panel.at(step), (down, across)), (x, y + below))
            place = (x, y + below + down + text // 3)
            draw.text(place, _value(panel, step), style.INK, font(text), "lt")
            sheet.paste(spark.at(step), (x, y + down + 2 * below))
        return sheet

    return _frames(panels, compose)


def _frames(
    panels: Sequence[AnimatedAscent], compose: Compose
) -> UInt8[np.ndarray, "frames _ _ 3"]:
    return np.stack([np.asarray(compose(step)) for step in _timeline(panels)])


def _timeline(panels: Sequence[AnimatedAscent]) -> list[int]:
    """Return the steps at which any panel has an image."""
    return sorted({int(step) for panel in panels for step in panel.steps})


def _shown_size(panels: Sequence[AnimatedAscent], smallest: int, largest: int) -> Size:
    """Return height and width at which images are shown: whole multiples, if they are small."""
    height, width = panels[0].images.shape[1:3]
    side = max(height, width)
    factor = -(-smallest // side) if side < smallest else min(1.0, largest / side)
    return round(factor * height), round(factor * width)


def _resized(image: RGB, size: Size) -> Image.Image:
    picture = Image.fromarray(image)
    smaller = size[0] < image.shape[0]
    return picture.resize(
        (size[1], size[0]), Image.Resampling.BOX if smaller else Image.Resampling.NEAREST
    )


def _text_size(page_width: int) -> int:
    return max(SMALLEST_TEXT, round(page_width / ACROSS))


def _lines(panel: AnimatedAscent) -> list[str]:
    """Return what is written above and below a panel, at its widest."""
    longest = max((_value(panel, step) for step in range(len(panel.responses))), key=len)
    return [f"mm{panel.name}", longest]


def _value(panel: AnimatedAscent, step: int) -> str:
    note = ", transformed" if panel.is_transformed(step) else ""
    note += f", {panel.note}" if panel.note else ""
    return f"response {response_text(panel.response(step))}{note}"


class _Page:
    """A white page with title, step and caption.

    Args:
        size: width and height of what lies between title and caption.
        title: wrapped beside the step.
        caption: wrapped.
        text: pixels.
        last: number of the last step.

    Attributes:
        top: where what lies between begins.
        blank: the page without anything that changes.
    """

    def __init__(self, size: Size, title: str, caption: str, text: int, last: int) -> None:
        self.text, self.last = text, last
        room = width(self._step(last), text)
        across = max(size[0], 2 * room)
        title_lines = wrapped(title, across - room - 4 * GAP, text)
        small = max(text - 2, SMALLEST_TEXT - 2)
        caption_lines = wrapped(caption, across - 2 * GAP, small)
        line = round(1.4 * text)
        self.top = GAP + line * len(title_lines) + GAP // 2
        height = self.top + size[1] + GAP + round(1.4 * small) * len(caption_lines)
        self.blank = Image.new("RGB", (across, height), "white")
        for number, words in enumerate(title_lines):
            self.write(words, (GAP, GAP + number * line), "lt")
        for number, words in enumerate(caption_lines):
            y = self.top + size[1] + round(1.4 * small) * number
            self.write(words, (GAP, y), "lt", small)

    def write(self, words: str, place: Place, anchor: str, size: int | None = None) -> None:
        """Write a line on every frame."""
        draw = ImageDraw.Draw(self.blank)
        draw.text(place, words, style.INK, font(size or self.text), anchor)

    def begin(self, step: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        """Return the page of a step, and how to draw on it."""
        sheet = self.blank.copy()
        draw = ImageDraw.Draw(sheet)
        place = (sheet.width - GAP, GAP)
        draw.text(place, self._step(step), style.INK, font(self.text), "rt")
        return sheet, draw

    def _step(self, step: int) -> str:
        return f"step {step} of {self.last}"


class _Curves:
    """Growing curves in one pair of axes.

    Args:
        panels: whose responses they are.
        size: width and height of the axes themselves, without what is written below them.
        text: pixels.
    """

    def __init__(self, panels: Sequence[AnimatedAscent], size: Size, text: int) -> None:
        self.panels, self.text = panels, FINE * max(text - 2, SMALLEST_TEXT - 2)
        last, numbers = _timeline(panels)[-1], np.concatenate([p.responses for p in panels])
        self.low, self.high = _range(numbers)
        if 0 < self.low < 0.1 * self.high:
            self.low = 0.0  # so near that its tick should be there
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
        draw.text((middle, self.blank.height), "step", style.INK, letters, "mb")
        side = Image.new("RGB", (self.bottom, round(1.4 * self.text)), "white")
        place = (self.bottom / 2, side.height / 2)
        ImageDraw.Draw(side).text(place, "response", style.INK, letters, "mm")
        self.blank.paste(side.rotate(90, expand=True), (0, 0))


class _Spark:
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
    """Return the range of what is finite, never of no extent."""
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
    """Draw a curve with a mark at its end, and a mark at each point that is not of it."""
    if line:
        draw.line(line, _color(number), 2 * FINE, joint="curve")
    for place in apart or line[-1:]:
        _mark(draw, number, place, radius)


def _color(number: int) -> str:
    return style.SERIES_COLORS[number % len(style.SERIES_COLORS)]


def _mark(draw: ImageDraw.ImageDraw, number: int, place: Place, radius: float | int) -> None:
    """Draw the mark of a curve: a disk, a square, a diamond or a triangle, in its color."""
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
