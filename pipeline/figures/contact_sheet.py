"""Contact sheet: the patches of many units at once, one unit a row, composed as one image."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures import style

# Inches: a sheet aims at one page, with patches that can still be seen and labels that fit.
PAGE_HEIGHT = 9.5
SMALLEST_PATCH, LARGEST_PATCH = 0.3, 0.9
STRIP = 0.11
TOP, RIGHT = 0.5, 0.08
SMALLEST_WIDTH = 2.5
RESPONSE_TEXT = 5.0

# Patches smaller than this are enlarged by whole factors, so that gaps can be thin.
SMALLEST_PIXELS = 64


@style.paper_style()
def contact_sheet(
    patches: Float[np.ndarray, "units ranks height width 3"],
    responses: Float[np.ndarray, "units ranks"],
    units: list[int],
    title: str,
) -> Figure:
    """Return units as rows and ranks (from 0) as columns, each patch with its response below.

    Patches are 0..1, already scaled for display; those with NaN pixels are missing and light gray.
    The figure is sized for patches of 0.3 to 0.9 inch: 10 ranks of 21 units fit on one page.
    """
    if len(units) != len(patches) or patches.size == 0:
        raise ValueError(
            f"a contact sheet needs one number per unit; it got {len(units)} numbers for "
            f"{len(patches)} rows of patches with {patches.shape[1]} ranks"
        )
    rows, ranks, patch_height, patch_width = patches.shape[:4]
    label = 0.2 + max(style.text_width(str(unit), style.TEXT) for unit in units)
    side = _patch_inches(rows, ranks, label)
    pixels = mosaic(patches, side)
    per_inch = _factor(patches) * max(patch_height, patch_width) / side
    sheet_height, sheet_width = pixels.shape[0] / per_inch, pixels.shape[1] / per_inch
    width = max(label + sheet_width + RIGHT, SMALLEST_WIDTH)
    left = label + (width - label - sheet_width - RIGHT) / 2
    text = style.wrapped(title, width - 0.1)
    height = TOP + 0.14 * text.count("\n") + sheet_height + 0.03
    figure = style.new_figure(width, height, layout=None)
    axis = figure.add_axes(
        (left / width, 0.03 / height, sheet_width / width, sheet_height / height)
    )
    axis.imshow(pixels, aspect="auto", interpolation="antialiased")
    _label(axis, patches, responses, units, side)
    figure.text(0.5, 1 - 0.06 / height, text, ha="center", va="top", fontsize=8)
    return figure


def mosaic(
    patches: Float[np.ndarray, "units ranks height width 3"], side: float
) -> UInt8[np.ndarray, "mosaic_height mosaic_width 3"]:
    """Return all patches in one 8-bit image, each with a white gap at its right and a strip below.

    ``side`` is the printed size in inches of a patch's longer edge; it sets how many pixels the
    strip for the response takes. ``cell`` gives the place of a patch.
    """
    factor = _factor(patches)
    cell_height, cell_width = cell(patches, side)
    rows, ranks, height, width = patches.shape[:4]
    sheet = np.full((rows, cell_height, ranks, cell_width, 3), 255, np.uint8)
    missing = np.isnan(patches).any(axis=(2, 3, 4), keepdims=True)
    shown = np.where(missing, style.MISSING_GRAY, patches).clip(0, 1)
    large = np.rint(shown * 255).astype(np.uint8).repeat(factor, 2).repeat(factor, 3)
    sheet[:, : height * factor, :, : width * factor] = large.transpose(0, 2, 1, 3, 4)
    return sheet.reshape(rows * cell_height, ranks * cell_width, 3)


def cell(patches: Float[np.ndarray, "units ranks height width 3"], side: float) -> tuple[int, int]:
    """Return the mosaic pixels (height, width) from one patch to the next."""
    height, width = (_factor(patches) * size for size in patches.shape[2:4])
    per_inch = max(height, width) / side
    return height + round(STRIP * per_inch), width + max(1, round(0.03 * per_inch))


def _factor(patches: np.ndarray) -> int:
    return max(1, -(-SMALLEST_PIXELS // max(patches.shape[2:4])))


def _patch_inches(rows: int, ranks: int, label: float) -> float:
    """Return the size of a patch for which the sheet fits a page, if that is large enough."""
    across = (style.DOUBLE_COLUMN - label - RIGHT) / ranks - 0.03
    down = (PAGE_HEIGHT - TOP) / rows - STRIP
    return min(max(min(across, down), SMALLEST_PATCH), LARGEST_PATCH)


def _label(
    axis: Axes,
    patches: np.ndarray,
    responses: np.ndarray,
    units: list[int],
    side: float,
) -> None:
    factor = _factor(patches)
    high, wide = cell(patches, side)
    height, width = (factor * size for size in patches.shape[2:4])
    lefts, tops = wide * np.arange(patches.shape[1]) - 0.5, high * np.arange(len(units)) - 0.5
    axis.set_xticks(lefts + width / 2, [str(rank) for rank in range(patches.shape[1])])
    axis.set_yticks(tops + height / 2, [str(unit) for unit in units])
    axis.xaxis.tick_top()
    axis.xaxis.set_label_position("top")
    axis.set_xlabel("rank", labelpad=2)
    axis.set_ylabel("unit", labelpad=2)
    axis.tick_params(length=0, pad=2)
    axis.spines[:].set_visible(False)
    for row, top in enumerate(tops):
        for rank, left in enumerate(lefts):
            axis.text(
                left + width / 2,
                top + height + 0.1 * (high - height),
                _response_text(float(responses[row, rank])),
                ha="center",
                va="top",
                fontsize=RESPONSE_TEXT,
            )


def _response_text(response: float) -> str:
    """Return three digits or so, never so wide that neighbors touch."""
    if not np.isfinite(response):
        return "none"
    return f"{response:.0f}" if abs(response) >= 100 else f"{response:#.3g}"
