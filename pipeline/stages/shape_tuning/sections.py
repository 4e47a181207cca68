"""What the page of a unit shows of its tuning to shapes."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.networks.layers import Layer
from pipeline.pages.sections import Section, UnitSections
from pipeline.pages.shape_section import ShownShapes, shape_section
from pipeline.run.active_run import ActiveRun
from pipeline.stages.shape_tuning.results import LayerFits, LayerShapes
from pipeline.stages.stage import no_sections
from pipeline.stimuli.shapes import outlines, rotations


def unit_sections(
    run: ActiveRun, found: Sequence[LayerShapes | LayerFits], layer: Layer
) -> UnitSections:
    """Return what gives the sections of a unit of a layer, from responses that have been fitted."""
    fits = [each for each in found if isinstance(each, LayerFits)]
    own = [each for each in fits if each.layer.name == layer.name and each.shapes in found]
    return _sections(own[0]) if own else no_sections(run, found, layer)


def _sections(each: LayerFits) -> UnitSections:
    shown, units = each.shapes.shown(), each.shapes.units
    rows = dict(zip(units, each.read().to_dict("records"), strict=True))
    columns = {unit: column for column, unit in enumerate(units)}
    shapes = outlines(centered=True)
    names = [f"shape {shape}, rotated by {turn}°" for shape, turn in rotations().to_numpy()]

    def sections(unit: int) -> list[Section]:
        if unit not in columns:
            return []
        column = columns[unit]
        responses, blank = shown.responses[:, :, column], float(shown.blank[column])
        section = ShownShapes(rows[unit], responses, blank, shown.positions, shapes, names)
        return [shape_section(section)]

    return sections
