"""Tables of measured tuning: long, of every unit and property; and of curves and populations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from pipeline.analysis.tuning.distributions import Distribution, macaque_distributions
from pipeline.analysis.tuning.measured import Measured, long_table
from pipeline.analysis.tuning.populations import compare
from pipeline.analysis.tuning.properties import CIRCLES
from pipeline.search.tuning.measurement import Measures
from pipeline.search.tuning.shown import Curve

TUNING = (
    "layer", "unit", "at", "rate_map", "property", "value", "value_px", "low", "high", "flag",
    "unit_of_measure", "studied",
)  # fmt: skip
CURVES = ("layer", "unit", "at", "rate_map", "curve", "x", "x_unit_of_measure", "rate")
POPULATIONS = (
    "layer", "at", "rate_map", "property", "raw", "low", "high", "ceiling", "final", "units",
    "studied", "median", "macaque_median", "flag", "source",
)  # fmt: skip
X_UNITS = {
    "orientation": "°", "spatial_frequency": "c/deg", "size": "deg", "contrast": "", "hue": "°",
    "phase": "°",
}  # fmt: skip


def tuning_table(
    found: Iterable[Measures], layer: str, units: Sequence[int], px_per_deg: float
) -> pd.DataFrame:
    """Return one row per unit, stage, rate map and property."""
    parts: list[pd.DataFrame] = []
    for each in found:
        own = long_table(each.properties, layer, units, px_per_deg)
        studied = np.concatenate([one.studied for one in each.properties])
        parts.append(own.assign(at=each.at, rate_map=each.rate_map, studied=studied))
    whole = pd.concat(parts, ignore_index=True)
    return pd.DataFrame(whole, columns=list(TUNING))


def curves_table(found: Iterable[Measures], layer: str, units: Sequence[int]) -> pd.DataFrame:
    """Return one row per unit, stage, rate map, curve and point."""
    parts = [
        _curve_rows(curve, units).assign(layer=layer, at=each.at, rate_map=each.rate_map)
        for each in found
        for curve in each.curves
    ]
    whole = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return pd.DataFrame(whole, columns=list(CURVES))


def _curve_rows(curve: Curve, units: Sequence[int]) -> pd.DataFrame:
    points = len(curve.x)
    return pd.DataFrame(
        {
            "unit": np.repeat(np.asarray(units, dtype=np.int64), points),
            "curve": curve.name,
            "x": np.tile(curve.x, len(units)),
            "x_unit_of_measure": X_UNITS[curve.name],
            "rate": curve.rates.ravel(),
        }
    )


def joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return tables of blocks of units in the order of a table that is made at once.

    >>> blocks = [pd.DataFrame({"unit": unit, "at": ["pre", "post"]}) for unit in (0, 1)]
    >>> joined(blocks).values.tolist()
    [[0, 'pre'], [1, 'pre'], [0, 'post'], [1, 'post']]
    """
    table = pd.concat(parts, ignore_index=True)
    keys = [name for name in ("at", "rate_map", "property", "curve") if name in table]
    order = table[keys].drop_duplicates().reset_index(drop=True)
    place = table[keys].merge(order.reset_index(), on=keys, how="left")["index"]
    return table.iloc[np.argsort(place.to_numpy(), kind="stable")].reset_index(drop=True)


def population_table(
    table: pd.DataFrame,
    distributions: Mapping[str, Distribution] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return one row per layer, stage, rate map and property: units beside cells.

    Args:
        table: from ``tuning_table``, of one or several layers.
        distributions: of cells by property, by default the macaque's.
        seed: of the draws.
    """
    groups = table.groupby(["layer", "at", "rate_map"], sort=False)
    parts = [
        _population(rows, distributions, seed).assign(layer=layer, at=at, rate_map=rate_map)
        for (layer, at, rate_map), rows in groups  # pyright: ignore[reportGeneralTypeIssues]
    ]
    whole = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return pd.DataFrame(whole, columns=list(POPULATIONS))


def _population(
    rows: pd.DataFrame, distributions: Mapping[str, Distribution] | None, seed: int
) -> pd.DataFrame:
    """Return the population of one layer, stage and rate map, with medians."""
    measured = [
        Measured(
            str(name),
            own["value"].to_numpy(dtype=float),
            own["flag"].to_numpy(),
            own["studied"].to_numpy(dtype=bool),
        )
        for name, own in rows.groupby("property", sort=False)
    ]
    found = compare(measured, distributions, seed)
    found["studied"] = [int(one.studied.sum()) for one in measured]
    # A median on a circle means nothing.
    found["median"] = [np.nan if one.name in CIRCLES else _median(one.value) for one in measured]
    known = macaque_distributions() if distributions is None else distributions
    found["macaque_median"] = [
        known[one.name].median if one.name in known and one.name not in CIRCLES else np.nan
        for one in measured
    ]
    return found


def _median(values: np.ndarray) -> float:
    defined = values[np.isfinite(values)]
    return float(np.median(defined)) if len(defined) else float("nan")
