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
from pipeline.store.results import Result

UNITS = 32  # of a work item
PLACE = "receptive_field_measures"  # folder of the store


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

    def make(self, item: str) -> pd.DataFrame:
        """Compute the rows of an item from the stored maps."""
        rows = self.rows(item)
        units, read = self.of[0].units[rows], [each.read(rows) for each in self.of]
        if not self.compared:
            return summarize(read[0], self.of[0].method, units)
        maps = [m.named(each.method) for m, each in zip(read, self.of, strict=True)]
        pairs = combinations(maps[0], 2) if len(maps) == 1 else product(maps[0], maps[1])
        return agreement({name: found for m in maps for name, found in m.items()}, pairs, units)

    def write(self, item: str, table: pd.DataFrame) -> None:
        """Store the rows of an item: numbers as arrays, texts as notes."""
        texts = {n: list(column) for n, column in table.items() if column.dtype.kind not in "biuf"}
        numbers = {str(n): column.to_numpy() for n, column in table.items() if n not in texts}
        notes = {"columns": list(table.columns), "texts": texts}
        self.result.write(item, numbers, notes)

    def read(self) -> pd.DataFrame:
        """Read the whole table."""
        parts = [self.result.read(item) for item in self.result.items]
        tables = [pd.DataFrame({**arrays, **notes["texts"]}) for arrays, notes in parts]
        whole = pd.concat(tables, ignore_index=True)
        return pd.DataFrame(whole[parts[0][1]["columns"]])


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


@dataclass(frozen=True)
class Block:
    """A work item: some units of one table."""

    of: Measures
    item: str


class MeasureWork:
    """Blocks of units of tables as work for the runner (``runner.Work``)."""

    def needed(self, block: Block) -> bool:
        """Say whether a block is missing."""
        return not block.of.result.holds(block.item)

    def size(self, block: Block) -> int:
        """Return the number of units."""
        rows = block.of.rows(block.item)
        return rows.stop - rows.start

    def parts(self, block: Block) -> list[Block]:
        """Return the block itself: it is done as a whole."""
        return [block]

    def load(self, block: Block) -> Block:
        """Read nothing yet."""
        return block

    def run(self, block: Block) -> pd.DataFrame:
        """Return the rows of the table."""
        return block.of.make(block.item)

    def begin(self, block: Block) -> Rows:
        """Return what writes them."""
        return Rows(block, [])


@dataclass(frozen=True)
class Rows:
    """The rows of one block."""

    block: Block
    tables: list[pd.DataFrame]

    def add(self, table: pd.DataFrame) -> None:
        """Take in the rows."""
        self.tables.append(table)

    def write(self) -> None:
        """Write them."""
        self.block.of.write(self.block.item, self.tables[0])
