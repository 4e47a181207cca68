"""What the page of a unit shows of its tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from pipeline.networks.layers import Layer
from pipeline.pages.sections import Section, UnitSections
from pipeline.pages.tuning_section import tuning_section
from pipeline.run.active_run import ActiveRun
from pipeline.search.tuning.tables import curves_table, tuning_table
from pipeline.stages.stage import no_sections
from pipeline.stages.tuning.results import LayerMeasures
from pipeline.stages.tuning.shown import about_rates, shown_rows

_ABOUT = (
    "Measured as in V1 (Marques, Schrimpf & DiCarlo 2021), {rates}, on an input of {degrees:g}"
    " degrees with {scale:.4g} pixels per degree. Orientation is the direction of modulation, x"
    " right and y down. Curves go through the unit's best grating."
)


def unit_sections(run: ActiveRun, found: Sequence[Any], layer: Layer) -> UnitSections:
    """Return what gives the sections of a unit of a layer."""
    measures = [each for each in found if isinstance(each, LayerMeasures)]
    own = [each for each in measures if each.layer.name == layer.name]
    return _sections(own[0]) if own else no_sections(run, found, layer)


def _sections(each: LayerMeasures) -> UnitSections:
    name, seen = each.layer.name, each.field.seen
    read = list(each.read())
    tables = [tuning_table(found, name, units, seen.pixels_per_degree) for units, found in read]
    curves = [curves_table(found, name, units) for units, found in read]
    table, drawn = (shown_rows(pd.concat(parts, ignore_index=True)) for parts in (tables, curves))
    said = _ABOUT.format(
        rates=about_rates(table), degrees=seen.visual_degrees, scale=seen.pixels_per_degree
    )
    properties = dict(iter(table.groupby("unit")))
    of_unit = dict(iter(drawn.groupby("unit")))

    def sections(unit: int) -> list[Section]:
        if unit not in properties:
            return []
        own = of_unit[unit] if unit in of_unit else drawn.iloc[:0]
        return [tuning_section(properties[unit], own, said)]

    return sections
