"""Correlations between ascents from two inits, by layer, for figures.

They take the correlations table of one model and one pair of inits: ``model layer unit init_a
init_b r null_r status``, where ``r`` is NaN unless ``status`` is ``ok`` and ``null_r`` correlates
the same images with the units of the layer shuffled. Layers keep their order of first appearance.
A unit with several rows, one per copy, is represented by their mean. ``n`` in a figure is
the number of units with a correlation; the others are counted beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.analysis.statistics import unit_means
from pipeline.figures import style

COLUMNS = ("model", "layer", "unit", "init_a", "init_b", "r", "null_r", "status")
LABEL = "Pearson corr. coeff."

# Width of axis labels and margins of a figure, in inches.
MARGIN = 0.6


@dataclass(frozen=True)
class LayerCorrelations:
    """The finite correlations and null correlations of a layer, and the number of other units."""

    layer: str
    defined: Float[np.ndarray, " units"]
    null: Float[np.ndarray, " null_units"]
    undefined: int

    @property
    def counts(self) -> list[str]:
        """The line ``n = 189`` and, if any unit is undefined, the line ``3 undefined``."""
        lines = [f"n = {len(self.defined)}"]
        return [*lines, f"{self.undefined} undefined"] if self.undefined else lines


def by_layer(correlations: pd.DataFrame) -> list[LayerCorrelations]:
    """Return the correlations of every layer, in order of first appearance."""
    layers = []
    for layer, rows in correlations.groupby("layer", sort=False, observed=True):
        units = rows["unit"].to_numpy()
        r = unit_means(units, rows["r"].where(rows["status"] == "ok").to_numpy(np.float64))
        null = unit_means(units, rows["null_r"].to_numpy(np.float64))
        ok = np.isfinite(r)
        layers.append(
            LayerCorrelations(str(layer), r[ok], null[np.isfinite(null)], int((~ok).sum()))
        )
    return layers


def pair_title(correlations: pd.DataFrame) -> str:
    """Return the model and the two inits in words."""
    first = correlations.iloc[0]
    a, b = style.init_title(first["init_a"]), style.init_title(first["init_b"])
    return f"{first['model']}: {a}- vs. {b} Initializations"
