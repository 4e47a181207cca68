"""The table of best Gabors, read from stored results, and the summary of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.analysis.gabor_index import GaborResponses, gabor_table
from pipeline.run.active_run import ActiveRun
from pipeline.stages.best_gabor import BEST_GABOR
from pipeline.stages.best_gabor.plan import GaborPlan
from pipeline.stages.best_gabor.results import Compared, LayerGabors
from pipeline.stages.best_gabor.sources import PatchSource
from pipeline.stimuli.field import Screen
from pipeline.stimuli.parameters import PIXELS, in_degrees
from pipeline.synthesis.gabors import at_bounds

CHANNELS = 3  # whose colors are in the table
SIGMAS = ("sigma_along", "sigma_across")
INDICES = {"gabor_over_ascent": "ascent", "gabor_over_patch": "patch"}


def best_gabor(run: ActiveRun, plan: GaborPlan) -> pd.DataFrame:
    """Return one row per layer and unit."""
    reasons = source_reasons(plan)
    tables = [
        layer_table(run, each, compared_of(plan.compared, each.of.layer.name), reasons)
        for each in plan.gabors
    ]
    return pd.concat(tables or [pd.DataFrame(columns=list(BEST_GABOR.columns))], ignore_index=True)


def source_reasons(plan: GaborPlan) -> dict[tuple[str, str], str]:
    """Return why there are no images, by layer and source; empty strings where there are."""
    return {(source.layer.name, source.name): source.reason for source in plan.sources}


def compared_of(several: Sequence[Compared], layer: str) -> list[Compared]:
    """Return the comparisons of a layer."""
    return [each for each in several if each.source.layer.name == layer]


def layer_table(
    run: ActiveRun,
    gabors: LayerGabors,
    compared: Sequence[Compared],
    reasons: dict[tuple[str, str], str],
) -> pd.DataFrame:
    """Return the rows of one layer.

    Args:
        run: the run.
        gabors: its best Gabors.
        compared: its comparisons.
        reasons: why there are no images of a source, by layer and source.
    """
    layer, units = gabors.of.layer, gabors.of.units
    own, none = gabors.read()
    others = {each.source.name: each.read() for each in compared}
    lacking = np.full(len(units), np.nan)
    responses = {
        name: others[name][0]["response"] if name in others else lacking
        for name in INDICES.values()
    }
    missing = {
        name: others[name][1] if name in others else [reasons[layer.name, name]] * len(units)
        for name in INDICES.values()
    }
    best = own["gabors"]
    found = GaborResponses(
        units, best, own["rms"], own["blank"], own["response"], own["grid_response"],
        responses["patch"], responses["ascent"], _bounds(gabors, best), none, missing,
    )  # fmt: skip
    table = gabor_table(found).assign(layer=layer.name, model=run.parts.network.name)
    table["peak"] = own["peak"]
    for number in range(CHANNELS):
        known = number < own["colors"].shape[1]
        color = own["colors"][:, number] if known else lacking
        table[f"color_{number}"] = np.where(np.array(none) == "", color, np.nan)
    for name in INDICES.values():
        table[f"{name}_peak"] = others[name][0]["peak"] if name in others else lacking
    table = table.assign(**_which(compared, units))
    screen = Screen(*run.parts.graph.input_size, run.parts.config.screen.visual_degrees)
    table = in_degrees(table, screen.pixels_per_degree, (*PIXELS, *SIGMAS))
    return pd.DataFrame(table, columns=list(BEST_GABOR.columns))


def _bounds(gabors: LayerGabors, best: np.ndarray) -> list[str]:
    return at_bounds(torch.from_numpy(best), gabors.of.search.field.size)


def _which(compared: Sequence[Compared], units: Sequence[int]) -> dict[str, Any]:
    """Return which patch and which ascent image of each unit was compared, where there is one."""
    nothing = [np.nan] * len(units)
    columns: dict[str, Any] = {
        "patch_rank": nothing,
        "patch_inside": [None] * len(units),
        "ascent_init": [""] * len(units),
        "ascent_copy": nothing,
    }
    for each in compared:
        number = each.read()[0]["which"]
        if isinstance(each.source, PatchSource):
            own = each.source.ranks.loc[list(units)]
            columns["patch_rank"] = own["patch_rank"].to_numpy(np.float64)
            columns["patch_inside"] = own["patch_inside"].tolist()
        else:
            inits, copies = [climb.init for climb in each.source.climbs], each.source.copies
            columns["ascent_init"] = [inits[n // copies] if n >= 0 else "" for n in number.tolist()]
            columns["ascent_copy"] = np.where(number >= 0, number % copies, np.nan)
    return columns


def summary(run: ActiveRun, plan: GaborPlan) -> list[str]:
    """Return a line for each layer: the medians of the indices, and how many units have them."""
    table: Any = best_gabor(run, plan)
    return [_line(str(layer), rows) for layer, rows in table.groupby("layer", sort=False)]


def _line(layer: str, rows: Any) -> str:
    said = [f"best_gabor: {layer}: {rows['response'].notna().sum()} of {len(rows)} units have one"]
    for column in INDICES:
        known, name = rows[column].dropna(), column.replace("_", " ")
        one = f"median {name} {known.median():.2f} ({len(known)} units)"
        said.append(one if len(known) else f"no {name}")
    return ", ".join(said)
