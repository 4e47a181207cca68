"""Paired tests between conditions over the units of each layer, with a false discovery rate."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.errors import ConfigError, nearest

FEWEST = 6  # pairs; with fewer, no signed-rank test can reach 5 %
ROUNDING = 1e-6  # of the larger of two values, which are of images and responses in float32
_NAN = float("nan")


def signed_rank(differences: Float[np.ndarray, " units"]) -> dict[str, Any]:
    """Return Wilcoxon's signed-rank test of paired differences, with its effect size.

    Two-sided, exact without ties up to 50 pairs (SciPy's default); zero differences are dropped, as
    Wilcoxon (1945, Biometrics Bull 1:80) did. The effect is the matched-pairs rank-biserial
    correlation, the share of ranks with a positive difference less that with a negative one (Kerby
    2014, Compr Psychol 3:1).

    Args:
        differences: one per unit; those that are not finite are left out.

    Returns:
        ``units`` (finite differences), ``undefined``, ``difference`` (the median), ``effect`` (-1
        to 1), ``p`` and ``note``: why there is no p, or an empty string.

    >>> found = signed_rank(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    >>> found["p"], found["effect"]
    (0.03125, 1.0)
    """
    from scipy.stats import rankdata, wilcoxon

    defined = differences[np.isfinite(differences)].astype(np.float64)
    changed = defined[defined != 0]
    row: dict[str, Any] = {
        "units": len(defined),
        "undefined": len(differences) - len(defined),
        "difference": float(np.median(defined)) if len(defined) else _NAN,
        "effect": _NAN,
        "p": _NAN,
        "note": "",
    }
    if not len(changed):
        return row | {"note": "no unit differs" if len(defined) else "no unit has both values"}
    ranks = rankdata(np.abs(changed))
    row["effect"] = float((ranks * np.sign(changed)).sum() / ranks.sum())
    if len(changed) < FEWEST:
        note = f"only {len(changed)} units differ; the test needs {FEWEST} or more"
        return row | {"note": note}
    tested: Any = wilcoxon(changed)
    return row | {"p": float(tested.pvalue)}


def paired_tests(
    table: pd.DataFrame,
    value: str,
    between: str,
    *,
    by: Sequence[str] = ("layer",),
    unit: str = "unit",
) -> pd.DataFrame:
    """Return paired tests between all pairs of conditions, over units.

    Each unit counts once: several rows of a unit and condition, such as its copies, are averaged.
    Two values that differ by a millionth of the larger or less are equal: such differences are
    rounding, in which a test of ranks would see an effect as in any others.
    p values are adjusted over all rows together, by Benjamini and Hochberg's false discovery rate.

    Args:
        table: a row per unit and condition at least, such as ``run.ascents``, or tables of several
            runs joined by ``pandas.concat``.
        value: column that is compared, such as ``final_response``.
        between: column of the condition, such as ``init`` or ``optimizer``.
        by: columns within which conditions are compared, in the order in which they come.
        unit: column that says which values are paired.

    Returns:
        One row for each group of ``by`` and each pair of conditions: ``a`` and ``b``, ``units``,
        ``undefined``, ``difference`` (median of a - b), ``effect`` (rank-biserial, 1 if a is larger
        in all units), ``p``, ``q`` (p adjusted) and ``note``.

    Raises:
        ConfigError: a column is missing, or there is only one condition.

    >>> import numpy as np, pandas as pd, pipeline
    >>> units = np.arange(6)
    >>> of_init = {"zeros": units + 1.0, "noise": units}
    >>> table = pd.DataFrame(of_init).melt(var_name="init", value_name="response")
    >>> table = table.assign(unit=[*units, *units], layer="conv1")
    >>> found = pipeline.paired_tests(table, "response", "init")
    >>> found[["a", "b", "difference", "effect", "q"]].values[0]
    array(['zeros', 'noise', 1.0, 1.0, 0.03125], dtype=object)
    """
    for name in (value, between, unit, *by):
        if name not in table:
            raise ConfigError(
                f"table: there is no column '{name}'; it has {', '.join(map(str, table.columns))}"
                f"{nearest(name, [str(column) for column in table.columns])}"
            )
    conditions = list(dict.fromkeys(table[between]))
    if len(conditions) < 2:
        only = f"only '{conditions[0]}'" if conditions else "no row"
        raise ConfigError(f"between: the table has {only} in '{between}'; give two or more")
    rows: list[dict[str, Any]] = []
    for group, of_group in _groups(table, by):
        means = of_group.pivot_table(
            value, unit, between, aggfunc="mean", observed=True, dropna=False, sort=False
        )
        here = [name for name in conditions if name in means]
        for a, b in combinations(here, 2):
            first, second = (means[name].to_numpy(np.float64) for name in (a, b))
            rows.append(group | {"a": a, "b": b} | signed_rank(_differences(first, second)))
    return with_q(pd.DataFrame(rows))


def _differences(
    first: Float[np.ndarray, " units"], second: Float[np.ndarray, " units"]
) -> Float[np.ndarray, " units"]:
    with np.errstate(invalid="ignore"):
        found = first - second
        rounding = np.abs(found) <= ROUNDING * np.maximum(np.abs(first), np.abs(second))
    return np.where(rounding, 0.0, found)


def _groups(table: pd.DataFrame, by: Sequence[str]) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    if not by:
        return [({}, table)]
    found: list[tuple[dict[str, Any], pd.DataFrame]] = []
    for key, rows in table.groupby([*by], sort=False, observed=True):
        keys: tuple[Hashable, ...] = key if isinstance(key, tuple) else (key,)
        found.append((dict(zip(by, keys, strict=True)), rows))
    return found


def with_q(tests: pd.DataFrame, family: Sequence[str] = ()) -> pd.DataFrame:
    """Return tests with a column ``q``: p adjusted for how many tests there are.

    q is the smallest false discovery rate at which a test is a discovery (Benjamini & Hochberg
    1995, J R Stat Soc B 57:289). Tests without a p are not counted.

    Args:
        tests: with a column ``p``; ``q`` stands after it.
        family: columns within which tests are counted; all together by default.
    """
    from scipy.stats import false_discovery_control

    q = np.full(len(tests), np.nan)
    places = pd.Series(np.arange(len(tests)))
    keys = [tests[name].to_numpy() for name in family] or [np.zeros(len(tests), int)]
    for _, at in places.groupby(keys, sort=False):
        own = at.to_numpy()
        p = tests["p"].to_numpy(np.float64)[own]
        known = np.isfinite(p)
        if known.any():
            q[own[known]] = false_discovery_control(p[known])
    found = tests.drop(columns="q", errors="ignore")
    found.insert(list(found.columns).index("p") + 1, "q", q)
    return found
