"""Selecting units in a notebook."""

from __future__ import annotations

from typing import Any

from pipeline.errors import ConfigError
from pipeline.networks.layers import Layer
from pipeline.networks.units.selection import select_units


def chosen_units(units: Any, layer: Layer) -> list[int]:
    """Return unit numbers in the order in which they are given.

    Args:
        units: ``all``, a number, a range such as ``0:64``, a list, an array or a tensor.
        layer: layer of the units.

    Raises:
        ConfigError: a unit is named twice, or is beyond the layer's last.
    """
    given = units.tolist() if hasattr(units, "tolist") else units
    if not isinstance(given, list | tuple | range):
        return select_units(given, layer)
    numbers = list(given)
    known = select_units(numbers, layer)
    if len(known) < len(numbers):
        raise ConfigError(f"units: {numbers} names a unit twice")
    return numbers


def checked_count(key: str, count: int) -> int:
    """Return a number that must be positive.

    Raises:
        ConfigError: it is not.
    """
    if count < 1:
        raise ConfigError(f"{key}: {count} is not positive; use 1 or more")
    return count
