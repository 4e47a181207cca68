"""A description of values in lines of text that are equal in every process.

It contains no addresses and no paths. Functions and classes of PyTorch, torchvision, NumPy and the
standard library are known by name. Those of a user are known by the contents of their files, and by
what they use besides: defaults, closures, and data, functions and classes in global variables.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.networks.graph.exporting import HOOKS
from pipeline.networks.graph.opaque import Opaque
from pipeline.store.code import code_digest
from pipeline.store.modules import is_library

_OPERATORS = {"aten", "prim", "prims", "torchvision"}  # namespaces of PyTorch's operators
# Attributes of every module that take no part in a forward or backward pass.
_KEPT = {"_parameters", "_buffers", "training", *HOOKS}
_COMPILATION = {"_is_torch_compile", "_compile_kwargs", "_compiled_call_impl"}
_IDLE = (set(vars(nn.Module())) - _KEPT) | _COMPILATION
_SIMPLE = (int, float, complex, str, bytes)
_NAMED = (torch.dtype, torch.memory_format, torch.layout)
_DATA = (
    *_SIMPLE, *_NAMED, Tensor, np.ndarray, slice, partial, nn.Module,
    FunctionType, BuiltinFunctionType, MethodType, type,
)  # fmt: skip


class Describer:
    """Yields lines that describe a value.

    Args:
        weights: numbers of tensors that are not described by their contents, by ``id``.

    Attributes:
        own_code: digests of the code of a user that was met, by module.
    """

    def __init__(self, weights: Mapping[int, int]) -> None:
        self.weights = weights
        self.seen: dict[int, tuple[int, Any]] = {}  # kept alive, so that no address is reused
        self.own_code: dict[str, str] = {}

    def __call__(self, value: Any) -> Iterator[str]:
        """Yield the description of a value.

        Raises:
            ConfigError: it uses code that cannot be found.
        """
        if value is None or isinstance(value, _SIMPLE):
            yield repr(value)
        elif isinstance(value, Tensor):
            yield from self._tensor(value)
        elif isinstance(value, _NAMED):
            yield str(value)
        elif isinstance(value, torch.device):
            yield "device"  # the same network runs on any
        elif isinstance(value, Mapping):
            yield f"mapping of {len(value)}"
            for key, part in value.items():
                yield from self(key)
                yield from self(part)
        elif isinstance(value, Set):
            yield f"set of {len(value)}"
            yield from sorted("\n".join(self(item)) for item in value)
        elif isinstance(value, Sequence):
            yield f"sequence of {len(value)}"
            for item in value:
                yield from self(item)
        else:
            yield from self._object(value)

    def _tensor(self, tensor: Tensor) -> Iterator[str]:
        yield f"tensor {tuple(tensor.shape)} {tensor.dtype}"
        if id(tensor) in self.weights:
            yield f"weight {self.weights[id(tensor)]}"
        elif not tensor.is_meta:
            content = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
            yield hashlib.sha256(content.numpy().tobytes()).hexdigest()

    def _object(self, value: Any) -> Iterator[str]:
        schema = getattr(value, "_schema", None)
        if schema is not None:
            yield from self._operator(schema)
        elif id(value) in self.seen:
            yield f"number {self.seen[id(value)][0]}"
        else:
            self.seen[id(value)] = len(self.seen), value
            yield from self._named(value if hasattr(value, "__qualname__") else type(value))
            yield from self(_held(value))

    def _operator(self, schema: Any) -> Iterator[str]:
        yield f"{schema.name}.{schema.overload_name}"
        namespace = str(schema.name).partition("::")[0]
        if namespace not in _OPERATORS:  # its code is that of the network
            self.own_code.setdefault(namespace, "")

    def _named(self, kind: Any) -> Iterator[str]:
        """Yield the name of a class or function, and the digest of its code if it is a user's."""
        module = _home(kind)
        if is_library(module):
            yield f"{module}.{kind.__qualname__}"
            bases = kind.__mro__[1:] if isinstance(kind, type) else ()
            for base in bases:  # a class that PyTorch derives from a user's
                if not is_library(_home(base)):
                    yield from self(base)
            return
        yield kind.__qualname__
        if module not in self.own_code:
            self.own_code[module] = code_digest([f"{module}.{kind.__qualname__}"])
        yield self.own_code[module]
        if isinstance(kind, type):
            yield from self(_members(kind))


def _home(kind: Any) -> str:
    """Return the module of a class or function, and not the one of which it is a wrapper."""
    if isinstance(kind, FunctionType):
        # Code without a module has no file, under whatever name.
        return str(kind.__globals__.get("__name__") or "__main__")
    return str(getattr(kind, "__module__", "") or "")


def _members(kind: type) -> list[Any]:
    """Return the bases of a user's class, and its methods and attributes, wherever they are from.

    Methods may have been replaced by code that its file does not import.
    """
    found: dict[str, Any] = {}
    for name, member in sorted(vars(kind).items()):
        bare = getattr(member, "__func__", getattr(member, "fget", member))
        written = isinstance(bare, FunctionType) or not name.startswith("__")
        if written and _is_data(bare):
            found[name] = bare
    return [kind.__mro__[1:], found]


def _is_data(value: Any) -> bool:
    """Return whether a value can be described in the same way in every process."""
    if isinstance(value, str):
        return not os.path.isabs(value)  # noqa: PTH117 - a folder is another elsewhere
    if isinstance(value, Mapping):
        return all(map(_is_data, (*value, *value.values())))
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_data, value))
    return value is None or isinstance(value, _DATA)


def _held(value: Any) -> Any:
    """Return the data that an object, function or module uses besides its code."""
    match value:
        case partial():
            return [value.func, value.args, value.keywords]
        case MethodType():
            return [value.__func__, value.__self__]
        case FunctionType():
            return _held_by_function(value)
        case slice():
            return [value.start, value.stop, value.step]
        case np.ndarray():
            return [value.shape, str(value.dtype), np.ascontiguousarray(value).tobytes()]
        case Opaque():
            return [value.name, value.call, value.network]
        case nn.Module():
            return _held_by_module(value)
        case ModuleType():
            return None
        case _ if isinstance(value, type):
            return None
        case _:
            slots = [
                name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())
            ]
            held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
            return held | dict(sorted(getattr(value, "__dict__", {}).items()))


def _held_by_module(module: nn.Module) -> list[Any]:
    kept = {key: part for key, part in vars(module).items() if key not in _IDLE}
    hooks = [list(kept.pop(key).values()) for key in HOOKS]
    if is_library(type(module).__module__):
        # Private attributes follow from the others, and differ between versions of PyTorch.
        kept = {k: v for k, v in kept.items() if not k.startswith("_") or k in _KEPT}
        # Weights that PyTorch's own hooks compute in every forward pass.
        for hook in hooks[1]:
            kept.pop(str(getattr(hook, "name", getattr(hook, "_tensor_name", ""))), None)
    return [dict(sorted(kept.items())), hooks, dict(module.named_children())]


def _held_by_function(function: FunctionType) -> list[Any]:
    if is_library(_home(function)) and "<locals>" not in function.__qualname__:
        return []
    cells: list[Any] = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # not assigned yet
            cells.append(None)
    held = [function.__defaults__, function.__kwdefaults__, cells]
    return held if is_library(_home(function)) else [*held, _global_data(function)]


def _global_data(function: FunctionType) -> dict[str, Any]:
    """Return the data, functions and classes that a user's function reads in global variables.

    The values count, as a configuration or the environment may have set them.
    """
    names = sorted(set(_names(function.__code__)))
    found: dict[str, Any] = {}
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType) and not is_library(value.__name__):
            found |= {f"{name}.{part}": vars(value)[part] for part in names if part in vars(value)}
        elif name in function.__globals__:
            found[name] = value
    return {k: v for k, v in found.items() if "__" not in k and _is_data(v)}


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
