"""The arrays of a readout: from a file or from a notebook, under the names that are in use."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import ConfigError, first_line, nearest

log = logging.getLogger(__name__)
SUFFIXES = (".safetensors", ".npz")
Names = Mapping[str, tuple[str, ...]]  # the names in use of each array, by what it is


def read_arrays(
    key: str,
    weights: str | Path | Mapping[str, Any],
    names: Names,
    unused: tuple[str, ...] = (),
    beside: Mapping[str, tuple[str, str]] | None = None,
) -> dict[str, Tensor]:
    """Return arrays by what they are, as float32 tensors.

    No pickle is executed.

    Args:
        key: the readout, for messages.
        weights: path of a ``.safetensors`` or ``.npz`` file, or arrays and tensors by name.
        names: the names of each array, by what it is.
        unused: other names that are passed over.
        beside: by a name, another name, beside which it is something else, and what it is there.

    Raises:
        ConfigError: the file cannot be read, or an array is unknown, given twice, or not finite.
    """
    path = None if isinstance(weights, Mapping) else Path(weights).expanduser()
    given = weights if isinstance(weights, Mapping) else _read(key, Path(weights).expanduser())
    place = "" if path is None else f" of '{path.name}'"
    found: dict[str, Tensor] = {}
    meanings = {name: meaning for meaning, known in names.items() for name in known}
    for name, (other, meaning) in (beside or {}).items():
        if other in given:
            meanings[name] = meaning
    for name, value in given.items():
        if name in unused:
            continue
        if name not in meanings:
            raise ConfigError(
                f"readout.{key}.weights: '{name}'{place} is not known; the names are"
                f" {', '.join(meanings)}{nearest(str(name), meanings)}; rename it, or leave it out"
            )
        meaning = meanings[name]
        if meaning in found:
            raise ConfigError(
                f"readout.{key}.weights: '{name}'{place} is the {meaning} a second time; leave one"
                " out"
            )
        found[meaning] = _tensor(key, str(name), value)
    taken = [f"'{name}' is the {meanings[name]}" for name in given if name in meanings]
    if any(name not in unused and name != meanings[name] for name in given):
        left = [f"'{name}' is not used" for name in given if name in unused]
        where = "" if path is None else f" in '{path.name}',"
        log.info("readout.%s:%s %s", key, where, ", ".join(taken + left))
    return found


def _read(key: str, path: Path) -> Mapping[str, Any]:
    if path.suffix not in SUFFIXES:
        raise ConfigError(
            f"readout.{key}.weights: '{path}' is no file ending in {' or '.join(SUFFIXES)}; save"
            " its arrays as one"
        )
    if not path.is_file():
        raise ConfigError(f"readout.{key}.weights: there is no file '{path}'; give the path of one")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        from safetensors.torch import load_file

        return load_file(path)
    except Exception as error:  # damaged files may raise anything
        raise ConfigError(
            f"readout.{key}.weights: '{path}' cannot be read ({first_line(error)}); save it again"
        ) from error


def _tensor(key: str, name: str, value: Any) -> Tensor:
    try:
        given = torch.as_tensor(value).detach()
        if given.is_complex():
            raise TypeError("it is complex")
        tensor = given.to("cpu", torch.float32, copy=True).contiguous()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"readout.{key}.weights: '{name}' is no array of numbers ({first_line(error)})"
        ) from error
    if not bool(tensor.isfinite().all()):
        raise ConfigError(
            f"readout.{key}.weights: '{name}' holds NaN or infinite numbers; give finite ones"
        )
    return tensor
