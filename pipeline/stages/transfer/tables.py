"""The tables of transfer, read from stored responses, and the summary of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.analysis.transfer import (
    best_units,
    layer_matrix,
    matched,
    perturbed_rows,
    ranks,
)
from pipeline.run.active_run import ActiveRun
from pipeline.stages.stage import Table
from pipeline.stages.transfer import LAYERS, ROBUSTNESS, TRANSFER
from pipeline.stages.transfer.plan import TransferPlan
from pipeline.stages.transfer.results import Seen
from pipeline.store.results import WHOLE_LAYER

CELL = ["layer", "kind", "init", "network", "layer_b"]
MOST_LINES = 40  # of the summary about single images


def transfer(run: ActiveRun, plan: TransferPlan) -> pd.DataFrame:
    """Return the best matches of every image, by layer of the networks that see it."""
    if TRANSFER.name not in plan.tables:
        plan.tables[TRANSFER.name] = _transfer(run, plan)
    return plan.tables[TRANSFER.name]


def _transfer(run: ActiveRun, plan: TransferPlan) -> pd.DataFrame:
    own = own_z(plan)
    keep = run.parts.config.transfer.keep
    found = [
        _labeled(run, each, matched(each.responses, each.norms.read, own[each.source.name], keep))
        for each in plan.seen
    ]
    return _named(TRANSFER, found)


def transfer_layers(run: ActiveRun, plan: TransferPlan) -> pd.DataFrame:
    """Return quartiles over images of what the best matches reach, by pairs of layers."""
    if LAYERS.name not in plan.tables:
        plan.tables[LAYERS.name] = _layers(run, plan)
    return plan.tables[LAYERS.name]


def _layers(run: ActiveRun, plan: TransferPlan) -> pd.DataFrame:
    table = transfer(run, plan)
    if table.empty:
        return _named(LAYERS, [])
    cells = layer_matrix(table, CELL).assign(model=run.parts.network.name)
    added = pd.DataFrame([_of_pair(run, each) for each in plan.seen])
    return _named(LAYERS, [cells.merge(added, on=CELL, how="left")])


def transfer_robustness(run: ActiveRun, plan: TransferPlan) -> pd.DataFrame:
    """Return what is left of the response to changed images."""
    found: list[pd.DataFrame] = []
    for each in plan.changed:
        norms, responses = each.norms.read, each.responses
        units, _ = each.images
        if not len(units):
            continue
        known = each.of_itself and not (units == WHOLE_LAYER).any()
        scored = units if known else best_units(responses[:, 0], norms)
        rows = perturbed_rows(responses, norms, scored, each.changes)
        found.append(_labeled(run, each, rows))
    return _named(ROBUSTNESS, found)


def own_z(plan: TransferPlan) -> dict[str, Float[np.ndarray, " n"]]:
    """Return z of the units that images were made for, by source; NaN for layers as a whole."""
    found: dict[str, Float[np.ndarray, " n"]] = {}
    for each in plan.seen:
        if each.of_itself:
            units, _ = each.images
            z = each.norms.read.z(each.responses)
            own = z[np.arange(len(z)), units.clip(min=0)]
            found[each.source.name] = np.where(units == WHOLE_LAYER, np.nan, own)
    return found


def _of_pair(run: ActiveRun, each: Seen) -> dict[str, Any]:
    """Return the facts about a pair of layers that its best matches do not tell."""
    found = {**_cell(each), "field": each.viewer_field / each.source.size[0]}
    units, _ = each.images
    if same_units(run, each) and len(units) and not (units == WHOLE_LAYER).any():
        rows = np.arange(len(units))
        place = ranks(each.norms.read.z(each.responses))[rows, units]
        percentiles = each.norms.read.percentiles(each.responses[rows, units], units)
        found |= {
            "own_rank": float(np.median(place)),
            "own_percentile": float(np.median(percentiles)),
        }
    return {"own_rank": np.nan, "own_percentile": np.nan} | found


def same_units(run: ActiveRun, each: Seen) -> bool:
    """Return whether the units of a layer are those of the images' layer, perhaps trained anew."""
    graph, layer = each.norms.seer.run.parts.graph, each.norms.layer
    alike = graph.digest == run.parts.graph.digest
    return alike and layer.identity == each.source.layer.identity


def _cell(each: Seen) -> dict[str, Any]:
    source, norms = each.source, each.norms
    return {
        "layer": source.layer.name,
        "kind": source.kind,
        "init": source.init,
        "network": norms.seer.name,
        "layer_b": norms.layer.name,
    }


def _labeled(run: ActiveRun, each: Seen, rows: pd.DataFrame) -> pd.DataFrame:
    at = rows["row"].to_numpy()
    units, copies = each.images
    named = {"model": run.parts.network.name, **_cell(each), "unit": units[at], "copy": copies[at]}
    return rows.assign(**named)


def _named(table: Table, found: list[pd.DataFrame]) -> pd.DataFrame:
    whole = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    return pd.DataFrame(whole, columns=list(table.columns))


def summary(run: ActiveRun, plan: TransferPlan) -> list[str]:
    """Return a line for each kind of images and network: what their best matches reach.

    Of a few images, the best match in every layer follows, the strongest first.
    """
    table: Any = transfer_layers(run, plan)
    lines: list[str] = []
    for (kind, init, network), rows in table.groupby(CELL[1:4], sort=False):
        known = rows.dropna(subset=["z_median"])
        # Of each layer of images, the layer that responds most to them.
        best = known.loc[known.groupby("layer", sort=False)["z_median"].idxmax()]
        if len(best):
            images = f"ascents from {init}" if kind == "ascent" else "top patches"
            lines.append(f"transfer: {images} -> {network}: {_said(best)}")
    return lines + _of_images(transfer(run, plan))


def _of_images(table: pd.DataFrame) -> list[str]:
    """Return who responds most to each image, in every layer; nothing if there are many."""
    best = table.loc[table["rank"] == 0].drop_duplicates(subset=[*CELL, "unit", "copy"])
    if not 0 < len(best) <= MOST_LINES:
        return []
    lines: list[str] = []
    by = ["layer", "unit", "copy", "kind", "init", "network"]
    for (layer, unit, copy, kind, init, network), rows in best.groupby(by, sort=False):
        made = f"ascent from {init}" if kind == "ascent" else "top patch"
        number = f" {copy}" if (best["copy"] > 0).any() and kind == "ascent" else ""
        for row in rows.sort_values("z", ascending=False, kind="stable").to_dict("records"):
            lines.append(
                f"transfer: {layer}/{unit}, {made}{number} -> {network} {row['layer_b']}: unit"
                f" {row['unit_b']}, response {row['response']:.3g}, percentile"
                f" {row['percentile']:.1f}, z {row['z']:.1f}"
            )
    return lines


def _said(best: Any) -> str:
    """Return ranges over layers of what the best matches in their best layers reach."""
    said = [f"best matches at z {_range(best['z_median'], '{:.1f}')}"]
    if best["drop_median"].notna().any():
        said.append(f"drop {_range(best['drop_median'], '{:.0%}')}")
    if best["own_rank"].notna().any():
        said.append(f"the same unit at rank {_range(best['own_rank'], '{:g}')}")
    layers = f"{len(best)} layers" if len(best) > 1 else "1 layer"
    return f"{', '.join(said)} (medians of {layers})"


def _range(values: Any, form: str) -> str:
    texts = [form.format(end) for end in (values.min(), values.max())]
    # Rounding leaves a sign to what becomes 0.
    ends = dict.fromkeys(text if text.strip("-0.%") else text.lstrip("-") for text in texts)
    return " to ".join(ends)
