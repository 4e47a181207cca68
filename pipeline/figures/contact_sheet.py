"""Contact sheets: many small images with labels, composed with Pillow as one image.

A plot of a thousand patches would take minutes, so they are composed as pixels.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from pipeline.figures import lettering, style

# Images smaller than this are enlarged by whole factors, so that labels fit below them.
SMALLEST_PIXELS = 64
WIDEST = 2400  # pixels of a grid of units
GAP = 4
TEXT = 13  # pixels
TITLE = 16
DPI = 200  # for printing: a sheet of ten patches is as wide as a page


def contact_sheet(
    patches: Float[np.ndarray, "units ranks height width 3"],
    responses: Float[np.ndarray, "units ranks"],
    units: Sequence[int],
    title: str,
) -> Image.Image:
    """Return units as rows and ranks (from 0) as columns, each patch with its response below.

    Patches are 0..1, already scaled for display; those with NaN pixels are missing and light gray.

    Raises:
        ValueError: there are no images, or not one number per row.
    """
    if len(units) != len(patches) or patches.size == 0:
        raise ValueError(
            f"a contact sheet needs one number per unit; it got {len(units)} numbers for "
            f"{len(patches)} rows of patches with {patches.shape[1]} ranks"
        )
    rows, ranks = patches.shape[:2]
    labels = [response_text(float(response)) for response in responses.ravel()]
    grid = mosaic(patches.reshape(-1, *patches.shape[2:]), ranks)
    names = [str(unit) for unit in units]
    left = 2 * GAP + max(lettering.width(text, TEXT) for text in [*names, "unit"])
    down, across = cell(patches.shape[2:4])
    sheet, draw, top = _page(grid, title, left, below_title=2 * TEXT)
    _label(draw, labels, ranks, (down, across), (left, top))
    _centered(draw, "rank", (left + ranks * across // 2, top - 2 * TEXT))
    for rank in range(ranks):
        _centered(draw, str(rank), (left + rank * across + (across - GAP) // 2, top - TEXT))
    draw.text((GAP, top - TEXT), "unit", style.INK, lettering.font(TEXT), "lt")
    for row in range(rows):
        middle = top + row * down + (down - TEXT - GAP) // 2
        draw.text((left - GAP, middle), names[row], style.INK, lettering.font(TEXT), "rm")
    return sheet


def unit_sheet(
    images: Float[np.ndarray, "units height width 3"],
    responses: Float[np.ndarray, " units"],
    units: Sequence[int | str],
    title: str,
) -> Image.Image:
    """Return one image per unit, row by row, each with its unit and response below.

    Images are 0..1, already scaled for display; those with NaN pixels are missing and light gray.

    Raises:
        ValueError: there are no images, or not one number per image.
    """
    if len(units) != len(images) or images.size == 0:
        raise ValueError(
            f"a sheet of units needs one number per image; it got {len(units)} numbers for"
            f" {len(images)} images"
        )
    labels = [
        f"{unit}: {response_text(float(response))}"
        for unit, response in zip(units, responses, strict=True)
    ]
    down, across = cell(images.shape[1:3], max(lettering.width(label, TEXT) for label in labels))
    # Aspect ratio of about 3:2, like a screen.
    wanted = round((1.5 * len(images) * down / across) ** 0.5)
    columns = max(1, min(len(images), WIDEST // across, wanted))
    grid = mosaic(images, columns, across)
    sheet, draw, top = _page(grid, title, GAP, below_title=0)
    _label(draw, labels, columns, (down, across), (GAP, top))
    return sheet


def mosaic(
    images: Float[np.ndarray, "images height width 3"], columns: int, across: int | None = None
) -> UInt8[np.ndarray, "mosaic_height mosaic_width 3"]:
    """Return images row by row in one 8-bit image, each with space below and to its right.

    ``cell`` is the size of an image with its space; ``across`` widens it.
    """
    factor = _factor(images.shape[1:3])
    down, own = cell(images.shape[1:3])
    across = across or own
    rows = -(-len(images) // columns)
    height, width = (factor * side for side in images.shape[1:3])
    sheet = np.full((rows * columns, down, across, 3), 255, np.uint8)
    missing = np.isnan(images).any(axis=(1, 2, 3), keepdims=True)
    shown = np.where(missing, style.MISSING_GRAY, images).clip(0, 1)
    large = np.rint(shown * 255).astype(np.uint8).repeat(factor, 1).repeat(factor, 2)
    sheet[: len(images), :height, :width] = large
    ordered = sheet.reshape(rows, columns, down, across, 3).swapaxes(1, 2)
    return ordered.reshape(rows * down, columns * across, 3)


def cell(size: tuple[int, ...], label: int = 0) -> tuple[int, int]:
    """Return the pixels (height, width) from one image to the next, with a label below each."""
    height, width = (_factor(size) * side for side in size)
    return height + TEXT + 2 * GAP, max(width, label) + GAP


def response_text(response: float) -> str:
    """Return about three digits, narrow enough that neighbors do not touch."""
    if not np.isfinite(response):
        return "none"
    return f"{response:.0f}" if abs(response) >= 100 else f"{response:#.3g}"


def png(sheet: Image.Image) -> bytes:
    """Return the sheet as the bytes of a PNG file."""
    buffer = io.BytesIO()
    # Light compression: 10% more bytes in a quarter of the time.
    sheet.save(buffer, "PNG", compress_level=2, dpi=(DPI, DPI))
    return buffer.getvalue()


def _factor(size: tuple[int, ...]) -> int:
    return max(1, -(-SMALLEST_PIXELS // max(size)))


def _page(
    grid: UInt8[np.ndarray, "height width 3"], title: str, left: int, below_title: int
) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    """Return a white page with a title and the grid, its drawing context, and the grid's top."""
    lines = lettering.wrapped(title, max(left + grid.shape[1], 40 * TEXT), TITLE)
    top = GAP + round(1.3 * TITLE) * len(lines) + below_title + GAP
    width = max(left + grid.shape[1], *(lettering.width(line, TITLE) + 2 * GAP for line in lines))
    sheet = Image.new("RGB", (width, top + grid.shape[0]), "white")
    sheet.paste(Image.fromarray(grid), (left, top))
    draw = ImageDraw.Draw(sheet)
    for index, line in enumerate(lines):
        draw.text(
            (GAP, GAP + round(1.3 * TITLE) * index), line, style.INK, lettering.font(TITLE), "lt"
        )
    return sheet, draw, top


def _label(
    draw: ImageDraw.ImageDraw,
    labels: Sequence[str],
    columns: int,
    step: tuple[int, int],
    corner: tuple[int, int],
) -> None:
    for index, label in enumerate(labels):
        row, column = divmod(index, columns)
        middle = corner[0] + column * step[1] + (step[1] - GAP) // 2
        _centered(draw, label, (middle, corner[1] + (row + 1) * step[0] - TEXT - GAP))


def _centered(draw: ImageDraw.ImageDraw, text: str, place: tuple[int, int]) -> None:
    draw.text(place, text, style.INK, lettering.font(TEXT), "mt")
