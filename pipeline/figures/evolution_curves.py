"""Responses during evolution by images shown: of methods over units, and of one unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.analysis.search_curves import held_values, mean_of_runs, query_counts
from pipeline.figures import style
from pipeline.figures.evolution_methods import (
    KEYS,
    REFERENCES,
    Over,
    checked,
    label_rows,
    legend,
    looks,
    methods,
    multiple_label,
    panel_width,
    quartiles,
    rows_of,
    say,
    starts_row,
)
from pipeline.figures.evolution_names import Method

QUERIES = "queries (images shown)"
SHOWN = "median, quartiles over units"
BEST = "best so far, noise-free"
FEW = 4  # methods whose bands can be told apart
_ONE: dict[str, Any] = {"color": style.INK, "linewidth": 0.7}
_OTHER: dict[str, Any] = {"color": style.INK, "linewidth": 0.7, "linestyle": (0, (6, 2, 1, 2))}


@style.paper_style()
def evolution_curves(
    history: pd.DataFrame, evolution: pd.DataFrame, over: Over | None = "top_patch"
) -> Figure:
    """Return the response to the best image so far by queries, one panel per layer.

    Responses are without noise, as multiples of that to the unit's top patch or ascent image. Lines
    are medians over units; bands reach from quartile to quartile, as do bars beyond the end of the
    lines where there are more than four methods. A unit with restarts counts once, with their mean.
    A search that ended early holds its last value. Horizontal lines are the reference, at 1, and
    the median of the other: the ascent images, or the top patches. Units whose reference is not
    above 0 have no multiple; they are left out and counted. With ``over=None``, responses are those
    of the unit, or the scores that were measured where no response without noise is known.

    Args:
        history: table ``evolution_history`` of one model, with ``model``, ``layer``, ``unit``,
            ``searcher``, ``generator``, ``restart``, ``queries``, ``noise_free`` and,
            without ``over``, ``best``.
        evolution: table ``evolution`` of the same runs, with the same keys, ``top_patch`` and
            ``ascent``.
        over: what responses are divided by, or ``None``.

    Raises:
        ValueError: a table has no rows, lacks a column, or is of several models.
    """
    runs = checked(history, ("queries", "noise_free", *(() if over else ("best",))))
    units = checked(evolution, ("top_patch", "ascent"))
    measured = over is None and not np.isfinite(runs["noise_free"]).any()
    runs = _divided(runs, units, over, "best" if measured else "noise_free")
    chosen = methods(runs)
    shown = looks(chosen)
    layers = [str(layer) for layer in runs["layer"].unique()]
    figure, axes = style.panel_grid(layers, QUERIES)
    last = max(1.0, float(runs["queries"].to_numpy().max()))
    step = min(0.015, 0.15 / len(chosen)) * last  # from bar to bar
    for axis, layer in zip(axes, layers, strict=True):
        of_layer = runs.loc[runs["layer"] == layer]
        for at, method in enumerate(chosen):
            bar = last + (at + 1) * step if len(chosen) > FEW else None
            _draw_method(axis, rows_of(of_layer, method), shown[method], method.name, bar)
        if over is not None:
            _draw_references(axis, units.loc[units["layer"] == layer], over)
        _finish(
            axis, of_layer, layer, "no reference\nabove 0" if over else "no response\nis finite"
        )
        _number(axis, last, last + (len(chosen) + 1 if len(chosen) > FEW else 2) * step)
    plain = "score" if measured else "response"
    label_rows(axes, multiple_label(over) if over else plain)
    best = "best score so far" if measured else "best image so far, without noise"
    words = f"{runs['model'].iloc[0]}: {best}; {SHOWN}"
    figure.suptitle(style.wrapped(words, figure.get_figwidth() - 0.2))
    handles = [_handle(method, shown[method]) for method in chosen]
    legend(figure, handles + _reference_handles(axes, over))
    return figure


def _divided(
    runs: pd.DataFrame, units: pd.DataFrame, over: Over | None, column: str
) -> pd.DataFrame:
    """Return runs with a column ``ratio``: responses over the reference of their unit, if any."""
    if over is None:
        return runs.assign(ratio=runs[column])
    merged = runs.merge(units[[*KEYS, over]], on=list(KEYS), how="left")
    return merged.assign(ratio=merged[column] / merged[over].where(merged[over] > 0))


def _reference_handles(axes: list[Axes], over: Over | None) -> list[Line2D]:
    if over is None:
        return []
    handles = [Line2D([], [], label=REFERENCES[over], **_ONE)]
    other: Over = "ascent" if over == "top_patch" else "top_patch"
    if any(line.get_gid() == other for axis in axes for line in axis.lines):
        handles.append(Line2D([], [], label=f"{REFERENCES[other]}, median", **_OTHER))
    return handles


def _draw_method(
    axis: Axes, rows: pd.DataFrame, look: dict[str, Any], name: str, bar: float | None
) -> None:
    rows = rows.loc[np.isfinite(rows["ratio"])]
    if rows.empty:
        return
    grid = query_counts(rows)
    units = rows.groupby("unit", sort=False, observed=True)
    low, middle, high = quartiles(np.stack([mean_of_runs(own, "ratio", grid) for _, own in units]))
    every = max(1, len(grid) // 4)
    axis.plot(
        grid, middle, linewidth=1.1, markersize=3, markevery=every, markeredgewidth=0.8, gid=name,
        label=name, **look,
    )  # fmt: skip
    if bar is None and len(grid) > 1:
        axis.fill_between(grid, low, high, color=look["color"], alpha=0.18, linewidth=0)
    else:
        place = grid[-1] if bar is None else bar
        axis.vlines(place, low[-1], high[-1], color=look["color"], linewidth=0.8, gid=name)


def _draw_references(axis: Axes, units: pd.DataFrame, over: Over) -> None:
    axis.axhline(1.0, gid=over, zorder=1, **_ONE)
    other: Over = "ascent" if over == "top_patch" else "top_patch"
    own = units.drop_duplicates("unit")
    above, below = (own[name].to_numpy(np.float64) for name in (other, over))
    ratio = above / np.where(below > 0, below, np.nan)
    if np.isfinite(ratio).any():
        axis.axhline(float(np.median(ratio[np.isfinite(ratio)])), gid=other, zorder=1, **_OTHER)


def _finish(axis: Axes, rows: pd.DataFrame, layer: str, without: str) -> None:
    finite = np.isfinite(rows["ratio"].to_numpy(np.float64))
    every, defined = (len(np.unique(own)) for own in (rows["unit"], rows.loc[finite, "unit"]))
    undefined = "" if defined == every else f" ({every - defined} undefined)"
    title = f"{layer}, n = {defined}{undefined}"
    axis.set_title(title, pad=3, fontsize=min(axis.title.get_fontsize(), _fitting(axis, title)))
    if not defined:
        say(axis, without)


def _number(axis: Axes, last: float, end: float) -> None:
    """Choose the ticks of a panel: of queries none after the last, though the axis is longer."""
    ticks = style.few_ticks(integer=True).tick_values(0, last)
    axis.set_xticks([tick for tick in ticks if 0 <= tick <= last])
    axis.set_xlim(0, end)
    axis.yaxis.set_major_locator(style.few_ticks())


def _fitting(axis: Axes, title: str) -> float:
    """Return the size at which a title is no wider than its panel of ``style.panel_grid``."""
    return style.fitting(title, panel_width(axis) - 0.5)


def _handle(method: Method, look: dict[str, Any]) -> Line2D:
    return Line2D([], [], label=method.name, linewidth=1.1, markersize=3, **look)


@style.paper_style()
def unit_evolution(
    history: pd.DataFrame,
    top_patch: float = float("nan"),
    ascent: float = float("nan"),
    title: str = "",
) -> Figure:
    """Return the searches of one unit by queries: a panel for each method, with every restart.

    Lines are the response without noise to the best image so far. The band reaches from the lowest
    to the highest mean response of a generation over restarts, likewise without noise. Dotted lines
    are the best responses that were observed, where noise makes them differ. Rivals are gray in
    every panel. All panels share the axis of responses.

    Args:
        history: table ``evolution_history`` of one unit, with ``model``, ``layer``, ``unit``,
            ``searcher``, ``generator``, ``restart``, ``queries``, ``best``, ``noise_free``,
            ``noise_free_mean`` and ``missing`` (images of a generation without a score).
        top_patch: response to the unit's top patch at the same contrast; NaN if there is none.
        ascent: response to the unit's ascent image at the same contrast; NaN if there is none.
        title: of the figure; model, layer and unit by default.

    Raises:
        ValueError: the table has no rows, lacks a column, or is of several units.
    """
    columns = ("queries", "best", "noise_free", "noise_free_mean", "missing")
    runs = checked(history, columns, ("model", "layer", "unit"))
    found = methods(runs)
    own = [method for method in found if not method.rival] or found
    rivals = [method for method in found if method.rival and method not in own]
    shown = looks(found)
    figure, axes = style.panel_grid([method.name for method in own], QUERIES)
    noisy = False
    for axis, method in zip(axes, own, strict=True):
        for rival in rivals:
            _draw_runs(axis, rows_of(runs, rival), "noise_free", shown[rival], rival.name)
        noisy |= _draw_search(axis, rows_of(runs, method), method, shown[method])
        for value, look, gid in ((top_patch, _ONE, "top_patch"), (ascent, _OTHER, "ascent")):
            if np.isfinite(value):
                axis.axhline(value, gid=gid, zorder=1, **look)
    _share(axes, float(runs["queries"].to_numpy().max()))
    row = runs.iloc[0]
    words = title or f"{row['model']} {row['layer']} unit {row['unit']}: evolution"
    figure.suptitle(style.wrapped(words, figure.get_figwidth() - 0.2))
    label_rows(axes, "response")
    handles: list[Any] = [
        Line2D([], [], color=style.INK, lw=1.0, label=BEST if noisy else "best image so far"),
        Patch(facecolor=style.INK, alpha=0.2, label="means of generations"),
    ]
    if noisy:
        dots = Line2D([], [], color=style.INK, lw=0.8, ls=(0, (1, 1)), label="best observed")
        handles.append(dots)
    handles += [_handle(rival, {**shown[rival], "marker": ""}) for rival in rivals]
    handles += (
        [Line2D([], [], label=REFERENCES["top_patch"], **_ONE)] if np.isfinite(top_patch) else []
    )
    handles += [Line2D([], [], label=REFERENCES["ascent"], **_OTHER)] if np.isfinite(ascent) else []
    legend(figure, handles)
    return figure


def _draw_search(axis: Axes, rows: pd.DataFrame, method: Method, look: dict[str, Any]) -> bool:
    """Draw the restarts of a method; return whether best responses differ by noise."""
    plain = {**look, "linestyle": "-"}
    queries = query_counts(rows)
    means = held_values(rows, "noise_free_mean", queries)
    if np.isfinite(means).any():
        spread = pd.DataFrame(means)
        low, high = (spread.min().to_numpy(float), spread.max().to_numpy(float))
        axis.fill_between(queries, low, high, color=look["color"], alpha=0.25, linewidth=0.8)
        if len(queries) == 1:  # of which no band is visible
            ends = np.stack([low, high], axis=1)
            axis.plot(queries, ends, marker="_", linewidth=0, alpha=0.6, color=look["color"])
    _draw_runs(axis, rows, "noise_free", plain, method.name)
    observed, known = (rows[name].to_numpy(np.float64) for name in ("best", "noise_free"))
    noisy = not np.allclose(observed, known, rtol=1e-4, atol=1e-6, equal_nan=True)
    if noisy:
        dots = {**look, "linestyle": (0, (1, 1))}
        _draw_runs(axis, rows, "best", dots, f"{method.name}, observed")
    if not np.isfinite(known).any():
        say(axis, "no response\nis finite")
    without = int(np.nansum(rows["missing"].to_numpy(np.float64)))
    if without:
        axis.text(
            0.97, 0.03, f"{without} without a score", transform=axis.transAxes, ha="right",
            va="bottom", fontsize=style.SMALL_TEXT,
        )  # fmt: skip
    return noisy


def _draw_runs(axis: Axes, rows: pd.DataFrame, column: str, look: dict[str, Any], gid: str) -> None:
    for _, run in rows.groupby("restart", sort=False, observed=True):
        run = run.sort_values("queries")
        values = run[column].to_numpy(np.float64)
        own: dict[str, Any] = {**look, "linewidth": 0.7, "markersize": 3}
        if np.isfinite(values).sum() != 1:
            own["marker"] = ""
        axis.plot(run["queries"], np.where(np.isfinite(values), values, np.nan), gid=gid, **own)


def _share(axes: list[Axes], last: float) -> None:
    """Give all panels one axis of responses, as far as the curves and lines of all reach."""
    low = min(axis.get_ylim()[0] for axis in axes)
    high = max(axis.get_ylim()[1] for axis in axes)
    for axis in axes:
        _number(axis, max(last, 1.0), 1.03 * max(last, 1.0))
        axis.set_ylim(low, high)
        axis.tick_params(labelleft=starts_row(axis))
