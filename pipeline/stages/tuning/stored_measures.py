"""Measures of some units as arrays and notes of the store, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.analysis.tuning.measured import Measured
from pipeline.search.tuning.measurement import Measures
from pipeline.search.tuning.shown import Curve

# Raised when properties are measured otherwise, or stored in other arrays: then those in the store
# are made again, from the same responses.
VERSION = 2
ENDS = ("low", "high")


def arrays_of(found: Sequence[Measures]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return arrays [properties, units], and notes that name their rows and the flags."""
    measured = [one for each in found for one in each.properties]
    flags = [one.flag.tolist() for one in measured]
    texts = sorted({text for row in flags for text in row})
    code = {text: number for number, text in enumerate(texts)}
    missing = np.full(len(measured[0].value), np.nan)
    arrays = {
        "value": np.stack([one.value for one in measured]),
        "studied": np.stack([one.studied for one in measured]),
        "flag": np.array([[code[text] for text in row] for row in flags], dtype=np.int32),
    }
    for end in ENDS:
        of_each = [getattr(one, end) for one in measured]
        arrays[end] = np.stack([missing if values is None else values for values in of_each])
    drawn = [one.low is not None for one in measured]
    notes: dict[str, Any] = {"flags": texts, "parts": [], "drawn": drawn}
    for number, each in enumerate(found):
        for curve in each.curves:
            arrays[f"x-{number}-{curve.name}"] = curve.x
            arrays[f"rates-{number}-{curve.name}"] = curve.rates
        notes["parts"].append(
            {
                "at": each.at,
                "rate_map": each.rate_map,
                "properties": [one.name for one in each.properties],
                "curves": [curve.name for curve in each.curves],
            }
        )
    return arrays, notes


def measures_of(arrays: Mapping[str, np.ndarray], notes: Mapping[str, Any]) -> list[Measures]:
    """Return the measures that arrays and notes hold."""
    texts, row = np.array(notes["flags"], dtype=object), 0
    found: list[Measures] = []
    for number, part in enumerate(notes["parts"]):
        properties: list[Measured] = []
        for name in part["properties"]:
            ends = [arrays[end][row] if notes["drawn"][row] else None for end in ENDS]
            flag = texts[arrays["flag"][row]]
            properties.append(
                Measured(name, arrays["value"][row], flag, arrays["studied"][row], *ends)
            )
            row += 1
        curves = [
            Curve(name, arrays[f"x-{number}-{name}"], arrays[f"rates-{number}-{name}"])
            for name in part["curves"]
        ]
        found.append(Measures(part["at"], part["rate_map"], properties, curves))
    return found
