"""Layers of one network by layers of others: what the best matches of its images reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipeline.figures import style

COLORS = "cividis"  # alike with and without red-green blindness
MEASURES = {
    "percentile": "percentile of the best match among its responses to the image set (%)",
    "z": "z of the best match: SDs above its mean response to the image set",
    "drop": "drop of the best match: 1 - z / z of the image's own unit",
    "above_others": "other images that drive the best match less (%)",
}
_WRITTEN = 8  # layers at most, of a panel whose cells are wide enough for numbers
# Inches.
_WIDE, _TALL, _SMALL, _GAP, _BAR = 0.46, 0.3, 0.105, 0.2, 0.75


@style.paper_style()
def transfer_matrix(layers: pd.DataFrame, measure: str = "percentile") -> Figure:
    """Return a matrix for each network that sees the images: layers of images down, its own across.

    The color is the median over images of what the unit reaches that responds most to each, among
    all units of the layer. If the layers are few, every cell has the median, and the quartiles in
    small print.

    Args:
        layers: table ``transfer_layers`` of one model, kind and init.
        measure: ``percentile``, ``z``, ``drop`` or ``above_others``.

    Raises:
        ValueError: there is no such measure, or the table lacks a column or has several models,
            kinds or inits.
    """
    if measure not in MEASURES:
        raise ValueError(f"measure '{measure}' is not one of {', '.join(MEASURES)}")
    columns = [f"{measure}_{end}" for end in ("q25", "median", "q75")]
    needed = ("layer", "network", "layer_b", *columns)
    style.check_table(layers, needed, ("model", "kind", "init"))
    rows = [str(name) for name in dict.fromkeys(layers["layer"])]
    parts = {str(name): own for name, own in layers.groupby("network", sort=False)}
    seen = {name: list(map(str, dict.fromkeys(own["layer_b"]))) for name, own in parts.items()}
    cells = {name: _cells(parts[name], rows, seen[name], columns) for name in parts}
    norm = _norm(np.concatenate([each[..., 1].ravel() for each in cells.values()]), measure)
    written = max(len(rows), *map(len, seen.values())) <= _WRITTEN
    figure, axes = _panels(rows, seen, written)
    for axis, name in zip(axes, parts, strict=True):
        _draw(axis, cells[name], norm, written)
        width = axis.get_position().width * figure.get_size_inches()[0]
        axis.set_title(name, fontsize=style.fitting(name, max(width, 0.6)), pad=4)
    _finish(figure, norm, measure, layers)
    return figure


def _cells(
    own: pd.DataFrame, rows: Sequence[str], columns: Sequence[str], names: Sequence[str]
) -> Float[np.ndarray, "rows columns 3"]:
    """Return quartiles of every cell; NaN without data."""
    found = np.full((len(rows), len(columns), 3), np.nan)
    for row in own.to_dict("records"):
        place = rows.index(str(row["layer"])), columns.index(str(row["layer_b"]))
        found[place] = [row[name] for name in names]
    return found


def _norm(medians: Float[np.ndarray, " n"], measure: str) -> Normalize:
    known = medians[np.isfinite(medians)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    if measure == "drop":
        low, high = max(low, -1.0), min(high, 1.0)
    return Normalize(low, high if high > low else low + 1.0)


def _panels(
    rows: Sequence[str], seen: dict[str, list[str]], written: bool
) -> tuple[Figure, list[Axes]]:
    wide, tall = (_WIDE, _TALL) if written else (_SMALL, _SMALL)
    left = 0.12 + max(style.text_width(name, style.TEXT) for name in rows)
    names = [name for own in seen.values() for name in own]
    below = 0.12 + max(style.text_width(name, style.TEXT) for name in names)
    widths = [max(0.6, wide * len(own)) for own in seen.values()]
    lines: list[list[int]] = [[]]
    for number, width in enumerate(widths):
        used = sum(widths[each] + left for each in lines[-1])
        if lines[-1] and used + width + left + _BAR > style.DOUBLE_COLUMN:
            lines.append([])
        lines[-1].append(number)
    across = max(sum(widths[each] + left for each in line) for line in lines)
    total = max(style.SINGLE_COLUMN, across + _BAR)
    down = tall * len(rows) + below + 0.3
    height = 0.25 + down * len(lines) + 0.4
    figure = style.new_figure(total, height, None)
    axes: list[Axes] = []
    for at, line in enumerate(lines):
        x = left
        for number in line:
            own = list(seen.values())[number]
            y = height - 0.25 - at * down - 0.22 - tall * len(rows)
            size = (wide * len(own) / total, tall * len(rows) / height)
            axis = figure.add_axes((x / total, y / height, *size))
            style.settle_ticks(axis)
            axis.set_xticks(range(len(own)), own, rotation=90)
            axis.set_yticks(range(len(rows)), rows)
            axis.tick_params(length=0, pad=2)
            axes.append(axis)
            x += widths[number] + left
    return figure, axes


def _draw(
    axis: Axes, cells: Float[np.ndarray, "rows columns 3"], norm: Normalize, written: bool
) -> None:
    axis.set_facecolor(str(style.MISSING_GRAY))
    axis.imshow(np.ma.masked_invalid(cells[..., 1]), cmap=COLORS, norm=norm, aspect="auto")
    axis.spines[:].set_visible(False)
    rows, columns = cells.shape[:2]
    axis.set_xticks(np.arange(columns - 1) + 0.5, minor=True)
    axis.set_yticks(np.arange(rows - 1) + 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=0.5)
    axis.tick_params(which="minor", length=0)
    if not written:
        return
    for row, column in np.ndindex(rows, columns):
        low, middle, high = cells[row, column].tolist()
        if not np.isfinite(middle):
            axis.text(column, row, "none", ha="center", va="center", fontsize=5)
            continue
        color = colormaps[COLORS](norm(middle))
        ink = "white" if np.dot(color[:3], (0.2126, 0.7152, 0.0722)) < 0.45 else style.INK
        place: dict[str, Any] = {"ha": "center", "va": "center", "color": ink}
        axis.text(column, row - 0.13, _number(middle), fontsize=style.TEXT, gid="median", **place)
        said = f"{_number(low)} to {_number(high)}"
        size = min(5.0, style.fitting(said, _WIDE - 0.04, 5.0))
        axis.text(column, row + 0.25, said, fontsize=size, gid="quartiles", **place)


def _number(value: float) -> str:
    """Return three digits at most.

    >>> _number(99.96), _number(12.34), _number(-0.123), _number(-0.001)
    ('100', '12.3', '-0.12', '0')
    """
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 99.95 else 0
    text = f"{value:.{digits}f}"
    short = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if short == "-0" else short


def _finish(figure: Figure, norm: Normalize, measure: str, layers: pd.DataFrame) -> None:
    width, height = figure.get_size_inches()
    tall = min(1.4, height - 1.0)
    place = ((width - _BAR + 0.15) / width, (height - 0.47 - tall) / height)
    axis = figure.add_axes((*place, 0.09 / width, tall / height))
    bar = figure.colorbar(ScalarMappable(norm, COLORS), cax=axis)
    bar.outline.set_visible(False)
    axis.yaxis.set_major_locator(style.few_ticks())
    axis.tick_params(labelsize=style.SMALL_TEXT)
    first = layers.iloc[0]
    images = f"ascents from {first['init']}" if first["kind"] == "ascent" else "top patches"
    title = f"{first['model']}, {images} (down), seen by layers of (across)"
    size = style.fitting(title, width - 0.1)
    figure.suptitle(title, y=1 - 0.04 / height, va="top", fontsize=size)
    quartiles = ", and quartiles" if _has_numbers(figure) else ""
    said = f"Median over images{quartiles}: {MEASURES[measure]}."
    text = style.wrapped(said, width - 0.1, style.SMALL_TEXT)
    figure.text(0.05 / width, 0.05 / height, text, fontsize=style.SMALL_TEXT, va="bottom")


def _has_numbers(figure: Figure) -> bool:
    return any(text.get_gid() == "quartiles" for axis in figure.axes for text in axis.texts)
