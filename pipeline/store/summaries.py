"""What a result holds, in a few lines, for a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

LONGEST = 88  # characters of a value that is shown as it is


def short_repr(self: Any) -> str:
    """Return the name of a result's class, and a line for each of its fields.

    Arrays and tensors are shown by type and shape, tables by size and columns.

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> @dataclass
    ... class Found:
    ...     images: np.ndarray
    ...     __repr__ = short_repr
    >>> Found(np.zeros((2, 3)))
    Found
      images: float64 [2, 3]
    """
    lines = [f"  {each.name}: {_shown(getattr(self, each.name))}" for each in fields(self)]
    return "\n".join([type(self).__name__, *lines])


def shape(array: Any) -> str:
    """Return the type and the shape of an array or a tensor."""
    kind = str(array.dtype).removeprefix("torch.")
    return f"{kind} [{', '.join(map(str, array.shape))}]"


def _shown(value: Any) -> str:
    if hasattr(value, "iloc"):
        return f"{len(value)} rows of {', '.join(map(str, value.columns))}"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return shape(value)
    if isinstance(value, Mapping):
        return f"for {', '.join(map(str, value))}" if value else "none"
    text = repr(value)
    if len(text) <= LONGEST and "\n" not in text:
        return text
    return f"{len(value)} of them" if hasattr(value, "__len__") else type(value).__name__
