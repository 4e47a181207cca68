"""The section of a unit's page about evolution: what it prefers, found without its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.analysis.search_curves import mean_of_runs, query_counts
from pipeline.figures.evolution_names import Method, number
from pipeline.figures.evolution_pictures import FilmStrip, FinalImage
from pipeline.pages.sections import (
    Curve,
    Maps,
    Number,
    Numbers,
    Part,
    Picture,
    Plot,
    Section,
    Words,
)

TITLE = "Evolution"
ABOUT = (
    "Images evolved for this unit from its responses alone, as in an experiment with a recorded"
    " neuron (XDREAM; Ponce et al. 2019, Xiao & Kreiman 2020): a searcher proposes codes, a"
    " generator turns them into images, and the responses decide which codes go on. A query is one"
    " image shown once. Responses are those without noise."
)
QUERIES, RESPONSE = "queries (images shown)", "response"
LEVELS = {"top_patch": "top patch", "ascent": "ascent image"}
MOST_CURVES = 6  # of a plot
SPACE = "\u00a0"  # at which lines do not break
NO_MULTIPLE = "no multiples of the top patch, whose response is not above 0"


@dataclass(frozen=True, eq=False)
class ShownEvolution:
    """What the section shows of one unit.

    Attributes:
        rows: its rows of the table ``evolution``, of at least one method: ``searcher``,
            ``generator``, ``restart``, ``contrast``, ``response``, ``noise_free``, ``queries``,
            ``queries_to_90``, ``top_patch``, ``over_patch``, ``ascent``, ``over_ascent`` and
            ``reason``.
        history: its rows of the table ``evolution_history``: ``unit``, ``searcher``, ``generator``,
            ``restart``, ``queries`` and ``noise_free``.
        strips: generations of some of its searches, in order.
        images: its top patch, the best image of each method, and its ascent image, as there are.
    """

    rows: pd.DataFrame
    history: pd.DataFrame
    strips: Sequence[FilmStrip] = ()
    images: Sequence[FinalImage] = ()


def evolution_section(shown: ShownEvolution) -> Section:
    """Return the section of one unit: images, numbers by method, curves, and generations."""
    rows = _named(shown.rows)
    levels = {name: float(rows[name].iloc[0]) for name in LEVELS}
    parts: list[Part] = []
    if len(shown.images):
        pictures = [_final(each, levels["top_patch"]) for each in shown.images]
        parts.append(Maps("Best images", pictures))
    parts.append(Numbers([*_levels(levels), *_numbers(rows)], "Response to the best image"))
    parts += [Words(f"{reason[0].upper()}{reason[1:]}.") for reason in _reasons(rows)]
    parts += _plots(_named(shown.history), levels)
    parts += [Maps(f"Generations: {strip.name}", _generations(strip)) for strip in shown.strips]
    return Section(TITLE, parts, f"{ABOUT} {_contrast(rows)}".rstrip())


def _contrast(rows: pd.DataFrame) -> str:
    """Return whether all images have the same contrast, without which responses say little."""
    contrasts = rows["contrast"].to_numpy(np.float64)
    known = contrasts[np.isfinite(contrasts)]
    if len(known) < len(contrasts) or not len(known):
        return ""
    low, high = float(known.min()), float(known.max())
    if np.isclose(low, high, rtol=1e-3):
        return f"All images have the same contrast ({low:.2g})."
    return f"Contrasts differ ({low:.2g} to {high:.2g}), and responses with them."


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the names of methods, in order of first appearance, rivals last."""
    generators = table["generator"].astype(object).where(table["generator"].notna(), "")
    pairs = zip(table["searcher"], generators, strict=True)
    methods = [Method(str(searcher), str(generator)) for searcher, generator in pairs]
    named = table.assign(method=[method.name for method in methods])
    rival = np.array([method.rival for method in methods], bool)
    return pd.concat([named.loc[~rival], named.loc[rival]])


def _levels(levels: dict[str, float]) -> list[Number]:
    found = [Number(LEVELS[name], level) for name, level in levels.items()]
    if np.isfinite(levels["top_patch"]) and levels["top_patch"] <= 0:
        found[0] = Number(found[0].name, found[0].value, note=NO_MULTIPLE)
    return found


def _numbers(rows: pd.DataFrame) -> list[Number]:
    """Return the response that each method reached, the mean of its restarts, and how fast."""
    found: list[Number] = []
    for name, own in rows.groupby("method", sort=False):
        numbers = {
            column: own[column].to_numpy(np.float64)
            for column in ("noise_free", "response", "queries", "queries_to_90")
        }
        means = {column: _mean(values) for column, values in numbers.items()}
        notes = _multiples(own)
        count = int(np.isfinite(numbers["noise_free"]).sum())
        if count > 1:
            low, high = np.nanmin(numbers["noise_free"]), np.nanmax(numbers["noise_free"])
            notes.append(f"mean of {count} searches, {low:.3g} to {high:.3g}")
        if not np.isclose(means["response"], means["noise_free"], rtol=1e-3, equal_nan=True):
            notes.append(f"observed with noise {means['response']:.3g}")
        notes += _pace(means["queries_to_90"], means["queries"])
        found.append(Number(str(name), means["noise_free"], note="; ".join(notes)))
    return found


def _pace(to_90: float, queries: float) -> list[str]:
    """Return how many queries it took."""
    if not np.isfinite(queries):
        return []
    total = f"{queries:,.0f} queries"
    if not np.isfinite(to_90):
        return [total]
    return [f"90{SPACE}% of it after {to_90:,.0f} of {total}"]


def _multiples(own: pd.DataFrame) -> list[str]:
    """Return multiples of the top patch and the ascent, of those that respond above 0."""
    said: list[str] = []
    for over, level in (("over_patch", "top_patch"), ("over_ascent", "ascent")):
        positive = own[level].to_numpy(np.float64) > 0
        mean = _mean(np.where(positive, own[over].to_numpy(np.float64), np.nan))
        if np.isfinite(mean):
            said.append(f"{number(mean)} times the {LEVELS[level]}")
    return said


def _mean(values: Float[np.ndarray, " _"]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def _reasons(rows: pd.DataFrame) -> list[str]:
    reasons = (str(reason) for reason in rows["reason"] if isinstance(reason, str))
    return [reason for reason in dict.fromkeys(reasons) if reason]


def _plots(history: pd.DataFrame, levels: dict[str, float]) -> list[Part]:
    """Return the mean curve of each method, in plots that also have the levels."""
    curves = [_curve(str(name), own) for name, own in history.groupby("method", sort=False)]
    curves = [curve for curve in curves if np.isfinite(curve.y).any()]
    if not curves:
        return []
    last = max(float(np.max(curve.x)) for curve in curves)
    flat = [
        Curve(LEVELS[name], [0.0, last], [level, level])
        for name, level in levels.items()
        if np.isfinite(level)
    ]
    each = MOST_CURVES - len(flat)
    groups = [curves[at : at + each] for at in range(0, len(curves), each)]
    title = "Response to the best image so far"
    return [
        Plot(
            title if len(groups) == 1 else f"{title} ({at} of {len(groups)})",
            QUERIES, RESPONSE, [*flat, *group], y_range=(0.0, 0.0),
        )
        for at, group in enumerate(groups, 1)
    ]  # fmt: skip


def _curve(name: str, own: pd.DataFrame) -> Curve:
    grid = query_counts(own)
    return Curve(name, grid, mean_of_runs(own, "noise_free", grid), points=len(grid) == 1)


def _final(shown: FinalImage, top_patch: float) -> Picture:
    if shown.image is None:
        return Picture(shown.name, None, ["There is no such image."])
    captions = [_response(shown.response)]
    if top_patch > 0 and np.isfinite(shown.response):
        captions.append(f"{number(shown.response / top_patch)} times the top patch")
    return Picture(shown.name, shown.image, captions)


def _generations(strip: FilmStrip) -> list[Picture]:
    every = zip(strip.images, strip.queries, strip.responses, strict=True)
    return [
        Picture(f"{queries:,} queries" if queries != 1 else "1 query", image, [_response(response)])
        for image, queries, response in every
    ]


def _response(response: float) -> str:
    return f"response {response:.3g}" if np.isfinite(response) else "no response known"
