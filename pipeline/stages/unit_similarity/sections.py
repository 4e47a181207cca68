"""What the page of a unit shows of the units that are like it, and of its facets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.networks.layers import Layer
from pipeline.pages.sections import Picture, Section, UnitSections
from pipeline.pages.unit_similarity_section import ShownFacets, unit_similarity_section
from pipeline.run.active_run import ActiveRun
from pipeline.stages.stage import no_sections
from pipeline.stages.unit_similarity.pictures import FacetPictures, SimilarUnits
from pipeline.stages.unit_similarity.results import ComparedUnits, UnitFacets


def unit_sections(run: ActiveRun, found: Sequence[Any], layer: Layer) -> UnitSections:
    """Return what gives the section of a unit of a layer."""
    own = [each for each in found if each.layer.name == layer.name]
    compared = [SimilarUnits(each) for each in own if isinstance(each, ComparedUnits)]
    facets = [FacetPictures(run, each) for each in own if isinstance(each, UnitFacets)]
    if not compared and not facets:
        return no_sections(run, found, layer)

    def sections(unit: int) -> list[Section]:
        similar = {each.compared.init: each.of(unit) for each in compared}
        similar = {init: pictures for init, pictures in similar.items() if pictures}
        grouped = {
            each.name: ShownFacets(each.rows[unit], each.sizes(unit), _pictures(each, unit))
            for each in facets
            if unit in each.rows
        }
        return [unit_similarity_section(similar, grouped)] if similar or grouped else []

    return sections


def _pictures(facets: FacetPictures, unit: int) -> list[Picture]:
    if not facets.rows[unit]["groups"]:
        return []
    shown = facets.of(unit)
    pairs = zip(shown.images, shown.facets, strict=True)
    return [Picture(f"group {facet + 1}", image) for image, facet in pairs]
