"""What a traced node calls and gives."""

from __future__ import annotations

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn


def traced_shape(node: Any) -> tuple[int, ...]:
    """Return the shape of a node's output as traced; empty for what is not one tensor."""
    return tuple(getattr(getattr(node, "meta", {}).get("tensor_meta"), "shape", ()))


def operation_name(node: fx.Node) -> str:
    """Return the plain name of the function or method that a node calls.

    In-place forms lose their trailing underscore, operators of torch.export their overload.
    """
    schema = getattr(node.target, "_schema", None)
    if schema is not None:
        return str(schema.name).split("::")[-1].rstrip("_")
    return str(getattr(node.target, "__name__", node.target)).rstrip("_")


def overwrites(node: fx.Node, module: nn.Module | None) -> bool:
    """Say whether an operation writes its result over its first input."""
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
    """Return the function or method that computes the same and overwrites nothing."""
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
