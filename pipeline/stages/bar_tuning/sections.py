"""What the page of a unit shows of its tuning to bars."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pipeline.networks.layers import Layer
from pipeline.pages.bar_section import bar_section
from pipeline.pages.sections import Section, UnitSections
from pipeline.run.active_run import ActiveRun
from pipeline.stages.bar_tuning.results import LayerBars

NONE = pd.DataFrame({"parameter": []})  # curves of a unit that responds to all bars alike


def unit_sections(_run: ActiveRun, found: Sequence[LayerBars], layer: Layer) -> UnitSections:
    """Return what gives the sections of a unit of a layer."""
    own = [each for each in found if each.layer.name == layer.name]
    read = [(each.method, *map(_by_unit, each.read())) for each in own]

    def sections(unit: int) -> list[Section]:
        return [
            bar_section(curves.get(unit, NONE), str(preferred[unit]["reason"].iloc[0]), method)
            for method, curves, preferred in read
            if unit in preferred
        ]

    return sections


def _by_unit(table: pd.DataFrame) -> dict[int, pd.DataFrame]:
    return {int(str(unit)): pd.DataFrame(rows) for unit, rows in table.groupby("unit")}
