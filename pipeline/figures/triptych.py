"""Images of units side by side: the ascent from each init, and the top patch."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures import scaling, style

Image = Float[np.ndarray, "_ _ 3"]

# Up to this many pixels per side, the pixels of an image are drawn visibly.
SMALL_IMAGE = 100

# Inches: many rows are reduced to fit one page, down to a visible size.
PAGE_HEIGHT = 8.5
SMALLEST_SIDE = 0.5
SMALLEST_WIDTH = 2.5


def triptych(
    panels: list[tuple[str, Image]],
    title: str,
    caption: str = scaling.DESCRIPTIONS["range"],
) -> Figure:
    """Return a row of named images of one unit, with the caption below.

    Images are height x width x 3, 0..1, already scaled for display (``scaling``); NaN pixels are
    light gray. The caption must say how they were scaled. Three panels fill one column of a paper.
    """
    return _grid([("", panels)], title, caption)


def triptych_grid(
    rows: list[tuple[str, list[tuple[str, Image]]]],
    title: str = "",
    caption: str = scaling.DESCRIPTIONS["range"],
) -> Figure:
    """Return one row of images per unit: ``(name of the unit, panels)``, the same panels in each.

    Panels are as in ``triptych`` and named once, above the first row.
    """
    return _grid(rows, title, caption)


@style.paper_style()
def _grid(rows: list[tuple[str, list[tuple[str, Image]]]], title: str, caption: str) -> Figure:
    _check(rows)
    columns = len(rows[0][1])
    width = style.SINGLE_COLUMN if columns <= 4 else style.DOUBLE_COLUMN
    label = max(style.text_width(name, style.TEXT) for name, _ in rows) + 0.1
    side = (width - label - 0.1) / columns
    side = min(side, max(PAGE_HEIGHT / len(rows), SMALLEST_SIDE))
    width = max(columns * side + label + 0.1, SMALLEST_WIDTH)
    text = style.wrapped(caption, width - 0.1, style.SMALL_TEXT)
    ratio = max(image.shape[0] / image.shape[1] for _, panels in rows for _, image in panels)
    height = len(rows) * side * min(ratio, 2.0) + 0.45 + 0.1 * (text.count("\n") + 1)
    figure = style.new_figure(width, height, layout="compressed")
    for row, (unit, panels) in enumerate(rows):
        for column, (name, image) in enumerate(panels):
            axis = figure.add_subplot(len(rows), columns, row * columns + column + 1)
            _draw(axis, image)
            if row == 0:
                axis.set_title(style.wrapped(name, side, style.TEXT), fontsize=style.TEXT, pad=3)
            if column == 0:
                axis.set_ylabel(unit, rotation=0, ha="right", va="center", fontsize=style.TEXT)
    if title:
        figure.suptitle(style.wrapped(title, width - 0.1))
    figure.supxlabel(text, fontsize=style.SMALL_TEXT)
    return figure


def _check(rows: list[tuple[str, list[tuple[str, Image]]]]) -> None:
    if not rows or not rows[0][1]:
        raise ValueError("a triptych needs at least one panel, and got none")
    names = [[name for name, _ in panels] for _, panels in rows]
    for (unit, _), panel_names in zip(rows, names, strict=True):
        if panel_names != names[0]:
            raise ValueError(
                f"row '{unit}' has the panels {panel_names}; all rows must have those of the "
                f"first, {names[0]}"
            )


def _draw(axis: Axes, image: Image) -> None:
    interpolation = "nearest" if max(image.shape[:2]) <= SMALL_IMAGE else "antialiased"
    shown = np.where(np.isnan(image).any(-1, keepdims=True), style.MISSING_GRAY, image)
    # Files have 8 bits, which are resampled several times faster than floats.
    axis.imshow(np.rint(shown * 255).astype(np.uint8), interpolation=interpolation)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
