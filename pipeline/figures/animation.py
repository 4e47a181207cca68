"""Ascents step by step: images with the curves of their responses, as the frames of a video.

Pillow composes them: a hundred frames of matplotlib take a minute. Static parts are drawn once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from pipeline.figures import style
from pipeline.figures.animated_ascent import RGB, AnimatedAscent, timeline
from pipeline.figures.animation_page import GAP, SMALLEST_TEXT, Page, Size
from pipeline.figures.contact_sheet import response_text
from pipeline.figures.growing_curves import FINE, Curves, Spark, mark
from pipeline.figures.lettering import font, width

SMALLEST_SIDE = 180  # target size of an image in pixels; smaller ones are enlarged by whole factors
LARGEST_SIDE = 480
SMALLEST_OF_MANY, LARGEST_OF_MANY = 96, 192  # the same, of small multiples
PLOT = (300, 180)  # width and minimum height of the curves, in pixels
SPARK = 30  # height of the curve below one of many images
ACROSS = 62  # ratio of page width to text height: 8 points on two columns

Compose = Callable[[int], Image.Image]  # from a step to its frame


def side_by_side(
    panels: Sequence[AnimatedAscent], title: str, caption: str, counted: str = "step"
) -> UInt8[np.ndarray, "frames page_height page_width 3"]:
    """Return ascents of one unit side by side with, at the right, their growing curves.

    There is a frame for every step at which a panel has an image. All share one pair of axes: the
    step, and the response (a network's numbers have no unit).

    Args:
        panels: panels of one size, each with its own color and marker.
        title: title of the page.
        caption: text below, which must state how values were scaled.
        counted: what steps are called, such as "query" for images shown by a search.
    """
    down, across = _shown_size(panels, SMALLEST_SIDE, LARGEST_SIDE)
    text = _text_size(len(panels) * (across + GAP) + PLOT[0])
    column = max(across, *(width(line, text) for panel in panels for line in _lines(panel)))
    named = any(panel.name for panel in panels)
    above = round(1.5 * text) if named else 0
    left = GAP + len(panels) * (column + GAP)
    size = (left + PLOT[0] + GAP, above + max(down, PLOT[1]) + round(2.6 * text))
    page = Page(size, title, caption, text, timeline(panels)[-1], counted)
    curves = Curves(panels, (PLOT[0], above + max(down, PLOT[1])), text, counted)
    for number, panel in enumerate(panels if named else ()):
        x = GAP + number * (column + GAP)
        disk = Image.new("RGB", (FINE * text, FINE * text), "white")
        middle = FINE * text / 2
        mark(ImageDraw.Draw(disk), number, (middle, middle), 0.4 * FINE * text)
        page.blank.paste(disk.reduce(FINE), (x, page.top))
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
    panels: Sequence[AnimatedAscent],
    columns: int,
    title: str,
    caption: str,
    counted: str = "step",
) -> UInt8[np.ndarray, "frames page_height page_width 3"]:
    """Return many ascents in rows, each with its name, its response and a small curve.

    The curves share the axis of steps, but not that of responses.

    Args:
        panels: panels of one size.
        columns: number of panels per row.
        title: title of the page.
        caption: text below, which must state how values were scaled.
        counted: what steps are called.
    """
    down, across = _shown_size(panels, SMALLEST_OF_MANY, LARGEST_OF_MANY)
    text = SMALLEST_TEXT
    across_cell = max(across, *(width(line, text) for p in panels for line in _lines(p))) + 2 * GAP
    down_cell = down + round(2.8 * text) + SPARK + GAP
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    size = (GAP + columns * across_cell, rows * down_cell)
    page = Page(size, title, caption, text, timeline(panels)[-1], counted)
    corners = [
        (GAP + index % columns * across_cell, page.top + index // columns * down_cell)
        for index in range(len(panels))
    ]
    for panel, (x, y) in zip(panels, corners, strict=True):
        page.write(panel.name, (x, y), "lt")
    last = timeline(panels)[-1]
    sparks = [Spark(panel, last, (across, SPARK)) for panel in panels]
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
    return np.stack([np.asarray(compose(step)) for step in timeline(panels)])


def _shown_size(panels: Sequence[AnimatedAscent], smallest: int, largest: int) -> Size:
    """Return the displayed height and width of images: whole multiples if they are small."""
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
    """Return the longest lines above and below a panel."""
    longest = max((_value(panel, step) for step in range(len(panel.responses))), key=len)
    return [f"mm{panel.name}", longest]


def _value(panel: AnimatedAscent, step: int) -> str:
    note = ", transformed" if panel.is_transformed(step) else ""
    note += f", {panel.note}" if panel.note else ""
    return f"response {response_text(panel.response(step))}{note}"
