"""Measures of stored maps: where fields are, how large, and how far methods agree.

Fits and distances take longer than many maps, so they are work for all processes and stored too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import pandas as pd

from pipeline.analysis.map_agreement import agreement
from pipeline.run.active_run import ActiveRun
from pipeline.search.field_mapping import SIGNS, summarize
from pipeline.stages.receptive_fields import STAGE
from pipeline.stages.receptive_fields.results import FieldMaps
from pipeline.stages.stored_tables import read_rows
from pipeline.store.results import Result

UNITS = 32  # of a work item
PLACE = "receptive_field_measures"  # folder of the store
TABLE = "measures"


@dataclass(frozen=True)
class Measures:
    """A table made of the maps of a layer by one method, or by two.

    Attributes:
        of: the maps.
        compared: whether it says how alike maps are, or where the field of each unit is.
        result: the stored table, an item for each block of units.
    """

    of: tuple[FieldMaps, ...]
    compared: bool
    result: Result

    @property
    def count(self) -> int:
        """The number of rows of the table."""
        maps = [2 if each.of_figures else 1 for each in self.of]
        many = maps[0] if not self.compared else (1 if len(maps) == 1 else maps[0] * maps[1])
        return many * len(SIGNS) * len(self.of[0].units)

    def rows(self, item: str) -> slice:
        """Return which rows of the maps an item is made of."""
        first = self.result.items.index(item) * UNITS
        return slice(first, min(first + UNITS, len(self.of[0].units)))

    def size(self, item: str) -> int:
        """Return the number of units of an item."""
        rows = self.rows(item)
        return rows.stop - rows.start

    def make(self, item: str) -> dict[str, pd.DataFrame]:
        """Compute the rows of an item from the stored maps."""
        rows = self.rows(item)
        units, read = self.of[0].units[rows], [each.read(rows) for each in self.of]
        if not self.compared:
            return {TABLE: summarize(read[0], self.of[0].method, units)}
        maps = [m.named(each.method) for m, each in zip(read, self.of, strict=True)]
        pairs = combinations(maps[0], 2) if len(maps) == 1 else product(maps[0], maps[1])
        named = {name: found for m in maps for name, found in m.items()}
        return {TABLE: agreement(named, pairs, units)}

    def read(self) -> pd.DataFrame:
        """Read the whole table."""
        return read_rows(self.result)[TABLE]


def plan_measures(run: ActiveRun, maps: Sequence[FieldMaps]) -> Iterator[Measures]:
    """Yield the tables of all maps: a summary of each method, and every pair of methods."""
    for layer in dict.fromkeys(each.layer.name for each in maps):
        own = [each for each in maps if each.layer.name == layer]
        yield from (_measures(run, (each,), compared=False) for each in own)
        figures = [(each,) for each in own if each.of_figures]
        yield from (_measures(run, of, compared=True) for of in figures)
        yield from (_measures(run, of, compared=True) for of in combinations(own, 2))


def _measures(run: ActiveRun, of: tuple[FieldMaps, ...], *, compared: bool) -> Measures:
    layer, methods = of[0].layer, [each.method for each in of]
    settings = {
        "maps": [each.result.key for each in of],
        "methods": methods,  # their names are in the table
        "measures": "agreement" if compared else "summary",
        "block": UNITS,
    }
    items = [f"block-{n:04d}" for n in range(-(-len(of[0].units) // UNITS))]
    name = f"{layer.name}/{settings['measures']}/{'+'.join(methods)}"
    result = run.result(STAGE, layer.name, name, settings, items, PLACE)
    return Measures(of, compared, result)
