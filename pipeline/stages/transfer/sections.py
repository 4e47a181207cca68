"""What the page of a unit shows of who else responds to its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from pipeline.networks.layers import Layer
from pipeline.pages.sections import Section, UnitSections
from pipeline.pages.transfer_section import transfer_section
from pipeline.run.active_run import ActiveRun
from pipeline.stages.stage import no_sections
from pipeline.stages.transfer.pictures import Pictures, caption
from pipeline.stages.transfer.plan import TransferPlan
from pipeline.stages.transfer.results import Norms, Seen
from pipeline.stages.transfer.tables import transfer, transfer_robustness


def unit_sections(run: ActiveRun, found: Sequence[Any], layer: Layer) -> UnitSections:
    """Return what gives the sections of a unit of a layer: one for each kind and init of images."""
    stored = {id(each) for each in found if isinstance(each, Norms)}
    own = [
        each
        for each in found
        if isinstance(each, Seen)
        and each.source.layer.name == layer.name
        and id(each.norms) in stored
    ]
    plan = TransferPlan(own)
    plan.faults, plan.tables = (), {}
    if not any(each.of_itself for each in plan.seen):  # to which drops refer
        return no_sections(run, found, layer)
    table, changed = transfer(run, plan), transfer_robustness(run, plan)
    several: dict[str, list[Seen]] = {}
    for each in plan.seen:
        several.setdefault(each.source.name, []).append(each)
    pictures = [Pictures(run, seen, _rows(table, seen[0])) for seen in several.values()]

    def sections(unit: int) -> list[Section]:
        return [
            _section(run, of, unit, _rows(changed, seen[0]))
            for of, seen in zip(pictures, several.values(), strict=True)
            if unit in of.units
        ]

    return sections


def _rows(table: pd.DataFrame, each: Seen) -> pd.DataFrame:
    source = each.source
    return table.loc[(table["kind"] == source.kind) & (table["init"] == source.init)]


def _section(run: ActiveRun, of: Pictures, unit: int, changed: pd.DataFrame) -> Section:
    shown, source = of.of(unit), of.source
    title = f"ascent from {source.init}" if source.init else "top patch"
    pictures = [("image", shown.image, [shown.name])]
    pictures += [(match.name, match.patch, match.lines) for match in shown.matches]
    own = changed.loc[changed["unit"] == unit]
    return transfer_section(title, pictures, own, caption(run, source))
