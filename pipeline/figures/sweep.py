"""The decrease of r with depth in the runs of a sweep: layers by jobs by models.

Takes the table ``sweep_summary``: a row for every job, layer and pair of inits, with median,
quartiles and interval over units. A job is named by the settings in which the runs differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import style

_COLUMNS = "job model layer init_a init_b units undefined median q25 q75 ci_low ci_high"
COLUMNS = (*_COLUMNS.split(), "null_median", "noise_ceiling")
LABEL = "Pearson corr. coeff."
CAPTION = (
    "Marker: median over units; thick line: its 95 % interval; thin line: quartiles; gray:"
    " null (units shuffled); black: noise ceiling. Below each layer: how many units have a"
    " correlation."
)

# Inches.
MARGIN = 0.65
JOB_WIDTH = 0.062
ROW_HEIGHT = 1.75
LINE_HEIGHT = 0.15

SPREAD = 0.8  # share of a layer's width for its jobs


@dataclass(frozen=True)
class ModelCorrelations:
    """One model and one pair of inits: rows by color, layers, and descriptions of their units."""

    model: str
    inits: str
    rows: dict[str, pd.DataFrame]
    units: dict[str, str]


@style.paper_style()
def sweep_figure(summary: pd.DataFrame) -> Figure:
    """Return one panel per model and pair of inits, one position per layer, one color per job.

    Jobs that only differ in their model share a color. Jobs and models keep their order of first
    appearance, layers that of the job with the most.
    """
    style.check_table(summary, COLUMNS, single=())
    table = summary.assign(series=_series(summary))
    names = [str(name) for name in table["series"].unique()]
    panels = _panels(table)
    columns, width, flat = _arrangement(panels, len(names))
    rows = -(-len(panels) // columns)
    handles = [_handle(name, number) for number, name in enumerate(names) if name]
    longest = max(names, key=len)
    in_line = _in_line(longest, len(names), width)
    caption = style.wrapped(CAPTION, width - 0.3, style.SMALL_TEXT)
    lines = -(-len(handles) // in_line) + caption.count("\n") + 1
    fall = 0.0 if flat else max(style.text_width(n, style.SMALL_TEXT) for n in _turned(panels))
    figure = style.new_figure(width, 0.3 + rows * (ROW_HEIGHT + fall) + lines * LINE_HEIGHT)
    low = _lowest(table)
    for index, panel in enumerate(panels):
        axis = figure.add_subplot(rows, columns, index + 1)
        style.settle_ticks(axis)
        _draw_panel(axis, panel, names)
        _label_layers(axis, panel, flat)
        axis.set_ylim(low, 1.08)
        first = index % columns == 0
        axis.tick_params(labelleft=first)
        axis.set_ylabel(LABEL if first else "", fontsize=style.TEXT)
    _title(figure, panels, (width - MARGIN) / columns)
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=in_line,
        fontsize=style.fitting(longest, width - 0.45, style.TEXT),
        title=caption,
        title_fontsize=style.SMALL_TEXT,
        alignment="left",
    )
    return figure


def _series(summary: pd.DataFrame) -> list[str]:
    """Return the job of every row without settings that have a single value per model."""
    # Values may contain spaces, like paths.
    setting = re.compile(r"([\w.]+)=(.*?)(?= [\w.]+=|$)")
    jobs = [dict(setting.findall(str(job))) for job in summary["job"]]
    models = [str(model) for model in summary["model"]]
    told = {
        key
        for key in {key for job in jobs for key in job if key.split(".")[0] == "model"}
        if len({(model, job.get(key)) for model, job in zip(models, jobs, strict=True)})
        == len(set(models))
    }
    return [" ".join(f"{k}={value}" for k, value in job.items() if k not in told) for job in jobs]


def _panels(table: pd.DataFrame) -> list[ModelCorrelations]:
    panels: list[ModelCorrelations] = []
    groups = dict(iter(table.groupby(["init_a", "init_b", "model"], sort=False, observed=True)))
    models = [str(model) for model in table["model"].unique()]
    pairs = dict.fromkeys(zip(table["init_a"], table["init_b"], strict=True))
    for first, second in pairs:
        inits = f"{style.init_title(first)}- vs. {style.init_title(second)}"
        for model in models:
            if (first, second, model) in groups:
                rows = groups[first, second, model]
                by_series = dict(iter(rows.groupby("series", sort=False)))
                jobs = {str(name): part for name, part in by_series.items()}
                panels.append(ModelCorrelations(model, inits, jobs, _units(jobs)))
    return panels


def _units(jobs: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Return the number of units with a correlation in each layer; a range if jobs differ."""
    counts: dict[str, list[int]] = {}
    for rows in sorted(jobs.values(), key=len, reverse=True):
        for layer, units in zip(rows["layer"], rows["units"] - rows["undefined"], strict=True):
            counts.setdefault(str(layer), []).append(int(units))
    return {
        layer: f"{min(found)}" if min(found) == max(found) else f"{min(found)}-{max(found)}"
        for layer, found in counts.items()
    }


def _arrangement(panels: Sequence[ModelCorrelations], jobs: int) -> tuple[int, float, bool]:
    """Return panels per row, width, and whether layer names are horizontal."""
    models = len({panel.model for panel in panels})
    wanted = models if models > 1 else len(panels)
    for flat in (True, False):
        needed = max(_width(panel, jobs, flat) for panel in panels)
        if wanted * needed <= style.SINGLE_COLUMN - MARGIN:
            return wanted, style.SINGLE_COLUMN, flat
        fitting = int((style.DOUBLE_COLUMN - MARGIN) / needed)
        if fitting:
            return min(fitting, wanted), style.DOUBLE_COLUMN, flat
    return 1, style.DOUBLE_COLUMN, False


def _width(panel: ModelCorrelations, jobs: int, flat: bool) -> float:
    """Return the inches that a panel needs."""
    words = [*panel.units, *panel.units.values()]
    widest = max(style.text_width(word, style.TEXT) for word in words) + 0.08
    label = widest if flat else 1.3 * style.SMALL_TEXT / 72
    return len(panel.units) * max(label, jobs * JOB_WIDTH / SPREAD) + 0.15


def _turned(panels: Sequence[ModelCorrelations]) -> list[str]:
    return [f"{layer} ({units})" for panel in panels for layer, units in panel.units.items()]


def _lowest(table: pd.DataFrame) -> float:
    values = table[["median", "q25", "ci_low", "null_median", "noise_ceiling"]].to_numpy(np.float64)
    lowest = float(values[np.isfinite(values)].min()) if np.isfinite(values).any() else 0.0
    return max(min(lowest - 0.05, -0.15), -1.08)


def _draw_panel(axis: Axes, panel: ModelCorrelations, names: Sequence[str]) -> None:
    axis.axhline(0, color=style.INK, linewidth=0.4, zorder=0)
    for place in range(1, len(panel.units), 2):
        axis.axvspan(place - 0.5, place + 0.5, color=style.INK, alpha=0.04, linewidth=0, zorder=0)
    layers = list(panel.units)
    step = SPREAD / len(names)
    for name, rows in panel.rows.items():
        number = names.index(name)
        color, _ = _look(number)
        rows = rows.iloc[np.argsort([layers.index(layer) for layer in rows["layer"]])]
        x = np.array([layers.index(layer) for layer in rows["layer"]])
        x = x + (number + 0.5) * step - SPREAD / 2
        for column, ink in (("null_median", style.NULL_COLOR), ("noise_ceiling", style.INK)):
            axis.hlines(rows[column], x - step / 2, x + step / 2, color=ink, lw=0.9, gid=column)
        axis.vlines(x, rows["q25"], rows["q75"], color=color, lw=0.8, gid=f"quartiles {name}")
        interval = axis.vlines(x, rows["ci_low"], rows["ci_high"], color=color, lw=2.4, alpha=0.5)
        interval.set_gid(f"interval {name}")
        _join_medians(axis, x, rows["median"].to_numpy(np.float64), number, f"median {name}")
    axis.set_xlim(-0.5, len(layers) - 0.5)
    axis.yaxis.set_major_locator(style.few_ticks())


def _join_medians(
    axis: Axes, x: Float[np.ndarray, " n"], medians: Float[np.ndarray, " n"], number: int, gid: str
) -> None:
    """Draw the medians of one job as markers joined by a line, without undefined layers."""
    import seaborn as sns

    if not np.isfinite(medians).any():
        return
    color, marker = _look(number)
    with style.own_labels(axis):
        sns.lineplot(
            x=x,
            y=medians,
            units=style.parted(medians),
            estimator=None,
            color=color,
            marker=marker,
            markersize=3,
            markeredgewidth=0,
            linewidth=0.5,
            gid=gid,
            ax=axis,
        )


def _label_layers(axis: Axes, panel: ModelCorrelations, flat: bool) -> None:
    places = range(len(panel.units))
    if flat:
        axis.set_xticks(places, [f"{layer}\n{units}" for layer, units in panel.units.items()])
    else:
        axis.set_xticks(places, _turned([panel]), rotation=90, fontsize=style.SMALL_TEXT)


def _title(figure: Figure, panels: Sequence[ModelCorrelations], width: float) -> None:
    """Write model and inits above each panel; inits shared by all panels are above the figure."""
    shared = len(panels) > 1 and len({panel.inits for panel in panels}) == 1
    if shared:
        figure.suptitle(style.wrapped(f"{panels[0].inits} Initializations", figure.get_figwidth()))
    for axis, panel in zip(figure.axes, panels, strict=True):
        title = panel.model if shared else f"{panel.model}: {panel.inits} Initializations"
        axis.set_title(title, pad=4, fontsize=style.fitting(title, width))


def _look(number: int) -> tuple[str, str]:
    """Return color and marker, so that jobs also differ in grayscale and never run out."""
    colors, markers = style.SERIES_COLORS, style.SERIES_MARKERS
    return colors[number % len(colors)], markers[number % len(markers)]


def _handle(name: str, number: int) -> Line2D:
    color, marker = _look(number)
    return Line2D([], [], color=color, marker=marker, markersize=3, mew=0, lw=0.5, label=name)


def _in_line(longest: str, jobs: int, width: float) -> int:
    """Return the number of jobs per legend row."""
    place = style.text_width(longest, style.TEXT) + 0.33
    return max(1, min(jobs, int((width - 0.1) / place)))
