"""Reading checkpoints of training scripts without running any code in them.

PyTorch's restricted reader rejects a whole file because of one object that is not a tensor, such as
the arguments of the script. Here, such objects are read as inert placeholders: only functions on
PyTorch's own list of tensor constructors are imported or called.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import safe_globals

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".pth.tar", ".bin")
StateDict = dict[str, Tensor]

_UNKNOWN = re.compile(r"GLOBAL (\S+) was not an allowed global")
_MOST_UNKNOWN = 200  # kinds of objects in one file
_DEEPEST = 3  # dictionaries around a state_dict


class CheckpointError(Exception):
    """An intact file does not contain usable weights; the message says what to do."""


def read_checkpoint(path: Path) -> dict[str, StateDict]:
    """Return the dictionaries of tensors in a file, by the keys that lead to them.

    A file that contains only tensors has a single one, under an empty key.

    Raises:
        CheckpointError: it holds a program, not weights.
        Exception: of any kind, if the file is damaged or of another format.
    """
    if path.suffix == ".safetensors":
        tensors = load_file(path)
        return {"": tensors} if tensors else {}
    if _is_torchscript(path):
        raise CheckpointError(
            "it is a TorchScript archive; save the state_dict of the Python module instead"
        )
    loaded = _load(path)
    if isinstance(loaded, _Inert):
        raise CheckpointError(
            f"it holds a whole {loaded.kind}, which only its code could read; save its state_dict"
        )
    return dict(_state_dicts(loaded, (), _DEEPEST))


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _load(path: Path) -> Any:
    placeholders: list[tuple[type[_Inert], str]] = []
    while True:
        try:
            with safe_globals(placeholders):  # type: ignore[arg-type]
                return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            unknown = _UNKNOWN.search(str(error))
            name = unknown[1] if unknown and len(placeholders) < 2 * _MOST_UNKNOWN else None
            if name is None or any(name == known for _, known in placeholders):
                # PyTorch's own message advises running the code in the file.
                raise ValueError("it contains objects other than tensors") from error
            inert = type("Inert", (_Inert,), {"kind": name})
            placeholders += [(inert, name), (inert, f"builtins.{name}")]


class _Inert:
    """A placeholder for an object of a checkpoint: accepts any arguments and does nothing."""

    kind = "object"

    def __new__(cls, *_: Any, **__: Any) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _state: Any) -> None: ...

    def __setitem__(self, _key: Any, _value: Any) -> None: ...

    def append(self, _value: Any) -> None:
        """Accept another element."""

    extend = append


def _state_dicts(found: Any, keys: tuple[str, ...], deeper: int) -> Iterator[tuple[str, StateDict]]:
    if not isinstance(found, Mapping):
        return
    tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    if tensors:
        yield ".".join(keys), tensors
    for name, value in found.items() if deeper else ():
        yield from _state_dicts(value, (*keys, str(name)), deeper - 1)
