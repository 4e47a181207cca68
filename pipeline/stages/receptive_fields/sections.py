"""What the page of a unit shows of its receptive field: the maps by all methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.figures.method_names import method_name
from pipeline.networks.layers import Layer
from pipeline.pages.map_section import LIGHT_AND_DARK, SIGN_NAMES, MethodMaps, map_section
from pipeline.pages.sections import Section, UnitSections
from pipeline.run.active_run import ActiveRun
from pipeline.stages.receptive_fields.measures import Measures
from pipeline.stages.receptive_fields.results import FieldMaps, SetMaps
from pipeline.stages.stimuli.results import degrees_of_a_pixel

Rows = dict[tuple[int, str], dict[int, dict[str, Any]]]  # by unit and method, then by sign


def unit_sections(
    run: ActiveRun, found: Sequence[FieldMaps | Measures], layer: Layer
) -> UnitSections:
    """Return what gives the sections of a unit of a layer, from maps that have been measured."""
    measured = [each for each in found if isinstance(each, Measures) and not each.compared]
    stored = [each for each in found if isinstance(each, FieldMaps)]
    own = [
        (each.of[0], _rows(each))
        for each in measured
        if each.of[0].layer.name == layer.name and each.of[0] in stored
    ]
    degrees = degrees_of_a_pixel(run)

    def sections(unit: int) -> list[Section]:
        methods = [one for maps, rows in own for one in _methods(maps, rows, unit)]
        return [map_section(methods, degrees)] if methods else []

    return sections


def _rows(measures: Measures) -> Rows:
    rows: Rows = {}
    for row in measures.read().to_dict("records"):
        by_sign = rows.setdefault((row["unit"], row["method"]), {})
        by_sign[row["sign"]] = {str(name): value for name, value in row.items()}
    return rows


def _methods(maps: FieldMaps, rows: Rows, unit: int) -> Iterator[MethodMaps]:
    """Yield the maps of a unit, read from the store."""
    if unit not in maps.units:
        return
    row = maps.units.index(unit)
    noise = isinstance(maps, SetMaps) and maps.noise
    for name, values in maps.read(slice(row, row + 1)).named(maps.method).items():
        said = LIGHT_AND_DARK if noise else SIGN_NAMES
        yield MethodMaps(method_name(name), values[0], rows[unit, name], said)
