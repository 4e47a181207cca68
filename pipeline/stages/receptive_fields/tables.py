"""The tables of receptive fields, in pixels and in degrees, and the summary of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.run.active_run import ActiveRun
from pipeline.search.effective_fields import EFFECTIVE, with_effective_sizes
from pipeline.search.field_mapping import SIGNS
from pipeline.search.field_tables import strongest_stimuli, with_degrees, with_fnat
from pipeline.stages.receptive_fields import AGREEMENT, FIELDS, FNAT, LENGTHS, PARAMETERS, STIMULI
from pipeline.stages.receptive_fields.plan import FieldPlan
from pipeline.stages.receptive_fields.results import FieldMaps, SetMaps
from pipeline.stages.stimuli.results import degrees_of_a_pixel
from pipeline.stages.top_patches.results import find_search
from pipeline.stimuli.parameters import in_degrees


def receptive_fields(run: ActiveRun, plan: FieldPlan) -> pd.DataFrame:
    """Return one row per layer, method, sign and unit."""
    layers = dict.fromkeys(each.layer.name for each in plan.maps)
    tables = [_of_layer(run, plan, layer) for layer in layers]
    if not tables:
        return pd.DataFrame(columns=list(FIELDS.columns))
    whole = pd.concat(tables, ignore_index=True).assign(model=run.parts.network.name)
    whole["diameter"] = 2 * np.sqrt(whole["half_area"] / np.pi)
    degrees = degrees_of_a_pixel(run)
    table = with_degrees(whole, 1 / degrees).assign(diameter_degrees=whole["diameter"] * degrees)
    return pd.DataFrame(table, columns=list(FIELDS.columns))


def _of_layer(run: ActiveRun, plan: FieldPlan, layer: str) -> pd.DataFrame:
    """Return the summary of a layer by all methods."""
    tables: list[pd.DataFrame] = []
    effective: FieldMaps | None = None
    natural: dict[int, Any] = {}
    for each in (each for each in plan.summaries if each.of[0].layer.name == layer):
        maps = each.of[0]
        natural = natural or _natural(run, maps)
        table = each.read()
        if natural:
            table = with_fnat(table, maps.read(), maps.units, natural)
        tables.append(table)
        effective = maps if maps.method == EFFECTIVE else effective
    whole = pd.concat(tables, ignore_index=True).assign(layer=layer)
    others = [name for name in (*LENGTHS, *FNAT) if name not in whole]
    whole = whole.assign(**dict.fromkeys(others, np.nan))
    lacking = "" if natural else "the store holds no top patches; add top_patches to stages"
    whole["fnat_reason"] = whole["fnat_reason"].astype(object).fillna(lacking)
    if effective is not None:
        whole = with_effective_sizes(whole, effective.read(), effective.units)
    return whole


def _natural(run: ActiveRun, maps: FieldMaps) -> dict[int, Float[np.ndarray, "units kept"]]:
    """Return the most extreme responses of units to images; nothing if they were not searched."""
    search = find_search(run, maps.layer)
    if search.result.missing():
        return {}
    of_sign = search.extremes.by_sign
    return {sign: of_sign[sign].responses[maps.units].double().numpy() for sign in SIGNS}


def receptive_field_stimuli(run: ActiveRun, plan: FieldPlan) -> pd.DataFrame:
    """Return the strongest stimuli of each layer, set, unit and sign."""
    tables = [_strongest(run, each) for each in plan.maps if isinstance(each, SetMaps)]
    if not tables:
        return pd.DataFrame(columns=list(STIMULI.columns))
    return pd.concat(tables, ignore_index=True)


def _strongest(run: ActiveRun, each: SetMaps) -> pd.DataFrame:
    table = each.shown.build().table
    known = table.reindex(columns=list(PARAMETERS))
    shown = in_degrees(known, 1 / degrees_of_a_pixel(run))
    others = table.drop(columns=[name for name in PARAMETERS if name in table])
    lines = str(others.to_json(orient="records", lines=True)).splitlines()
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
    line = (
        f"receptive_fields: {layer} by {method}: {len(mapped)} of {len(table)} units have a field"
    )
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
