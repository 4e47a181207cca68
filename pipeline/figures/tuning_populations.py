"""Tuning of populations of units, layer by layer, over the distributions of macaque cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from pipeline.analysis.tuning.distributions import Distribution, macaque_distributions
from pipeline.analysis.tuning.properties import CIRCLES, PROPERTIES
from pipeline.figures import style
from pipeline.figures.property_names import YES_NO, property_name, unit_name
from pipeline.figures.property_panel import PropertyPanel, property_panel

COLUMNS = ("layer", "unit", "property", "value")
NO_DATA = "no macaque data available"
NOTE = (
    "similarity of units with cells (in parentheses: of the cells with themselves), 95 % intervals"
    " of bootstrap draws; n units in which the property is defined"
)
CELLS, UNITS = "macaque cells", "units"
ACROSS = 3  # panels in a row
_CELL_COLOR, _UNIT_COLOR = "#c4c4c4", style.SERIES_COLORS[0]
_UNIT_FILL = (0.004, 0.45, 0.7, 0.25)
_FILLED = 0.88  # of the height of a row
# Inches: below and above the axes of a panel, between panels, and to the right of the axes for
# numbers, without similarities and with them.
_BELOW, _ABOVE, _GAP = 0.34, 0.43, 0.13
_NARROW, _WIDE = 0.34, 0.94
_NUMBERS = 5.5  # points


@style.paper_style()
def population_histograms(
    table: pd.DataFrame,
    populations: pd.DataFrame | None = None,
    distributions: Mapping[str, Distribution] | None = None,
    properties: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Return for each property the distribution over the units of each layer and over cells.

    A panel is a property and a row of it a layer: the line is the share of the units in each bin,
    the gray area that of the cells, the same in each row and at the same scale; the number at the
    upper left is the share that fills a row. Bins are the published ones; values beyond them count
    in the first or the last. Blue lines are medians over units, dashed lines those of the cells.
    Undefined values are left out, and n is how many units remain.

    Args:
        table: ``layer``, ``unit``, ``property`` and ``value``, one value per layer, unit and
            property (one rate map, before or after the nonlinearity).
        populations: ``layer``, ``property``, ``raw``, ``ceiling``, and ``low`` and ``high`` if
            similarities have intervals: how much each layer resembles the cells.
        distributions: of cells by property; the macaque's by default.
        properties: which ones, in order; by default all of the table that were measured in animals,
            those with a distribution first.
        title: of the figure.

    Raises:
        ValueError: a column is missing, a unit has several values of a property, or the table has
            none of the properties.
    """
    style.check_table(table, COLUMNS, single=())
    if table.duplicated([*COLUMNS[:3]]).any():
        raise ValueError(
            "the table has several values of a property of one unit; select one rate map, before or"
            " after the nonlinearity"
        )
    known = macaque_distributions() if distributions is None else distributions
    panels = [
        property_panel(name, table, known, populations)
        for name in _chosen(table, known, properties)
    ]
    layers = list(dict.fromkeys(table["layer"]))
    figure, axes = _layout(panels, layers, title)
    for axis, panel in zip(axes, panels, strict=True):
        _draw(axis, panel)
    if any(panel.similarities for panel in panels):
        figure.text(0.5, 0.24 / figure.get_figheight(), NOTE, ha="center", fontsize=_NUMBERS)
    figure.legend(
        handles=_legend(panels), loc="lower center", ncols=4, fontsize=style.SMALL_TEXT,
        borderaxespad=0.2,
    )  # fmt: skip
    return figure


def _chosen(
    table: pd.DataFrame, known: Mapping[str, Distribution], properties: Sequence[str] | None
) -> list[str]:
    there = list(dict.fromkeys(table["property"]))
    if properties is None:
        measured = [name for name in there if name in known or PROPERTIES[name].bins]
        chosen = sorted(measured, key=lambda name: name not in known)
    else:
        chosen = [name for name in properties if name in there]
    if not chosen:
        wanted = "that was measured in animals" if properties is None else ", ".join(properties)
        raise ValueError(f"the table has no property {wanted}; it has {', '.join(there)}")
    return chosen


def _layout(
    panels: Sequence[PropertyPanel], layers: Sequence[str], title: str
) -> tuple[Figure, list[Axes]]:
    """Return a figure with the axes of all panels; the first of each row names the layers."""
    rows = -(-len(panels) // ACROSS)
    tall = _row(len(layers)) * len(layers)
    size = _letters(layers)
    left = 0.12 + max(style.text_width(layer, size) for layer in layers)
    beside = max(_beside(panel) for panel in panels)
    wide = (style.DOUBLE_COLUMN - left - ACROSS * beside - (ACROSS - 1) * _GAP) / ACROSS
    top, bottom = (0.24 if title else 0.0), 0.36
    height = top + bottom + rows * (_ABOVE + tall + _BELOW)
    figure = style.new_figure(style.DOUBLE_COLUMN, height, None)
    axes: list[Axes] = []
    for number in range(len(panels)):
        down, across = divmod(number, ACROSS)
        x = left + across * (wide + beside + _GAP)
        y = height - top - (down + 1) * (_ABOVE + tall) - down * _BELOW
        axis = figure.add_axes(
            (x / style.DOUBLE_COLUMN, y / height, wide / style.DOUBLE_COLUMN, tall / height)
        )
        style.settle_ticks(axis)
        axis.set_yticks([])
        if across == 0:
            axis.set_yticks(np.arange(len(layers)) + 0.5, layers, fontsize=size)
        axes.append(axis)
    if title:
        letters = style.fitting(title, style.DOUBLE_COLUMN - 0.3)
        figure.suptitle(title, y=1 - 0.05 / height, va="top", fontsize=letters)
    return figure, axes


def _row(layers: int) -> float:
    """Return the height of a row in inches."""
    return 0.5 if layers == 1 else 0.34 if layers <= 4 else 0.22 if layers <= 8 else 0.092


def _letters(layers: Sequence[str]) -> float:
    return style.TEXT if len(layers) <= 8 else 5.5


def _draw(axis: Axes, panel: PropertyPanel) -> None:
    shares, cells, layers = panel.shares, panel.cell_shares, list(panel.values)
    top = max([cells.max(), *(share.max() for share in shares.values())]) or 1.0
    medians = panel.name not in YES_NO and panel.name not in CIRCLES
    log = PROPERTIES[panel.name].log and panel.edges[0] > 0
    if log:
        axis.set_xscale("log", base=_base(panel.edges))
    axis.set_ylim(len(layers), 0)  # before drawing, which else finds limits for every row
    axis.set_xlim(panel.edges[0], panel.edges[-1])
    axis.hlines(np.arange(len(layers)) + 1.0, *axis.get_xlim(), color=style.INK, linewidth=0.3)
    for row, layer in enumerate(layers):
        base, scale = row + 1.0, _FILLED / top
        if cells.any():
            axis.stairs(
                base - scale * cells, panel.edges, baseline=base, fill=True, color=_CELL_COLOR,
                gid="cells",
            )  # fmt: skip
        axis.stairs(
            base - scale * shares[layer], panel.edges, baseline=base, facecolor=_UNIT_FILL,
            edgecolor=_UNIT_COLOR, fill=True, linewidth=0.8 if len(layers) <= 8 else 0.5, gid=layer,
        )  # fmt: skip
        if medians and len(panel.values[layer]):
            median = np.clip(np.median(panel.values[layer]), panel.edges[0], panel.edges[-1])
            axis.plot(
                [median] * 2, [base, base - _FILLED], color=style.MEDIAN_COLOR, linewidth=1.3,
                gid="median", solid_capstyle="butt",
            )  # fmt: skip
        said = panel.similarities.get(layer, ""), str(len(panel.values[layer]))
        _say_beside(axis, row + 0.5, _beside(panel), said)
    if medians and panel.cells is not None:
        axis.axvline(
            panel.cells.median, color=style.INK, lw=0.7, ls=(0, (3, 1.5)), gid="median of cells"
        )
    _write(axis, panel, top)


def _beside(panel: PropertyPanel) -> float:
    """Return the inches to the right of the axes that numbers take."""
    return _WIDE if panel.similarities else _NARROW


def _say_beside(axis: Axes, y: float, width: float, said: tuple[str, str]) -> None:
    """Write two columns at the right of a panel, so many inches wide, at a height in its rows."""
    inches = axis.get_position().width * style.DOUBLE_COLUMN
    for text, x, side in zip(said, (0.05, width - 0.04), ("left", "right"), strict=True):
        axis.text(
            1 + x / inches, y, text, fontsize=_NUMBERS, va="center", ha=side,
            transform=axis.get_yaxis_transform(),
        )  # fmt: skip


def _write(axis: Axes, panel: PropertyPanel, top: float) -> None:
    """Write what the panel shows, the scale of its rows, and the numbers of its bottom."""
    name = property_name(panel.name)
    across = axis.get_position().width * style.DOUBLE_COLUMN
    about = NO_DATA
    if (cells := panel.cells) is not None:
        undefined = f" of {cells.cells}" if cells.undefined else ""
        about = f"{cells.counts.sum()}{undefined} cells: {cells.source or 'source not given'}"
    room = across + _beside(panel)
    for text, up, size in ((name, 17.5, 8.0), (about, 10.5, 5.5)):
        axis.annotate(
            text, (0, 1), (0, up), "axes fraction", "offset points",
            fontsize=style.fitting(text, room, size),
        )  # fmt: skip
    ceiling = f"similarity ({panel.ceiling:.2f})" if panel.similarities else ""
    _say_beside(axis, -0.035 / _row(len(panel.values)), _beside(panel), (ceiling, "n"))
    axis.annotate(
        f"{100 * top:.0f} %", (0, 1), (1, 0.5), "axes fraction", "offset points", fontsize=5
    )
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", labelsize=style.SMALL_TEXT, pad=1.5)
    axis.spines["bottom"].set_visible(False)
    axis.set_xlabel(unit_name(panel.name), fontsize=style.SMALL_TEXT, labelpad=1)
    _number(axis, panel)


def _number(axis: Axes, panel: PropertyPanel) -> None:
    """Choose the ticks of a panel."""
    low, high = float(panel.edges[0]), float(panel.edges[-1])
    if panel.name in YES_NO:
        axis.set_xticks([0.25, 0.75], ["no", "yes"])
        axis.tick_params(axis="x", length=0)
    elif panel.name in CIRCLES:
        axis.set_xticks(np.arange(0, high, CIRCLES[panel.name] / 4))
    elif axis.get_xscale() == "log":
        axis.set_xticks(style.log_ticks(low, high, _base(panel.edges), 5))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
        axis.xaxis.set_minor_locator(NullLocator())
    else:
        axis.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]))


def _base(edges: Float[np.ndarray, " edges"]) -> float:
    return 10.0 if edges[-1] / edges[0] > 300 else 2.0


def _legend(panels: Sequence[PropertyPanel]) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = [
        Patch(facecolor=_UNIT_FILL, edgecolor=_UNIT_COLOR, lw=0.8, label=UNITS)
    ]
    handles.append(Line2D([], [], color=style.MEDIAN_COLOR, lw=1.4, label="median of units"))
    if any(panel.cells for panel in panels):
        handles.append(Patch(facecolor=_CELL_COLOR, label=CELLS))
        dashed = Line2D([], [], color=style.INK, lw=0.7, ls=(0, (3, 1.5)))
        dashed.set_label("median of cells")
        handles.append(dashed)
    return handles
