"""Selecting units of a layer."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import ConfigError
from pipeline.networks.layers import Layer


def parse_units(selection: object) -> slice | list[int] | None:
    """Read a selection of units: ``all``, a list of numbers, one number, or ``a:b``.

    Returns:
        ``None`` for all units, a slice or a sorted list without repeats otherwise.

    Raises:
        ConfigError: the selection is none of these.
    """
    message = f"units: {selection!r} is not 'all', a number, a list of numbers or a range like 0:64"
    if selection == "all":
        return None
    if isinstance(selection, str) and ":" in selection:
        try:
            bounds = [int(part) if part.strip() else None for part in selection.split(":")]
        except ValueError:
            raise ConfigError(message) from None
        if len(bounds) != 2 or any(bound is not None and bound < 0 for bound in bounds):
            raise ConfigError(message)
        return slice(*bounds)
    numbers = list(selection) if isinstance(selection, Sequence) else [selection]
    if isinstance(selection, str) and selection.isdecimal():
        numbers = [int(selection)]
    valid = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers)
    if not numbers or not valid:
        raise ConfigError(message)
    return sorted({n for n in numbers if isinstance(n, int)})


def select_units(selection: object, layer: Layer) -> list[int]:
    """Return the unit numbers of a selection in one layer.

    Raises:
        ConfigError: a unit is beyond the layer's last, or none is left.
    """
    parsed = parse_units(selection)
    if parsed is None:
        return list(range(layer.units))
    last = layer.units - 1
    if isinstance(parsed, slice):
        beyond = (parsed.stop or 0) > layer.units or (parsed.start or 0) > last
        units = list(range(layer.units))[parsed]
        if not units and not beyond:
            raise ConfigError(f"units: {selection!r} selects no unit; use a range like 0:64")
    else:
        beyond = parsed[-1] > last
        units = parsed
    if beyond:
        raise ConfigError(
            f"units: {selection!r} goes beyond {layer.name}, which has units 0 to {last}"
        )
    return units
