"""What the page of a unit shows of its opponency."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.networks.layers import Layer
from pipeline.pages.opponency_section import ShownOpponency, opponency_section
from pipeline.pages.sections import Section, UnitSections
from pipeline.run.active_run import ActiveRun
from pipeline.stages.opponency.results import LayerOpponency
from pipeline.stages.stage import no_sections


def unit_sections(run: ActiveRun, found: Sequence[LayerOpponency], layer: Layer) -> UnitSections:
    """Return what gives the sections of a unit of a layer."""
    own = [each for each in found if each.layer.name == layer.name]
    return _sections(own[0]) if own else no_sections(run, found, layer)


def _sections(each: LayerOpponency) -> UnitSections:
    columns = {unit: column for column, unit in enumerate(each.units)}
    by_unit = dict(tuple(each.table.groupby("unit", sort=False)))
    hues, levels = each.responses.hues[0], each.responses.gray_levels[0]

    def sections(unit: int) -> list[Section]:
        if unit not in columns:
            return []
        column = columns[unit]
        shown = ShownOpponency(by_unit[unit], hues[:, column], levels[:, column])
        return [opponency_section(shown)]

    return sections
