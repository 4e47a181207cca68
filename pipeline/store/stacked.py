"""An array stored in several files, of which only the requested parts are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open


class StackedArray:
    """Arrays of several files, concatenated along the first axis, as one memory-mapped array.

    Slices only read their rows; ``numpy.asarray`` reads everything.

    Args:
        paths: paths of the files, in order.
        name: name of the array in each file.

    Attributes:
        shape: shape of the whole array.
        dtype: data type of the array.
    """

    def __init__(self, paths: Sequence[Path], name: str) -> None:
        self._paths, self._name = list(paths), name
        lengths: list[int] = []
        shape: list[int] = []
        for path in self._paths:
            with safe_open(path, framework="numpy") as file:
                shape = list(file.get_slice(name).get_shape())
            lengths.append(shape[0])
        self._starts = np.cumsum([0, *lengths])
        self.shape = (int(self._starts[-1]), *shape[1:])
        self.dtype = self._rows(0, 0, 1).dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"StackedArray({' x '.join(map(str, self.shape))}, {self.dtype})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        del copy  # reading from files always makes a copy
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype)

    def __getitem__(self, key: Any) -> Any:
        """Return rows, indexed by the rest of the key as in NumPy."""
        rows, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        if rows is Ellipsis:
            rows, rest = slice(None), (Ellipsis, *rest)
        if isinstance(rows, int | np.integer):
            wanted = range(len(self))[rows]
            return self._read(np.array([wanted]))[0][rest]
        if isinstance(rows, slice):
            numbers = np.arange(len(self))[rows]
        else:
            numbers = np.arange(len(self))[np.asarray(rows)]
        found = self._read(numbers)
        return found[(slice(None), *rest)] if rest and rest[0] is not Ellipsis else found[rest]

    def _read(self, numbers: np.ndarray) -> np.ndarray:
        found = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        for at in range(len(self._paths)):
            own = (numbers >= self._starts[at]) & (numbers < self._starts[at + 1])
            if own.any():
                inner = numbers[own] - self._starts[at]
                first, last = int(inner.min()), int(inner.max())
                found[own] = self._rows(at, first, last + 1)[inner - first]
        return found

    def _rows(self, at: int, first: int, last: int) -> np.ndarray:
        with safe_open(self._paths[at], framework="numpy") as file:
            return np.asarray(file.get_slice(self._name)[first:last])
