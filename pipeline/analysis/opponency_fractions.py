"""Fractions of opponent units by layer, with intervals over units, and over networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        ``networks``, ``mean``, ``sd`` (of a sample, n - 1), and the 95 % interval of the mean,
        ``low`` and ``high`` (Student's t); the last three are NaN of one network.

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


def fractions_by_condition(
    fractions: Mapping[str, Mapping[Any, pd.DataFrame]], also: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the fraction of units of each class by condition, over all of its networks.

    Args:
        fractions: what ``opponency_fractions`` returns for each network, by its condition and, of
            several networks that differ in their seed, the seed.
        also: columns that name a population beside layer and rule, such as the model.

    Returns:
        One row per condition, layer, rule and class: ``condition``, ``networks``, ``fraction``
        (mean over networks), ``sd``, ``low`` and ``high``: the 95 % interval over networks, or, of
        a single network, over its units.

    >>> rule = {"kind": "double", "baseline": "black", "require_positive_baseline": True}
    >>> row = rule | {"layer": "conv1", "at": "pre", "class": "opponent", "low": 0.1, "high": 0.7}
    >>> one, two = (pd.DataFrame([row | {"fraction": share}]) for share in (0.4, 0.5))
    >>> found = fractions_by_condition({"trained": {0: one}, "random": {0: one, 1: two}})
    >>> found[["condition", "networks", "fraction", "low", "high"]].round(2).values.tolist()
    [['trained', 1, 0.4, 0.1, 0.7], ['random', 2, 0.45, 0.0, 1.0]]
    """
    parts: list[pd.DataFrame] = []
    for condition, networks in fractions.items():
        tables = [own.assign(network=number) for number, own in enumerate(networks.values())]
        whole, by = pd.concat(tables, ignore_index=True), [*also, *POPULATION]
        found = over_seeds(whole, by, seed="network").rename(columns={"mean": "fraction"})
        if len(tables) == 1:
            found = found.assign(low=whole["low"], high=whole["high"])
        found.insert(0, "condition", condition)
        parts.append(found)
    return pd.concat(parts, ignore_index=True)


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
