"""Fractions of opponent units by layer, with intervals over units, and over networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline.analysis.opponency import class_fractions, over_seeds
from pipeline.analysis.opponency_table import POPULATION, OpponencyRules


def opponency_fractions(table: pd.DataFrame | Mapping[Any, pd.DataFrame]) -> pd.DataFrame:
    """Return the fraction of units of each class in every layer, by every rule of a table.

    Args:
        table: what ``pipeline.opponency`` returns or a run's table ``opponency``; or several by the
            names of their conditions, such as a trained network and its controls, or by the seeds
            of several networks (see ``opponency_over_seeds``).

    Returns:
        One row per layer, rule and class: ``condition`` (of several), ``layer``, ``kind``,
        ``baseline``, ``require_positive_baseline``, ``at``, ``class``, ``units`` (without those
        that are undefined), ``count``, ``fraction``, ``low`` and ``high`` (95 % interval over
        units, Wilson 1927). Layers without a defined unit have no rows.

    Raises:
        ConfigError: a column is missing, a class is unknown, or a unit occurs twice: tables of
            several networks that are stacked rather than given by name.

    >>> import pandas as pd
    >>> import pipeline
    >>> rule = {"kind": "double", "baseline": "black", "require_positive_baseline": True}
    >>> units = {"layer": "conv1", "at": "pre", "class": ["opponent"] * 3 + ["unresponsive"] * 7}
    >>> fractions = pipeline.opponency_fractions(pd.DataFrame(rule | units))
    >>> fractions[["class", "count", "fraction", "low", "high"]].round(3)[2:].values.tolist()
    [['opponent', 3, 0.3, 0.108, 0.603]]
    """
    if not isinstance(table, Mapping):
        return class_fractions(table, POPULATION)
    parts: list[pd.DataFrame] = []
    for condition, own in table.items():
        fractions = class_fractions(own, POPULATION)
        fractions.insert(0, "condition", [condition] * len(fractions))
        parts.append(fractions)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def opponency_over_seeds(tables: Mapping[Any, pd.DataFrame]) -> pd.DataFrame:
    """Return mean and standard deviation over networks of the fraction of each class.

    Args:
        tables: what ``pipeline.opponency`` returns for each of several networks that differ in
            their seed, by the seed.

    Returns:
        One row per layer, rule and class: the columns of ``opponency_fractions`` up to ``class``,
        ``networks``, ``mean`` and ``sd`` (of a sample, n - 1; NaN of one network).

    >>> import pandas as pd
    >>> import pipeline
    >>> rule = {"kind": "double", "baseline": "black", "require_positive_baseline": True}
    >>> one, two = (
    ...     pd.DataFrame(rule | {"layer": "conv1", "at": "pre", "class": classes})
    ...     for classes in (["opponent", "opponent"], ["opponent", "unresponsive"])
    ... )
    >>> found = pipeline.opponency_over_seeds({0: one, 1: two})
    >>> found[["class", "mean"]].values.tolist()[2]
    ['opponent', 0.75]
    """
    return over_seeds(opponency_fractions(tables), POPULATION, seed="condition")


def published(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the published rules: a black baseline, which must be above 0.

    Spectral opponency is that before, spatial opponency that after the nonlinearity.

    Args:
        table: with the columns of ``opponency_table.RULE``.
    """
    stages = {kind: at for kind, at, _, _ in OpponencyRules().combinations()}
    black = (table["baseline"] == "black") & table["require_positive_baseline"].astype(bool)
    at = np.array([stages[kind] for kind in table["kind"]], dtype=object)
    return table.loc[black & (table["at"] == at)]
