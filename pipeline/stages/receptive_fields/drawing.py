"""Drawing: agreement and sizes by layer, and the maps of the units that a Gaussian fits best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from pipeline.figures.map_panel import Outline, UnitMaps, map_panel
from pipeline.figures.receptive_fields import agreement_by_layer, field_sizes_by_layer
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.search.field_mapping import SIGNS
from pipeline.stages.receptive_fields.plan import FieldPlan
from pipeline.stages.receptive_fields.results import FieldMaps
from pipeline.stages.receptive_fields.tables import map_agreement, receptive_fields
from pipeline.stages.stimuli.results import degrees_of_a_pixel
from pipeline.stages.top_patches.results import find_search, shown_patches

EXAMPLES = 2  # units of a layer whose maps are drawn


def draw(run: ActiveRun, plan: FieldPlan) -> None:
    """Draw the figures of a run."""
    if not plan.maps or not run.parts.config.figures.formats:
        return
    fields, pairs = receptive_fields(run, plan), map_agreement(run, plan)
    degree = 1 / degrees_of_a_pixel(run)
    if len(pairs):
        run.figure("receptive_fields_agreement", agreement_by_layer(pairs))
    run.figure("receptive_fields_sizes", field_sizes_by_layer(fields, pixels_per_degree=degree))
    for layer in run.parts.layers:
        maps = [each for each in plan.maps if each.layer.name == layer.name]
        if maps:
            own = cast("pd.DataFrame", fields[fields["layer"] == layer.name])
            units = best_fitted(own)
            shown = _units(run, layer, units, maps, own)
            title = (
                f"{run.parts.network.name} {layer.name}: the units whose maps a Gaussian explains"
                " best, on average over methods"
            )
            figure = map_panel(shown, title, pixels_per_degree=degree)
            run.figure(f"receptive_fields_maps_{layer.name}", figure)


def best_fitted(fields: pd.DataFrame, count: int = EXAMPLES) -> list[int]:
    """Return the units whose maps a Gaussian explains best, the best first.

    What counts is the mean over methods of the share of variance that it explains of what raises
    the response, 0 where nothing fits; of equal ones the lower number comes first.

    Args:
        fields: rows of the table ``receptive_fields`` of one layer.
        count: of units.

    >>> rows = [(3, 1, 0.9), (3, 1, np.nan), (5, 1, 0.5), (5, 1, 0.6), (5, -1, 0.9), (2, 1, 0.1)]
    >>> best_fitted(pd.DataFrame(rows, columns=["unit", "sign", "fxvar"]), 2)
    [5, 3]
    """
    raising = fields[fields["sign"] == 1]
    explained: dict[int, list[float]] = {}
    for unit, share in zip(raising["unit"], np.nan_to_num(raising["fxvar"]), strict=True):
        explained.setdefault(int(unit), []).append(float(share))
    means = [(-float(np.mean(shares)), unit) for unit, shares in explained.items()]
    return [unit for _, unit in sorted(means)[:count]]


def _units(
    run: ActiveRun,
    layer: Layer,
    units: Sequence[int],
    maps: Sequence[FieldMaps],
    fields: pd.DataFrame,
) -> list[UnitMaps]:
    """Return the maps of units with the fitted Gaussians, and with their best patches if known."""
    rows = {
        (row["method"], int(row["unit"]), int(row["sign"])): row
        for row in cast("list[dict[str, Any]]", fields.to_dict("records"))
    }
    searched = not find_search(run, layer).result.missing()
    patches = shown_patches(run, layer, units, 0, 1) if searched else None
    found: list[UnitMaps] = []
    for number, unit in enumerate(units):
        named: dict[str, np.ndarray] = {}
        for each in maps:
            at = each.units.index(unit)
            read = each.read(slice(at, at + 1)).named(each.method)
            named |= {name: values[0] for name, values in read.items()}
        outlines = {
            method: [_outline(rows[method, unit, sign]) for sign in SIGNS] for method in named
        }
        patch = None if patches is None else patches[number]
        found.append(UnitMaps(f"unit {unit}", named, outlines, patch))
    return found


def _outline(row: dict[str, Any]) -> Outline | None:
    if not np.isfinite(row["sigma_long"]):
        return None
    names = ("gauss_x", "gauss_y", "sigma_long", "sigma_short", "orientation")
    return Outline(*(float(row[name]) for name in names))
