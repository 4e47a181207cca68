"""A measured property: one value per unit, with the reason where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from pipeline.analysis.tuning.properties import PROPERTIES
from pipeline.errors import ConfigError, nearest

COLUMNS = ("layer", "unit", "property", "value", "low", "high", "flag", "unit_of_measure")
SILENT = "the unit does not respond"
FLAT = "responses do not differ"
NOT_FINITE = "responses are not finite"


@dataclass(frozen=True, eq=False)
class Measured:
    """A property of many units.

    Attributes:
        name: one of ``properties.PROPERTIES``.
        value: of each unit, NaN where it is undefined.
        flag: of each unit why the value is NaN, or what to know about it (an optimum at the edge of
            the grid); an empty string if there is nothing to say.
        studied: whether the unit counts in a population. Units that do not respond are not studied,
            as cells that do not respond are not; units in which a property is undefined are.
        low: lower end of the interval of each unit, from ``intervals``.
        high: upper end likewise.

    Raises:
        ConfigError: there is no property of this name.
    """

    name: str
    value: Float[np.ndarray, " units"]
    flag: np.ndarray
    studied: Bool[np.ndarray, " units"]
    low: Float[np.ndarray, " units"] | None = None
    high: Float[np.ndarray, " units"] | None = None

    def __post_init__(self) -> None:
        if self.name not in PROPERTIES:
            raise ConfigError(
                f"property: there is no {self.name!r}{nearest(self.name, PROPERTIES)}; all are in"
                " pipeline.analysis.tuning.properties"
            )


def finite_units(*responses: Float[np.ndarray, "units *_"]) -> Bool[np.ndarray, " units"]:
    """Return in which units all responses are finite.

    >>> finite_units(np.array([[1.0, np.nan], [1.0, 2.0]]), np.array([0.0, 1.0]))
    array([False,  True])
    """
    finite = [np.isfinite(one).reshape(len(one), -1).min(axis=1) for one in responses]
    return np.min(finite, axis=0)


def flags(count: int, *conditions: tuple[Bool[np.ndarray, " units"], str]) -> np.ndarray:
    """Return the text of the first condition that is true of each unit, or an empty string.

    >>> flags(2, (np.array([True, False]), "dead"), (np.array([True, True]), "flat")).tolist()
    ['dead', 'flat']
    """
    text = np.full(count, "", dtype=object)
    for condition, words in reversed(conditions):
        text[condition] = words
    return text


def with_flag(flag: np.ndarray, condition: Bool[np.ndarray, " units"], words: str) -> np.ndarray:
    """Return flags with more words where a condition is true, after what is said already.

    >>> with_flag(np.array(["a", ""], dtype=object), np.array([True, True]), "b").tolist()
    ['a; b', 'b']
    """
    return np.array(
        [f"{old}; {words}" if old and new else words if new else old
         for old, new in zip(flag.tolist(), condition.tolist(), strict=True)],
        dtype=object,
    )  # fmt: skip


def long_table(
    measured: Iterable[Measured],
    layer: str,
    units: Sequence[int],
    px_per_deg: float | None = None,
) -> pd.DataFrame:
    """Return one row per unit and property.

    Args:
        measured: properties of the same units.
        layer: name of their layer.
        units: their numbers.
        px_per_deg: pixels per degree of the visual field, to add sizes in pixels.

    Returns:
        ``layer``, ``unit``, ``property``, ``value``, ``low`` and ``high`` (NaN without interval),
        ``flag`` and ``unit_of_measure``. With ``px_per_deg`` also ``value_px``: sizes (deg) in
        pixels, areas (deg²) in square pixels, spatial frequencies (c/deg) in cycles per pixel, and
        NaN of other properties.

    >>> size = Measured("summation_field", np.array([1.5]), np.array([""]), np.array([True]))
    >>> table = long_table([size], "conv1", [7], px_per_deg=28.0)
    >>> table[["unit", "property", "value", "unit_of_measure", "value_px"]].values.tolist()
    [[7, 'summation_field', 1.5, 'deg', 42.0]]
    """
    found = list(measured)
    if not found:
        return pd.DataFrame(columns=[*COLUMNS] + (["value_px"] if px_per_deg is not None else []))
    missing = np.full(len(units), np.nan)
    measures = [PROPERTIES[one.name].unit_of_measure for one in found]
    value = np.concatenate([one.value for one in found])
    table = pd.DataFrame(
        {
            "layer": layer,
            "unit": np.tile(np.asarray(units, dtype=np.int64), len(found)),
            "property": np.repeat([one.name for one in found], len(units)),
            "value": value,
            "low": np.concatenate([missing if one.low is None else one.low for one in found]),
            "high": np.concatenate([missing if one.high is None else one.high for one in found]),
            "flag": np.concatenate([one.flag for one in found]),
            "unit_of_measure": np.repeat(measures, len(units)),
        }
    )
    if px_per_deg is None:
        return table
    scale = {"deg": px_per_deg, "deg²": px_per_deg**2, "c/deg": 1 / px_per_deg}
    per_property = [scale.get(measure, np.nan) for measure in measures]
    return table.assign(value_px=value * np.repeat(per_property, len(units)))
