"""Images of evolution: generations as film strips, and final images beside rivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures import style
from pipeline.figures.contact_sheet import response_text
from pipeline.figures.evolution_names import number
from pipeline.figures.evolution_pictures import FilmStrip, FinalImage, FinalImages, Image
from pipeline.figures.triptych import SMALL_IMAGE

MOST_ROWS = 12  # of a page
MOST_FRAMES = 8  # of a strip
TIMES = "\u00d7"
MULTIPLES = f"Below each image: response, and multiple ({TIMES}) of the response to the top patch"
EMPTY = "Light gray: no generation was complete yet."
UNDEFINED = "; undefined where there is none above 0"
# Inches.
_LARGEST, _SMALLEST, _GAP, _LINE = 1.1, 0.3, 0.08, 0.1
_LONGEST = 1.2  # of a row's name
_PAGE = 8.6


@dataclass(frozen=True, eq=False)
class Cell:
    """An image of a grid, light gray if there is none, and the lines below it."""

    image: Image | None
    lines: Sequence[str]


@style.paper_style()
def film_strips(
    strips: Sequence[FilmStrip], title: str, caption: str, most: int = MOST_FRAMES
) -> Figure:
    """Return a row of images for each search: the best so far by queries, with its response below.

    Columns are the query counts of the images if they are few enough; otherwise some of those,
    evenly spaced. Each row shows its last image until then.

    Args:
        strips: up to twelve.
        title: of the figure.
        caption: text below, which must state how images were scaled.
        most: number of columns at most.

    Raises:
        ValueError: there are no strips or too many, or one has not as many numbers as images.
    """
    _check_rows(len(strips), "strips")
    for strip in strips:
        counts = {len(strip.images), len(strip.queries), len(strip.responses)}
        if len(counts) > 1 or 0 in counts:
            raise ValueError(
                f"strip '{strip.name}' has {len(strip.images)} images, {len(strip.queries)} query"
                f" counts and {len(strip.responses)} responses; give one of each per generation"
            )
    columns = chosen_queries([strip.queries for strip in strips], most)
    rows = [(strip.name, [_frame(strip, at) for at in columns]) for strip in strips]
    heads = [f"{at:,}" for at in columns]
    heads[0] = "1 query" if columns[0] == 1 else f"{heads[0]} queries"
    empty = any(cell.image is None for _, cells in rows for cell in cells)
    said = "Below each image: response." + empty * f" {EMPTY}"
    return image_grid(rows, heads, title, f"{said} {caption}")


def chosen_queries(queries: Sequence[Sequence[int]], most: int) -> list[int]:
    """Return all query counts of some searches, or up to ``most`` of them, evenly spaced.

    >>> chosen_queries([[20, 40, 60, 80], [40, 80, 120]], 3)
    [20, 60, 120]
    """
    known = np.unique(np.concatenate([np.asarray(each, np.int64) for each in queries]))
    if len(known) <= most:
        return known.tolist()
    wanted = np.linspace(known[0], known[-1], most)
    nearest = np.abs(known[None] - wanted[:, None]).argmin(axis=1)
    return known[np.unique(nearest)].tolist()


def _frame(strip: FilmStrip, at: int) -> Cell:
    index = int(np.searchsorted(np.asarray(strip.queries), at, "right")) - 1
    if index < 0:
        return Cell(None, [""])
    return Cell(strip.images[index], [response_text(float(strip.responses[index]))])


@style.paper_style()
def final_images(rows: Sequence[FinalImages], title: str, caption: str) -> Figure:
    """Return a row of images for each unit: its top patch, the best of each method, its ascent.

    Below each is its response, and the multiple of the response to the top patch, which is
    undefined unless that is above 0. A missing image is light gray.

    Args:
        rows: up to twelve units, all with the same names of images.
        title: of the figure.
        caption: text below, which must state how images were scaled, and their contrast.

    Raises:
        ValueError: there are no units or too many, or their images have different names.
    """
    _check_rows(len(rows), "units")
    names = [image.name for image in rows[0].images]
    for row in rows:
        if (own := [image.name for image in row.images]) != names:
            raise ValueError(
                f"row '{row.name}' has the images {own}; all rows must have those of the first,"
                f" {names}"
            )
    cells = [(row.name, [_final(image, row.top_patch) for image in row.images]) for row in rows]
    undefined = any(not row.top_patch > 0 for row in rows)
    words = f"{MULTIPLES}{UNDEFINED if undefined else ''}. {caption}"
    return image_grid(cells, names, title, words)


def _final(shown: FinalImage, top_patch: float) -> Cell:
    if shown.image is None and not np.isfinite(shown.response):
        return Cell(None, ["none", ""])
    defined = top_patch > 0 and np.isfinite(shown.response)
    multiple = f"{TIMES} {number(shown.response / top_patch)}" if defined else "undefined"
    return Cell(shown.image, [response_text(shown.response), multiple])


def _check_rows(count: int, what: str) -> None:
    if not count:
        raise ValueError(f"there are no {what}; a figure needs at least one")
    if count > MOST_ROWS:
        raise ValueError(f"{count} {what} do not fit on a page; select up to {MOST_ROWS}")


def image_grid(
    rows: Sequence[tuple[str, Sequence[Cell]]], heads: Sequence[str], title: str, caption: str
) -> Figure:
    """Return images in rows with names at the left, headings above and lines below each.

    It is called by functions that draw in ``style.paper_style``.
    """
    columns = len(heads)
    labels = [style.wrapped(name, _LONGEST, style.TEXT) for name, _ in rows]
    lines = [line for label in labels for line in label.split("\n")]
    left = 0.12 + max(style.text_width(line, style.TEXT) for line in lines)
    page = style.SINGLE_COLUMN if columns <= 4 else style.DOUBLE_COLUMN
    below = _LINE * max(len(cell.lines) for _, cells in rows for cell in cells) + 0.05
    shapes = [cell.image.shape for _, cells in rows for cell in cells if cell.image is not None]
    ratio = min(max((shape[0] / shape[1] for shape in shapes), default=1.0), 2.0)
    side = min((page - left - 0.05) / columns - _GAP, _LARGEST)
    side = max(min(side, (_PAGE / len(rows) - below - _GAP) / ratio), min(side, _SMALLEST))
    width = max(left + columns * (side + _GAP) + 0.05, 2.5)
    heads = [style.wrapped(head, side, style.SMALL_TEXT) for head in heads]
    above = 0.12 + _LINE * max(head.count("\n") + 1 for head in heads)
    title = style.wrapped(title, width - 0.1)
    top = 0.05 + 0.14 * (title.count("\n") + 1) if title else 0.0
    text = style.wrapped(caption, width - 0.1, style.SMALL_TEXT)
    bottom = 0.08 + 0.095 * (text.count("\n") + 1)
    down = ratio * side + below + _GAP
    height = top + above + len(rows) * down + bottom
    figure = style.new_figure(width, height, None)
    for row, (label, (_, cells)) in enumerate(zip(labels, rows, strict=True)):
        y = height - top - above - row * down - ratio * side
        middle = (y + ratio * side / 2) / height
        figure.text(
            (left - 0.07) / width, middle, label, fontsize=style.TEXT, va="center", ha="right"
        )
        for column, cell in enumerate(cells):
            x = left + column * (side + _GAP)
            place = (x / width, y / height, side / width, ratio * side / height)
            axis = figure.add_axes(place)
            style.settle_ticks(axis)
            _draw(axis, cell, side)
            if row == 0:
                size = _fitting(heads[column], side + _GAP - 0.02)
                axis.set_title(heads[column], fontsize=size, pad=3, va="bottom")
    if title:
        figure.suptitle(title, y=1 - 0.04 / height, va="top")
    figure.text(0.05 / width, 0.05 / height, text, fontsize=style.SMALL_TEXT, va="bottom")
    return figure


def _draw(axis: Axes, cell: Cell, side: float) -> None:
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    missing = np.full((1, 1, 3), style.MISSING_GRAY)
    image = missing if cell.image is None else cell.image
    image = np.broadcast_to(image, (*image.shape[:2], 3))
    shown = np.where(np.isnan(image).any(-1, keepdims=True), style.MISSING_GRAY, image)
    interpolation = "nearest" if max(image.shape[:2]) <= SMALL_IMAGE else "antialiased"
    axis.imshow(np.rint(shown.clip(0, 1) * 255).astype(np.uint8), interpolation=interpolation)
    axis.set_anchor("S")
    for at, line in enumerate(cell.lines):
        axis.annotate(
            line, (0.5, 0), (0, -72 * (0.03 + at * _LINE)), "axes fraction", "offset points",
            fontsize=_fitting(line, side + _GAP - 0.02), ha="center", va="top",
            annotation_clip=False,
        )  # fmt: skip


def _fitting(text: str, width: float) -> float:
    """Return the size, at most that of small text, at which every line fits."""
    return min(style.fitting(line, width, style.SMALL_TEXT) for line in text.split("\n"))
