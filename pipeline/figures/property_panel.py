"""What a panel of a population figure shows: a property of all layers, and of cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.analysis.tuning.distributions import Distribution, counts_of
from pipeline.analysis.tuning.properties import CIRCLES, PROPERTIES
from pipeline.figures import style
from pipeline.figures.property_names import YES_NO

_BINS = 12  # of a property that was not measured in animals


@dataclass(frozen=True, eq=False)
class PropertyPanel:
    """One property in all layers.

    Attributes:
        name: of the property.
        cells: its distribution in animals, if there is one.
        edges: of the bins.
        values: by layer, in the order of rows; without NaN.
        similarities: with the cells, by layer, as they are written; empty if none is given.
        ceiling: of these similarities.
    """

    name: str
    cells: Distribution | None
    edges: Float[np.ndarray, " edges"]
    values: Mapping[str, Float[np.ndarray, " units"]]
    similarities: Mapping[str, str]
    ceiling: float

    @property
    def shares(self) -> dict[str, Float[np.ndarray, " bins"]]:
        """Shares of the units of each layer in the bins; 0 if it is defined in none."""
        counts = {layer: counts_of(values, self.edges) for layer, values in self.values.items()}
        return {layer: each / max(each.sum(), 1) for layer, each in counts.items()}

    @property
    def cell_shares(self) -> Float[np.ndarray, " bins"]:
        """Shares of the cells in the bins; 0 if there are none."""
        if self.cells is None:
            return np.zeros(len(self.edges) - 1)
        return self.cells.counts / self.cells.counts.sum()


def property_panel(
    name: str,
    table: pd.DataFrame,
    known: Mapping[str, Distribution],
    populations: pd.DataFrame | None,
) -> PropertyPanel:
    """Return a property of all layers of a table, with cells and similarities if there are any."""
    own = table.loc[table["property"] == name]
    values = {
        str(layer): own.loc[own["layer"] == layer, "value"].dropna().to_numpy(np.float64)
        for layer in dict.fromkeys(table["layer"])
    }
    cells = known.get(name)
    edges = _edges(name, np.concatenate(list(values.values()))) if cells is None else cells.edges
    if populations is None or cells is None:
        return PropertyPanel(name, cells, edges, values, {}, np.nan)
    return PropertyPanel(name, cells, edges, values, *_similarities(name, populations))


def _similarities(name: str, populations: pd.DataFrame) -> tuple[dict[str, str], float]:
    """Return the similarity of each layer with the cells, and its ceiling."""
    style.check_table(populations, ("layer", "property", "raw", "ceiling"), single=())
    own = populations.loc[populations["property"] == name].dropna(subset=["raw"])
    found = {str(row["layer"]): _similarity(row) for row in own.to_dict("records")}
    return found, float(own["ceiling"].iloc[0]) if len(own) else np.nan


def _similarity(row: Mapping[Any, Any]) -> str:
    if row.get("units") == 0:
        return "undefined"
    interval = np.isfinite([row.get(end, np.nan) for end in ("low", "high")]).all()
    said = f"{row['raw']:.2f}"
    return f"{said} [{row['low']:.2f}, {row['high']:.2f}]" if interval else said


def _edges(name: str, values: Float[np.ndarray, " units"]) -> Float[np.ndarray, " edges"]:
    """Return bins of a property without a distribution of cells."""
    # Bins of rates are those of spikes per second.
    bins = None if PROPERTIES[name].unit_of_measure == "rate" else PROPERTIES[name].bins
    if name in YES_NO or bins is not None:
        return np.array((0.0, 0.5, 1.0) if bins is None else bins)
    if name in CIRCLES:
        low = -22.5 if CIRCLES[name] == 180.0 else 0.0
        return np.linspace(low, low + CIRCLES[name], _BINS + 1)
    log = PROPERTIES[name].log
    values = values[values > 0] if log else values
    low, high = (values.min(), values.max()) if len(values) else (1.0, 2.0)
    if not high > low:
        low, high = (low / 2, 2 * high) if log else (low - 0.5, high + 0.5)
    return np.geomspace(low, high, _BINS + 1) if log else np.linspace(low, high, _BINS + 1)
