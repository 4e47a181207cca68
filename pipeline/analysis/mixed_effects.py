"""Means by layer in a mixed model, in which the values of one unit belong together."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import ConfigError

UNFITTED = {"estimate": np.nan, "low": np.nan, "high": np.nan, "p": np.nan}


def mixed_effects(table: pd.DataFrame, value: str = "value", unit: str = "unit") -> pd.DataFrame:
    """Return the mean of each layer by a linear mixed model, with a random intercept for each unit.

    value = mean of the layer + deviation of the unit + residual. The copies of a unit, or its pairs
    of inits, are not independent of each other; the model says how far they agree, and widens
    intervals accordingly. Fitted by restricted maximum likelihood (statsmodels ``MixedLM``).

    Source: Laird & Ware (1982), Biometrics 38:963.

    Args:
        table: with columns ``layer``, the unit and the value; rows without a finite value are
            left out and counted.
        value: column of the values.
        unit: column of the unit within its layer.

    Returns:
        One row per layer: ``layer``, ``estimate``, ``low``, ``high`` (95 %, Wald), ``p`` (that the
        mean is 0), ``units``, ``undefined`` (units without a value), ``unit_share`` (share of the
        variance within layers that is between units) and ``note``: why the model cannot be fitted,
        or an empty string.

    Raises:
        ConfigError: statsmodels is missing.

    >>> import pandas as pd, pipeline
    >>> copies = [0.1, 0.2, 0.3, 0.4, 0.5, 0.7]
    >>> table = pd.DataFrame({"layer": "conv1", "unit": [0, 0, 1, 1, 2, 2], "value": copies})
    >>> float(pipeline.mixed_effects(table).estimate[0].round(3))
    0.367
    """
    layers = [str(name) for name in dict.fromkeys(table["layer"])]
    values = table[value].to_numpy(np.float64)
    defined = table.loc[np.isfinite(values)]
    there, units = (_units(rows, unit) for rows in (defined, table))
    counts = [there.get(name, 0) for name in layers]
    found = pd.DataFrame(
        {
            "layer": layers,
            **UNFITTED,
            "units": counts,
            "undefined": [units[name] - n for name, n in zip(layers, counts, strict=True)],
            "unit_share": np.nan,
            "note": "",
        }
    )
    if reason := _unfit(defined, unit):
        return found.assign(note=reason)
    used = [name for name, count in zip(layers, counts, strict=True) if count]
    try:
        estimates, share = _fitted(defined, value, unit, used)
    except (np.linalg.LinAlgError, ValueError, Warning) as error:
        return found.assign(note=f"the mixed model cannot be fitted ({error or 'it is singular'})")
    for name, row in zip(used, estimates, strict=True):
        found.loc[found["layer"] == name, [*UNFITTED]] = row
    found["unit_share"] = share
    found.loc[found["units"] == 0, "note"] = "no unit of this layer has a value"
    return found


def _units(table: pd.DataFrame, unit: str) -> dict[str, int]:
    """Return the number of units of each layer."""
    names = table["layer"].astype(str)
    pairs = dict.fromkeys(zip(names.tolist(), table[unit].tolist(), strict=True))
    return dict(Counter(name for name, _ in pairs))


def _unfit(defined: pd.DataFrame, unit: str) -> str:
    """Return why the model cannot be fitted, or an empty string."""
    units = zip(defined["layer"].tolist(), defined[unit].tolist(), strict=True)
    rows = Counter(units)
    if len(rows) < 2:
        return "the mixed model cannot be fitted: fewer than two units have a value"
    if max(rows.values()) < 2:
        return (
            "the mixed model cannot be fitted: no unit has two values, so units cannot be told from"
            " chance; use init.copies=2 or more, or three inits"
        )
    return ""


def _fitted(
    defined: pd.DataFrame, value: str, unit: str, layers: list[str]
) -> tuple[list[list[float]], float]:
    """Return estimate, interval and p of each layer, and the share of variance between units."""
    mixed_model = _statsmodels()
    endog = defined[value].to_numpy(np.float64)
    exog = (defined["layer"].astype(str).to_numpy()[:, None] == np.array(layers)[None]).astype(
        np.float64
    )
    names = defined["layer"].astype(str) + "/" + defined[unit].astype(str)
    groups, _ = pd.factorize(names)
    spread = float(endog.std())
    residual = endog - exog @ np.linalg.lstsq(exog, endog, rcond=None)[0]
    if spread <= 0 or residual.std() <= 1e-9 * max(spread, 1e-300):
        raise ValueError("values do not vary within layers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result: Any = mixed_model(endog / spread, exog, groups).fit(reml=True)
    if not result.converged:
        raise ValueError("it did not converge")
    interval = np.asarray(result.conf_int())[: len(layers)] * spread
    means = np.asarray(result.fe_params) * spread
    p = np.asarray(result.pvalues)[: len(layers)]
    between, within = float(np.asarray(result.cov_re).ravel()[0]), float(result.scale)
    columns = np.column_stack([means, interval, p])
    if not np.isfinite(columns).all():
        raise ValueError("it is singular")
    return [[*map(float, row)] for row in columns], between / (between + within)


def _statsmodels() -> Any:
    try:
        from statsmodels.regression.mixed_linear_model import MixedLM
    except ImportError as error:
        raise ConfigError(
            "mixed models need statsmodels, which is not installed; run"
            " pip install 'artiphys[statistics]'"
        ) from error
    return MixedLM
