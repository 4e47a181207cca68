"""The tables of receptive fields, in pixels and in degrees, and the summary of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.run.active_run import ActiveRun
from pipeline.search.field_mapping import strongest_stimuli
from pipeline.stages.receptive_fields import AGREEMENT, FIELDS, LENGTHS, PARAMETERS, STIMULI
from pipeline.stages.receptive_fields.plan import FieldPlan
from pipeline.stages.receptive_fields.results import FieldMaps, build_set
from pipeline.stages.stimuli.results import degrees_of_a_pixel
from pipeline.stimuli.parameters import in_degrees


def receptive_fields(run: ActiveRun, plan: FieldPlan) -> pd.DataFrame:
    """Return one row per layer, method, sign and unit."""
    tables = [each.read().assign(layer=each.of[0].layer.name) for each in plan.summaries]
    if not tables:
        return pd.DataFrame(columns=list(FIELDS.columns))
    whole = pd.concat(tables, ignore_index=True).assign(model=run.parts.network.name)
    whole["diameter"] = 2 * np.sqrt(whole["half_area"] / np.pi)
    degrees = degrees_of_a_pixel(run)
    whole = whole.reindex(columns=[*whole.columns, *(LENGTHS.keys() - {*whole.columns})])
    converted = {f"{name}_degrees": whole[name] * degrees for name in LENGTHS}
    return pd.DataFrame(whole.assign(**converted), columns=list(FIELDS.columns))


def receptive_field_stimuli(run: ActiveRun, plan: FieldPlan) -> pd.DataFrame:
    """Return the strongest stimuli of each layer, set, unit and sign."""
    tables = [_strongest(run, each) for each in plan.maps if each.shown is not None]
    if not tables:
        return pd.DataFrame(columns=list(STIMULI.columns))
    return pd.concat(tables, ignore_index=True)


def _strongest(run: ActiveRun, each: FieldMaps) -> pd.DataFrame:
    assert each.shown is not None
    table = build_set(run, each.shown.name, each.shown.field).table
    known = table.reindex(columns=list(PARAMETERS))
    shown = in_degrees(known, 1 / degrees_of_a_pixel(run))
    others = table.drop(columns=[name for name in PARAMETERS if name in table])
    lines = others.to_json(orient="records", lines=True).splitlines()
    shown["others"] = lines if len(others.columns) else "{}"
    found = strongest_stimuli(each.read(), each.method, each.units, shown)
    named = found.assign(model=run.parts.network.name, layer=each.layer.name)
    return pd.DataFrame(named, columns=list(STIMULI.columns))


def map_agreement(run: ActiveRun, plan: FieldPlan) -> pd.DataFrame:
    """Return one row per layer, pair of methods, sign and unit."""
    tables = [each.read().assign(layer=each.of[0].layer.name) for each in plan.agreements]
    if not tables:
        return pd.DataFrame(columns=list(AGREEMENT.columns))
    whole = pd.concat(tables, ignore_index=True).assign(model=run.parts.network.name)
    whole["distance_degrees"] = whole["distance"] * degrees_of_a_pixel(run)
    return pd.DataFrame(whole, columns=list(AGREEMENT.columns))


def summary(run: ActiveRun, plan: FieldPlan) -> list[str]:
    """Return a line for each layer and method: of what raises the response."""
    whole: Any = receptive_fields(run, plan)
    raising = whole[whole["sign"] == 1]
    groups = raising.groupby(["layer", "method"], sort=False)
    return [_line(layer, method, table) for (layer, method), table in groups]


def _line(layer: str, method: str, table: Any) -> str:
    mapped = table[table["x"].notna()]
    line = f"receptive_fields: {layer} by {method}: {len(mapped)} of {len(table)} units have a field"
    if mapped.empty:
        return line
    away = np.hypot(mapped["x"], mapped["y"])
    ratio = float((mapped["field_width_degrees"] / mapped["field_width"]).iloc[0])
    return (
        f"{line}, median diameter {_both(mapped['diameter'].median(), ratio)}, center"
        f" {_both(float(away.median()), ratio)} from that of the theoretical field"
    )


def _both(pixels: float, degrees: float) -> str:
    """Return a length in pixels and in degrees.

    >>> _both(12.0, 0.05)
    '12.0 px (0.60 degrees)'
    """
    return f"{pixels:.1f} px ({pixels * degrees:.2f} degrees)"
