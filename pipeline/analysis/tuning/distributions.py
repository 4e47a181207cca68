"""Distributions of cells: the macaque's, which ship as histograms, and a lab's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pipeline.analysis.tuning.properties import PROPERTIES, is_possible
from pipeline.errors import ConfigError, nearest

_FORMS = "property,value or property,low,high,count"


@dataclass(frozen=True, eq=False)
class Distribution:
    """Cells counted in bins of a property.

    Attributes:
        name: of the property.
        edges: of the bins, ascending.
        counts: of cells in each bin.
        undefined: cells in which the property is undefined; they count as drawn cells.
        source: whose cells.
    """

    name: str
    edges: Float[np.ndarray, " edges"]
    counts: Int[np.ndarray, " bins"]
    undefined: int = 0
    source: str = ""

    @property
    def cells(self) -> int:
        """Number of cells, with those in which the property is undefined."""
        return int(self.counts.sum()) + self.undefined

    @property
    def median(self) -> float:
        """Median of the defined cells, which are taken to lie evenly within their bins.

        Evenly in the logarithm, where the property has logarithmic axes.

        >>> Distribution("suppression_index", np.array([0.0, 1.0, 2.0]), np.array([10, 30])).median
        1.3333333333333333
        """
        share = np.append(0.0, self.counts.cumsum() / self.counts.sum())
        bin_ = int(np.searchsorted(share, 0.5)) - 1
        part = (0.5 - share[bin_]) / (share[bin_ + 1] - share[bin_])
        low, high = self.edges[bin_], self.edges[bin_ + 1]
        if PROPERTIES[self.name].log and low > 0:
            return float(low * (high / low) ** part)
        return float(low + part * (high - low))


@cache
def _shipped() -> Mapping[str, Distribution]:
    table = pd.read_csv(Path(__file__).with_name("macaque.csv"), comment="#")
    return {
        str(name): _counted(str(name), rows, PROPERTIES[str(name)].study)
        for name, rows in table.groupby("property", sort=False)
    }


def macaque_distributions() -> dict[str, Distribution]:
    """Return the shipped distributions of macaque V1 cells by property.

    >>> macaque = macaque_distributions()
    >>> macaque["peak_frequency"].cells, macaque["preferred_orientation"].counts.tolist()
    (363, [110, 83, 100, 92])
    """
    return dict(_shipped())


def own_distributions(source: str | Path | pd.DataFrame) -> dict[str, Distribution]:
    """Return distributions of a lab's own cells, from a CSV file or a table.

    Args:
        source: with the columns ``property`` and ``value`` (one row per cell, an empty value where
            the property is undefined; bins are those of ``PROPERTIES``), or ``property``, ``low``,
            ``high`` and ``count`` (one row per bin, adjoining and ascending). Lines of a file that
            begin with # are comments.

    Raises:
        ConfigError: it is neither a table nor a file, columns or properties are unknown, a value is
            no number or cannot be (a circular variance of 2), bins do not adjoin, there are no
            cells, or values are given of a property that has no bins.

    >>> cells = pd.DataFrame({"property": "circular_variance", "value": [0.1, 0.5, 0.52]})
    >>> own_distributions(cells)["circular_variance"].counts.tolist()
    [0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0]
    """
    where, table = _read(source)
    columns = {"value", "low", "high", "count"} & set(table.columns)
    if "property" not in table.columns or columns not in ({"value"}, {"low", "high", "count"}):
        raise ConfigError(f"{where}: the columns must be {_FORMS}, not {','.join(table.columns)}")
    for column in columns:
        try:
            table = table.assign(**{column: table[column].astype(np.float64)})
        except (ValueError, TypeError):
            raise ConfigError(f"{where}: {column} must be numbers") from None
    if table.empty:
        raise ConfigError(f"{where}: there are no cells; give one row per cell, or per bin")
    found: dict[str, Distribution] = {}
    for name, rows in table.groupby(table["property"].astype(str), sort=False):
        if name not in PROPERTIES:
            raise ConfigError(
                f"{where}: there is no property {name!r}{nearest(str(name), PROPERTIES)}"
            )
        build = _binned if "value" in columns else _counted
        try:
            found[str(name)] = build(str(name), rows, where)
        except ConfigError as error:
            raise ConfigError(f"{where}: {name}: {error}") from None
    return found


def counts_of(
    values: Float[np.ndarray, " units"], edges: Float[np.ndarray, " edges"]
) -> Int[np.ndarray, " bins"]:
    """Return how many values lie in each bin; what lies beyond the edges counts in the end bins.

    NaN counts nowhere. The last bin holds its upper edge.

    >>> counts_of(np.array([-5.0, 0.5, 2.0, 9.0, np.nan]), np.array([0.0, 1.0, 2.0]))
    array([2, 2])
    """
    defined = values[~np.isnan(values)]
    counts, _ = np.histogram(np.clip(defined, edges[0], edges[-1]), edges)
    return counts.astype(np.int64)


def _read(source: str | Path | pd.DataFrame) -> tuple[str, pd.DataFrame]:
    if isinstance(source, pd.DataFrame):
        return "the table", source
    given = cast(Any, source)  # of any type, in a notebook
    if not isinstance(given, str | Path):
        raise ConfigError(f"cells: {given!r} is neither a table nor the path of a CSV file")
    try:
        return str(source), pd.read_csv(source, comment="#", skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{source}: it cannot be read as a CSV file of {_FORMS} ({error})"
        ) from None


def _binned(name: str, rows: pd.DataFrame, source: str) -> Distribution:
    bins = PROPERTIES[name].bins
    if bins is None:
        raise ConfigError("it has no bins; give low, high and count instead of values")
    edges, values = np.array(bins), rows["value"].to_numpy(dtype=np.float64)
    if wrong := [v for v in values[~np.isnan(values)].tolist() if not is_possible(name, v)]:
        said = "; orientations go from -22.5 to 157.5" if name == "preferred_orientation" else ""
        raise ConfigError(f"{wrong[0]:g} is no value that this property can have{said}")
    counts = counts_of(values, edges)
    if not counts.sum():
        raise ConfigError("there are no cells")
    return Distribution(name, edges, counts, int(np.isnan(values).sum()), source)


def _counted(name: str, rows: pd.DataFrame, source: str) -> Distribution:
    undefined = rows["low"].isna() & rows["high"].isna()
    bins = rows.loc[~undefined]
    low, high, count = (bins[c].to_numpy(dtype=np.float64) for c in ("low", "high", "count"))
    cells = rows["count"].to_numpy(dtype=np.float64)
    if not ((cells >= 0) & (cells == np.round(cells))).all():
        raise ConfigError("counts must be whole numbers of at least 0")
    if not count.sum():
        raise ConfigError("there are no cells")
    if not np.isfinite([low, high]).all():
        raise ConfigError("the ends of bins must be finite")
    if not ((high > low).all() and (low[1:] == high[:-1]).all()):
        raise ConfigError("bins must adjoin and ascend")
    missing = int(rows.loc[undefined, "count"].sum())
    return Distribution(name, np.append(low, high[-1:]), count.astype(np.int64), missing, source)
