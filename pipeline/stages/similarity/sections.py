"""What the page of a unit shows of the similarity of its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.analysis.similarity.tables import similarity_table
from pipeline.networks.layers import Layer
from pipeline.pages.sections import Section, UnitSections
from pipeline.pages.similarity_section import ABOUT, TITLE, similarity_part
from pipeline.run.active_run import ActiveRun
from pipeline.stages.similarity.results import ComparedPair
from pipeline.stages.stage import no_sections


def unit_sections(run: ActiveRun, found: Sequence[Any], layer: Layer) -> UnitSections:
    """Return what gives the sections of a unit of a layer."""
    own = [p for p in found if isinstance(p, ComparedPair) and p.layer.name == layer.name]
    if not own:
        return no_sections(run, found, layer)
    tables = {pair.inits: _by_unit(pair) for pair in own}

    def sections(unit: int) -> list[Section]:
        parts = [
            similarity_part(by_unit[unit], inits)
            for inits, by_unit in tables.items()
            if unit in by_unit
        ]
        return [Section(TITLE, parts, ABOUT)] if parts else []

    return sections


def _by_unit(pair: ComparedPair) -> dict[int, Any]:
    found = pair.read()
    table = similarity_table(found.similarities, found.units, found.copies, found.status)
    return {int(str(unit)): rows for unit, rows in table.groupby("unit", sort=False)}
