"""Tables that take long to make: work for all processes, block by block, and kept in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from pipeline.store.results import Result

Tables = Mapping[str, pd.DataFrame]


@runtime_checkable
class StoredTables(Protocol):
    """One table or several, whose rows are made block by block."""

    @property
    def result(self) -> Result:
        """The stored rows, an item for each block."""
        ...

    def size(self, item: str) -> int:
        """Return how much of the whole an item is."""
        ...

    def make(self, item: str) -> Tables:
        """Compute the rows of an item, by the names of the tables."""
        ...


def write_rows(result: Result, item: str, tables: Tables) -> None:
    """Store the rows of an item: numbers as arrays, texts as numbers of the texts in the notes."""
    arrays: dict[str, np.ndarray] = {}
    notes: dict[str, Any] = {}
    for name, table in tables.items():
        texts: dict[str, list[str]] = {}
        for column in map(str, table.columns):
            values = table[column]
            if values.dtype.kind not in "biuf":
                codes, different = pd.factorize(values)
                values, texts[column] = codes.astype(np.int32), [str(text) for text in different]
            arrays[f"{name}.{column}"] = np.asarray(values)
        notes[name] = {"columns": list(map(str, table.columns)), "texts": texts}
    result.write(item, arrays, notes)


def read_rows(result: Result) -> dict[str, pd.DataFrame]:
    """Return the whole tables, by name."""
    parts = [result.read(item) for item in result.items]
    return {
        name: pd.concat([_table(name, *part) for part in parts], ignore_index=True)
        for name in parts[0][1]
    }


def _table(name: str, arrays: Mapping[str, np.ndarray], notes: Mapping[str, Any]) -> pd.DataFrame:
    texts = notes[name]["texts"]
    columns = {
        column: np.array(texts[column], dtype=object)[arrays[f"{name}.{column}"]]
        if column in texts
        else arrays[f"{name}.{column}"]
        for column in notes[name]["columns"]
    }
    return pd.DataFrame(columns)


@dataclass(frozen=True)
class TableBlock:
    """A work item: some rows of stored tables.

    Attributes:
        of: the tables.
        item: name of the item.
    """

    of: StoredTables
    item: str


class TableWork:
    """Blocks of stored tables as work for the runner (``runner.Work``)."""

    def needed(self, block: TableBlock) -> bool:
        """Say whether a block is missing."""
        return not block.of.result.holds(block.item)

    def size(self, block: TableBlock) -> int:
        """Return how much of the whole a block is."""
        return block.of.size(block.item)

    def parts(self, block: TableBlock) -> list[TableBlock]:
        """Return the block itself: it is done as a whole."""
        return [block]

    def load(self, block: TableBlock) -> TableBlock:
        """Read nothing yet."""
        return block

    def run(self, block: TableBlock) -> Tables:
        """Return the rows of the tables."""
        return block.of.make(block.item)

    def begin(self, block: TableBlock) -> Rows:
        """Return what writes them."""
        return Rows(block)


@dataclass(frozen=True)
class Rows:
    """The rows of one block."""

    block: TableBlock
    tables: dict[str, pd.DataFrame] = field(default_factory=dict[str, pd.DataFrame])

    def add(self, tables: Tables) -> None:
        """Take in the rows."""
        self.tables.update(tables)

    def write(self) -> None:
        """Write them."""
        write_rows(self.block.of.result, self.block.item, self.tables)
