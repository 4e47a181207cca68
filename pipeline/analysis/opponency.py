"""Spectral, spatial and double opponency of units: De Valois' rule, and fractions by layer.

A unit is opponent if some stimuli excite it above its baseline and others inhibit it below (De
Valois, Abramov & Jacobs 1966). The baseline, a response to an empty field, and the demand that it
be positive decide much: with a black baseline a cell of the published networks may be opponent that
is not with a gray one. So both stand in every result. Source: ecs-vlc/opponency (Harris, Mihai &
Hare 2019), statistics/devalois.py and spatial_opponency.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from scipy.special import stdtrit

from pipeline.analysis.statistics import wilson_interval
from pipeline.errors import ConfigError

UNRESPONSIVE, NON_OPPONENT, OPPONENT = CLASSES = ("unresponsive", "non-opponent", "opponent")
UNDEFINED = "undefined"  # where a response is not finite
# Name of a hue and where it begins, degrees; red begins at 315 and goes through 0.
HUE_NAMES = (
    ("yellow", 45.0),
    ("green", 75.0),
    ("cyan", 165.0),
    ("blue", 195.0),
    ("magenta", 285.0),
    ("red", 315.0),
)


def opponency_classes(
    responses: Float[np.ndarray, "units stimuli"],
    baseline: Float[np.ndarray, " units"],
    require_positive_baseline: bool,
    same: float = 0.0,
) -> np.ndarray:
    """Return the class of each unit: ``unresponsive``, ``non-opponent`` or ``opponent``.

    A unit is unresponsive if all responses are its baseline s, opponent if the highest is above s
    and the lowest below, and if s > 0 where that is demanded, and non-opponent otherwise. Spectral
    opponency is this rule over hues, published with the demand and before the nonlinearity; spatial
    opponency over achromatic gratings, published after a ReLU, where s > 0 follows.

    Args:
        responses: to hues or to gratings.
        baseline: response to an empty field: black, gray or white.
        require_positive_baseline: whether s must be above 0.
        same: responses that differ from the baseline by no more than this are equal to it.

    Returns:
        Names of classes; ``undefined`` where a response or the baseline is not finite.

    >>> responses = np.array([[1.0, 3.0], [2.0, 2.0], [2.0, 3.0]])
    >>> opponency_classes(responses, np.full(3, 2.0), require_positive_baseline=True).tolist()
    ['opponent', 'unresponsive', 'non-opponent']
    """
    finite = np.isfinite(responses).all(axis=1) & np.isfinite(baseline)
    with np.errstate(invalid="ignore"):
        above = (responses > (baseline + same)[:, None]).any(axis=1)
        below = (responses < (baseline - same)[:, None]).any(axis=1)
        opponent = above & below & ((baseline > 0) | (not require_positive_baseline))
    chosen = np.select(
        [~finite, ~above & ~below, opponent], [UNDEFINED, UNRESPONSIVE, OPPONENT], NON_OPPONENT
    )
    return chosen.astype(object)


def spectral_opponency(
    responses: Float[np.ndarray, "units hues"],
    hues: Float[np.ndarray, " hues"],
    baseline: Float[np.ndarray, " units"],
    require_positive_baseline: bool,
    units: Sequence[int] | None = None,
    seed: int | Sequence[int] = 0,
) -> pd.DataFrame:
    """Return class, baseline and most exciting and inhibiting hue of each unit.

    Args:
        responses: to hues, published before the nonlinearity.
        hues: degrees; published HSL(hue, 1, 0.5) in steps of 1.
        baseline: response to an empty field, published black.
        require_positive_baseline: whether only units with a baseline above 0 may be opponent.
        units: their numbers, by default their rows.
        seed: of the choice among hues with equal responses, which it and the unit's number decide;
            one number or several, as of the seed and the layer.

    Returns:
        One row per unit: ``unit``, ``class``, ``baseline``, ``require_positive_baseline``,
        ``max_hue``, ``max_name``, ``max_response``, ``min_hue``, ``min_name`` and ``min_response``;
        hues are NaN and their names empty unless the unit responds.

    >>> hues, baseline = np.array([0.0, 120.0]), np.array([2.0])
    >>> table = spectral_opponency(np.array([[3.0, 1.0]]), hues, baseline, True)
    >>> table[["class", "max_name", "min_name"]].values.tolist()
    [['opponent', 'red', 'green']]
    """
    classes = opponency_classes(responses, baseline, require_positive_baseline)
    responding = np.isin(classes, [NON_OPPONENT, OPPONENT])
    numbers = list(range(len(responses))) if units is None else list(units)
    table = pd.DataFrame(
        {
            "unit": numbers,
            "class": classes,
            "baseline": baseline,
            "require_positive_baseline": require_positive_baseline,
        }
    )
    for name, sign in (("max", 1), ("min", -1)):
        signed = np.where(responding[:, None], sign * responses, 0.0)
        at = _extremes(signed, numbers, [*np.atleast_1d(seed).tolist(), sign + 1])
        hue = np.where(responding, hues[at], np.nan)
        table[f"{name}_hue"], table[f"{name}_name"] = hue, hue_names(hue)
        found = responses[np.arange(len(responses)), at]
        table[f"{name}_response"] = np.where(classes == UNDEFINED, np.nan, found)
    return table


def hue_names(hues: Float[np.ndarray, " units"]) -> np.ndarray:
    """Return red (315 to 45), yellow (to 75), green (to 165), cyan (to 195), blue (to 285) or
    magenta (to 315) of hues in degrees; each begins at its lower bound. Empty for NaN.

    >>> hue_names(np.array([0.0, 45.0, 359.0, 284.9, np.nan])).tolist()
    ['red', 'yellow', 'red', 'blue', '']
    """  # noqa: D205
    turn = hues % 360
    starts = np.array([start for _, start in HUE_NAMES])
    names = np.array(["red", *(name for name, _ in HUE_NAMES)], dtype=object)
    with np.errstate(invalid="ignore"):
        found = names[np.searchsorted(starts, turn, side="right")]
    return np.where(np.isnan(hues), "", found)


def double_opponent(spectral: np.ndarray, spatial: np.ndarray) -> Bool[np.ndarray, " units"]:
    """Return which units are both spectrally and spatially opponent.

    >>> double_opponent(np.array(["opponent", "opponent"]), np.array(["opponent", "unresponsive"]))
    array([ True, False])
    """
    return (spectral == OPPONENT) & (spatial == OPPONENT)


def class_fractions(table: pd.DataFrame, by: Sequence[str] = ("layer",)) -> pd.DataFrame:
    """Return the fraction of units of each class, with its 95 % interval over units (Wilson 1927).

    Args:
        table: one row per unit with ``class`` (several tables of opponency may be stacked) and the
            columns to group by. Undefined units are left out of the fractions. If there is a
            column ``unit``, a unit may occur only once in a population.
        by: columns that name a population: ``layer``, ``seed``, ``baseline_field``...

    Returns:
        One row per population and class: the columns of ``by``, ``class``, ``units`` (of all
        classes), ``count``, ``fraction``, ``low`` and ``high``.

    Raises:
        ConfigError: a column is missing, a class is unknown, or a unit occurs twice in a
            population, as where the tables of several networks are stacked.

    >>> units = pd.DataFrame({"layer": "conv1", "class": ["opponent"] * 3 + ["non-opponent"] * 7})
    >>> class_fractions(units).round(3)[2:].values.tolist()
    [['conv1', 'opponent', 10, 3, 0.3, 0.108, 0.603]]
    """
    missing = {*by, "class"} - set(table.columns)
    if missing:
        raise ConfigError(f"fractions: the table has no column {', '.join(sorted(missing))}")
    unknown = set(table["class"]) - {*CLASSES, UNDEFINED}
    if unknown:
        raise ConfigError(
            f"fractions: class must be {', '.join(CLASSES)} or undefined, not"
            f" {', '.join(sorted(map(repr, unknown)))}"
        )
    _refuse_repeated_units(table, by)
    defined = table[table["class"] != UNDEFINED]
    rows: list[dict[str, object]] = []
    for key, group in defined.groupby(list(by), sort=False):
        found = list(group["class"])
        for name in CLASSES:
            count, units = found.count(name), len(found)
            low, high = wilson_interval(count, units)
            population = dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
            rows.append({**population, "class": name, "units": units, "count": count,
                         "fraction": count / units, "low": low, "high": high})  # fmt: skip
    columns = [*by, "class", "units", "count", "fraction", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _refuse_repeated_units(table: pd.DataFrame, by: Sequence[str]) -> None:
    if "unit" not in table:
        return
    repeated = table[table.duplicated([*by, "unit"]).to_numpy()]
    if len(repeated):
        first = repeated.iloc[0]
        where = ", ".join(f"{name} {first[name]}" for name in by)
        raise ConfigError(
            f"fractions: unit {first['unit']} occurs more than once ({where}); tables of several"
            " networks or conditions are given by name, as in {'trained': one, 'random': another}"
        )


def over_seeds(
    fractions: pd.DataFrame, by: Sequence[str] = ("layer",), seed: str = "seed"
) -> pd.DataFrame:
    """Return mean and standard deviation over networks of the fraction of each class.

    Args:
        fractions: from ``class_fractions`` by ``by`` and the seed.
        by: columns that name a population, without the seed.
        seed: column that names the network of a population.

    Returns:
        One row per population and class: the columns of ``by``, ``class``, ``networks``, ``mean``
        ``sd`` (of a sample, n - 1), and the 95 % interval of the mean over networks, ``low`` and
        ``high`` (Student's t, within 0 and 1). These three are NaN of one network.

    Raises:
        ConfigError: a network occurs twice in a population, or a column is missing.

    >>> two = pd.DataFrame({"layer": "a", "class": "opponent", "seed": [0, 1], "fraction": [0, 1]})
    >>> over_seeds(two).round(3).values.tolist()
    [['a', 'opponent', 2, 0.5, 0.707, 0.0, 1.0]]
    """
    keys = [*by, "class"]
    missing = {*keys, seed, "fraction"} - set(fractions.columns)
    if missing:
        raise ConfigError(f"fractions: the table has no column {', '.join(sorted(missing))}")
    if fractions.duplicated([*keys, seed]).any():
        raise ConfigError(
            f"fractions: a {seed} occurs more than once in a population; name what differs in by"
        )
    grouped = fractions.groupby(keys, sort=False)["fraction"]
    found = grouped.agg(networks="size", mean="mean", sd="std").reset_index()
    networks = found["networks"].to_numpy(dtype=float)
    with np.errstate(invalid="ignore"):
        half = stdtrit(networks - 1, 0.975) * found["sd"] / np.sqrt(networks)
    ends = {"low": found["mean"] - half, "high": found["mean"] + half}
    return found.assign(**{name: end.clip(0, 1) for name, end in ends.items()})


def _extremes(
    responses: Float[np.ndarray, "units hues"], numbers: Sequence[int], seed: Sequence[int]
) -> Int[np.ndarray, " units"]:
    """Return the index of the highest response of each unit; equal ones are drawn from."""
    equal = responses == responses.max(axis=1, keepdims=True)
    at = equal.argmax(axis=1)
    for row in np.flatnonzero(equal.sum(axis=1) > 1).tolist():
        rng = np.random.default_rng([*seed, numbers[row]])
        at[row] = rng.choice(np.flatnonzero(equal[row]))
    return at.astype(np.int64)
