"""A digest of a network's computation: its traced operations with their arguments.

Weights alone do not identify a network: max pooling and average pooling have none. The graph itself
is digested, not its Python source, so that edits change the digest exactly if they change the
computation.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from pipeline.networks.graph.opaque import Opaque
from pipeline.store.code import PACKAGE, code_digest

_LIBRARIES = sys.stdlib_module_names | {"torch", "torchvision", "numpy"}
# Only these attributes of a module take part in its forward pass.
_KEPT = {"_parameters", "_buffers", "_forward_hooks", "_forward_pre_hooks"}
_COMPILATION = {"_is_torch_compile", "_compile_kwargs", "_compiled_call_impl"}
_IDLE = (set(vars(nn.Module())) - _KEPT) | _COMPILATION


def graph_digest(traced: fx.GraphModule, module: nn.Module) -> str:
    """Return the SHA-256 of a traced network's computation, without its weights.

    Args:
        traced: the graph.
        module: the network from which it was traced; its weights have a separate digest.

    Raises:
        ConfigError: the code of an untraced part cannot be found.
    """
    weights = {id(tensor): name for name, tensor in module.state_dict(keep_vars=True).items()}
    describe = _Describer(weights)
    digest = hashlib.sha256()
    numbers: dict[fx.Node, int] = {}
    for number, node in enumerate(traced.graph.nodes):
        numbers[node] = number
        arguments = fx.map_arg((node.args, node.kwargs), lambda other: f"%{numbers[other]}")
        lines = [node.op, *describe(_called(traced, node)), *describe(arguments)]
        digest.update("\n".join(lines).encode())
    return digest.hexdigest()


def _called(traced: fx.GraphModule, node: fx.Node) -> Any:
    """Return the function, module or attribute that a node uses."""
    if node.op == "call_module":
        return traced.get_submodule(str(node.target))
    if node.op == "get_attr":
        owner, _, name = str(node.target).rpartition(".")
        return getattr(traced.get_submodule(owner), name)
    return node.target if node.op in ("call_function", "call_method") else None


def _held(value: Any) -> Any:
    """Return the data that an object, function or module uses besides its code."""
    match value:
        case partial():
            return [value.func, value.args, value.keywords]
        case MethodType():
            return [value.__func__, value.__self__]
        case FunctionType():
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            return [value.__defaults__, value.__kwdefaults__, cells]
        case np.ndarray():
            return [value.shape, str(value.dtype), np.ascontiguousarray(value).tobytes()]
        case Opaque():
            return [value.name, value.call, value.network]
        case nn.Module():
            kept = {key: part for key, part in vars(value).items() if key not in _IDLE}
            hooks = [
                list(kept.pop(key).values()) for key in ("_forward_hooks", "_forward_pre_hooks")
            ]
            return [kept, hooks, dict(value.named_children())]
        case _ if isinstance(value, type):
            return None
        case _:
            slots = [
                name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())
            ]
            held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
            return held | getattr(value, "__dict__", {})


class _Describer:
    """Yields lines that describe a value and, without addresses, are equal in every process."""

    def __init__(self, weights: Mapping[int, str]) -> None:
        self.weights = weights
        self.seen: dict[int, tuple[int, Any]] = {}  # kept alive, so that no address is reused
        self.code: dict[str, str] = {}

    def __call__(self, value: Any) -> Iterator[str]:
        if value is None or isinstance(value, int | float | complex | str | bytes):
            yield repr(value)
        elif isinstance(value, Tensor):
            yield from self._tensor(value)
        elif isinstance(value, torch.dtype | torch.device | torch.memory_format | torch.layout):
            yield str(value)
        elif isinstance(value, Mapping):
            for key in sorted(value, key=str):
                yield from self(key)
                yield from self(value[key])
        elif isinstance(value, Sequence | Set):
            items = value if isinstance(value, Sequence) else sorted(value, key=str)
            yield f"{type(value).__name__} of {len(items)}"
            for item in items:
                yield from self(item)
        elif isinstance(value, slice):
            yield from self((value.start, value.stop, value.step))
        else:
            yield from self._object(value)

    def _tensor(self, tensor: Tensor) -> Iterator[str]:
        yield f"tensor {tuple(tensor.shape)} {tensor.dtype}"
        if id(tensor) in self.weights:
            yield self.weights[id(tensor)]
        elif not tensor.is_meta:
            content = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
            yield hashlib.sha256(content.numpy().tobytes()).hexdigest()

    def _object(self, value: Any) -> Iterator[str]:
        schema = getattr(value, "_schema", None)
        if schema is not None:  # an operator
            yield str(schema)
        elif id(value) in self.seen:
            yield f"number {self.seen[id(value)][0]}"
        else:
            self.seen[id(value)] = len(self.seen), value
            yield from self._named(value if hasattr(value, "__qualname__") else type(value))
            yield from self(_held(value))

    def _named(self, kind: Any) -> Iterator[str]:
        """Yield the name of a class or function, and its code digest unless it is from a library.

        Library functions are identified by name alone.
        """
        module = str(getattr(kind, "__module__", "") or "")
        name = f"{module}.{kind.__qualname__}"
        yield name
        top = module.partition(".")[0]
        if top not in _LIBRARIES and not name.startswith(PACKAGE) and module:
            if module not in self.code:
                self.code[module] = code_digest([name])
            yield self.code[module]
