"""What the page of a unit shows of its evolution."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.networks.layers import Layer
from pipeline.pages.evolution_section import ShownEvolution, evolution_section
from pipeline.pages.sections import Section, UnitSections
from pipeline.run.active_run import ActiveRun
from pipeline.stages.evolution.pictures import Pictures, pictures_by_layer
from pipeline.stages.evolution.plan import EvolutionPlan
from pipeline.stages.evolution.results import Searches
from pipeline.stages.evolution.tables import evolution, evolution_history
from pipeline.stages.stage import no_sections


def unit_sections(run: ActiveRun, found: Sequence[Searches], layer: Layer) -> UnitSections:
    """Return what gives the sections of a unit of a layer: one for each scorer."""
    own = EvolutionPlan(each for each in found if each.layer.name == layer.name)
    if not own:
        return no_sections(run, found, layer)
    table, history = evolution(run, own), evolution_history(run, own)
    pictures = list(pictures_by_layer(run, own, table, history).values())

    def sections(unit: int) -> list[Section]:
        return [_section(of, unit) for of in pictures if unit in of.units]

    return sections


def _section(of: Pictures, unit: int) -> Section:
    rows, runs = (table.loc[table["unit"] == unit] for table in (of.table, of.history))
    strips = [of.strip(each, unit) for each in of.evolved]
    section = evolution_section(ShownEvolution(rows, runs, strips, of.final(unit)))
    scorer = of.searches[0].scorer.name
    if scorer == "network":
        return section
    return Section(f"{section.title}, scored by {scorer}", section.parts, section.about)
