"""The call and the output of a traced node."""

from __future__ import annotations

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn


def traced_shape(node: Any) -> tuple[int, ...]:
    """Return the traced shape of a node's output; empty unless it is a single tensor."""
    return tuple(getattr(getattr(node, "meta", {}).get("tensor_meta"), "shape", ()))


APPENDED = "appended"  # marks nodes that read the network and are no part of it


def is_appended(node: fx.Node) -> bool:
    """Return whether a node was appended to the network's own, as those of readouts are."""
    return APPENDED in node.meta


def network_nodes(graph: fx.Graph) -> list[fx.Node]:
    """Return the nodes of the network itself, in call order."""
    return [node for node in graph.nodes if not is_appended(node)]


def network_users(node: fx.Node) -> list[fx.Node]:
    """Return the nodes of the network itself that read a node."""
    return [user for user in node.users if not is_appended(user)]


def module_calls(node: fx.Node) -> list[tuple[str, int]]:
    """Return the calls of modules that contain a node or are it, from the outermost.

    PyTorch records them with the number of the call after an ``@``, from the second call on.
    """
    stack = node.meta.get("nn_module_stack") or {}
    calls = [(str(entry[0]), _number(str(key))) for key, entry in stack.items()]
    if not calls and node.op == "call_module":  # opaque
        calls = [(str(node.target).partition("@")[0], _number(str(node.target)))]
    return calls


def _number(key: str) -> int:
    number = key.rpartition("@")[2]
    return int(number) if "@" in key and number.isdecimal() else 0


def operation_name(node: fx.Node) -> str:
    """Return the plain name of the function or method that a node calls.

    The trailing underscore of in-place forms and the overload of torch.export's operators are
    removed.
    """
    schema = getattr(node.target, "_schema", None)
    if schema is not None:
        return str(schema.name).split("::")[-1].rstrip("_")
    return str(getattr(node.target, "__name__", node.target)).rstrip("_")


def overwrites(node: fx.Node, module: nn.Module | None) -> bool:
    """Return whether an operation overwrites its first input with the result."""
    if node.op == "call_module":  # dropout does nothing in eval mode
        inplace = getattr(module, "inplace", False)
        return bool(inplace) and not isinstance(module, nn.Dropout | nn.Dropout2d)
    schema = getattr(node.target, "_schema", None)
    name = schema.name if schema is not None else getattr(node.target, "__name__", node.target)
    is_operator = getattr(node.target, "__module__", "") == "_operator"
    return (
        bool(node.kwargs.get("inplace", False))
        or (str(name).endswith("_") and not str(name).endswith("__"))
        or (is_operator and str(name) in _OVERWRITING_OPERATORS)
    )


_OVERWRITING_OPERATORS = ("iadd", "isub", "imul", "itruediv", "ipow")


def not_overwriting(target: Any) -> Any:
    """Return the equivalent function or method that does not overwrite its input."""
    schema = getattr(target, "_schema", None)
    if schema is not None:
        packet = getattr(torch.ops.aten, schema.name.split("::")[-1].rstrip("_"))
        return getattr(packet, schema.overload_name or "default")
    name = str(getattr(target, "__name__", target))
    if not callable(target):
        return name.rstrip("_")
    if getattr(target, "__module__", "") == "_operator":
        return getattr(operator, name.removeprefix("i"))
    plain = name.rstrip("_")
    return getattr(torch, plain, None) or getattr(F, plain) if name.endswith("_") else target
