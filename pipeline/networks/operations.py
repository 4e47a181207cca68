"""What each traced operation does in space: its spatial axes and its rule along each of them.

An operation that is not known here mixes everything: its receptive field is the whole input, which
is never too small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn
from torchvision.ops import Permute, StochasticDepth

from pipeline.networks.geometry import POINTWISE, Adaptive, Global, Rule, Window

Axes = tuple[int, int]  # which dimensions of a tensor are vertical and horizontal
Rules = tuple[Rule, Rule]
Placed = tuple[Axes | None, Rules]

POINTWISE_MODULES = (
    nn.BatchNorm2d,
    nn.Dropout,
    nn.Dropout2d,
    nn.ELU,
    nn.GELU,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Hardtanh,  # and ReLU6
    nn.Identity,
    nn.LeakyReLU,
    nn.Mish,
    nn.PReLU,
    nn.ReLU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Softplus,
    nn.Tanh,
    StochasticDepth,
)
# Functions and tensor methods that act on every position by itself, by their names without a
# trailing underscore (the in-place forms) or a leading i (the operators +=, *= ...).
_POINTWISE = """
    abs add clamp clone contiguous div dropout dropout2d elu exp float gelu hardsigmoid hardswish
    hardtanh leaky_relu mish mul neg pow relu relu6 sigmoid silu softplus sqrt stochastic_depth sub
    tanh to truediv
"""
POINTWISE_NAMES = frozenset(_POINTWISE.split())


def spatial_rules(
    node: fx.Node, module: nn.Module | None, axes_of: Mapping[fx.Node, Axes | None]
) -> Placed:
    """Return the spatial axes of a node's output and its vertical and horizontal rule.

    Args:
        node: a node with traced shapes.
        module: the module it calls, if it calls one.
        axes_of: the spatial axes of each of its inputs that depends on the image.
    """
    axes = next((found for found in axes_of.values() if found is not None), None)
    shape = _shape(node)
    if axes is None or any(other not in (axes, None) for other in axes_of.values()):
        return _mixed(module, shape)
    if module is not None:
        placed = _module_rules(module, axes, shape)
    else:
        placed = _function_rules(node, axes, shape)
    return placed or _mixed(module, shape)


# These make maps of channels, rows and columns, whatever was mixed before them.
_MAP_MODULES = (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)


def _mixed(module: nn.Module | None, shape: Sequence[int] | None) -> Placed:
    """Everything reaches everything; where the map lies is known of some modules only."""
    if isinstance(module, _MAP_MODULES) and shape is not None and len(shape) == 4:
        return (2, 3), (Global(shape[2]), Global(shape[3]))
    return None, (Global(), Global())


def _shape(node: fx.Node) -> Sequence[int] | None:
    shape = getattr(node.meta.get("tensor_meta"), "shape", None)
    return None if shape is None else tuple(shape)


def _pair(value: Any) -> tuple[Any, Any]:
    return (value[0], value[-1]) if isinstance(value, Sequence) else (value, value)


def _windows(
    kernel: Any, stride: Any, padding: Any, dilation: Any = 1, ceil: bool = False
) -> Rules:
    """Return both rules; ``padding`` is one number, a pair, or (left, right, top, bottom)."""
    if not isinstance(padding, Sequence) or len(padding) < 4:
        vertical, horizontal = _pair(padding)
        padding = (horizontal, horizontal, vertical, vertical)
    sides = ((padding[2], padding[3]), (padding[0], padding[1]))
    sizes = zip(_pair(kernel), _pair(stride), _pair(dilation), sides, strict=True)
    top, left = (Window(k, s, before, after, d, ceil) for k, s, d, (before, after) in sizes)
    return top, left


def _module_rules(module: nn.Module, axes: Axes, shape: Sequence[int] | None) -> Placed | None:
    if isinstance(module, Permute):
        return _permuted(axes, module.dims)
    last = len(shape) - 1 if shape else -1
    if isinstance(module, nn.Linear):
        apart = last not in axes
    elif isinstance(module, nn.LayerNorm):
        apart = max(axes) <= last - len(module.normalized_shape)
    else:
        apart = isinstance(module, POINTWISE_MODULES)
    if apart:
        return axes, (POINTWISE, POINTWISE)
    rules = _window_module_rules(module) if axes == (2, 3) else None
    return (axes, rules) if rules else None


def _window_module_rules(module: nn.Module) -> Rules | None:
    match module:
        case nn.Conv2d(padding_mode="zeros"):
            padding = module.padding
            if padding == "valid":
                padding = 0
            elif padding == "same":
                padding = _same_padding(module)
            return _windows(module.kernel_size, module.stride, padding, module.dilation)
        case nn.MaxPool2d():
            stride = module.stride or module.kernel_size
            arguments = (module.kernel_size, stride, module.padding, module.dilation)
            return _windows(*arguments, ceil=module.ceil_mode)
        case nn.AvgPool2d():
            stride = module.stride or module.kernel_size
            return _windows(module.kernel_size, stride, module.padding, ceil=module.ceil_mode)
        case nn.AdaptiveAvgPool2d() | nn.AdaptiveMaxPool2d():
            return _adaptive(module.output_size)
        case nn.ConstantPad2d() if min(module.padding) >= 0:  # and ZeroPad2d; not cropping
            return _windows(1, 1, module.padding)
        case _:
            return None


def _same_padding(module: nn.Conv2d) -> list[int]:
    """Return (left, right, top, bottom) of ``padding='same'``: the odd pixel goes to the end."""
    total = [d * (k - 1) for k, d in zip(module.kernel_size, module.dilation, strict=True)]
    (top, bottom), (left, right) = ((n // 2, n - n // 2) for n in total)
    return [left, right, top, bottom]


def _adaptive(outputs: Any) -> Rules:
    vertical, horizontal = (
        POINTWISE if n is None else Global() if n == 1 else Adaptive(n) for n in _pair(outputs)
    )
    return vertical, horizontal


def _permuted(axes: Axes, order: Sequence[int]) -> Placed:
    positive = [dimension % len(order) for dimension in order]
    moved = (positive.index(axes[0]), positive.index(axes[1]))
    return moved, (POINTWISE, POINTWISE)


def _function_rules(node: fx.Node, axes: Axes, shape: Sequence[int] | None) -> Placed | None:
    reader = _POOLS.get(node.target)
    if reader is not None and axes == (2, 3):
        return axes, reader(**_arguments(node))
    name = str(getattr(node.target, "__name__", node.target)).rstrip("_")
    if name in POINTWISE_NAMES or (name.startswith("i") and name[1:] in POINTWISE_NAMES):
        return axes, (POINTWISE, POINTWISE)
    handler = _LAYOUTS.get(name)
    return handler(node, axes, shape) if handler else None


def _arguments(node: fx.Node) -> dict[str, Any]:
    names = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
    if node.target in (F.adaptive_avg_pool2d, F.adaptive_max_pool2d):
        names = ("input", "output_size")
    elif node.target in _MAX_POOLS:
        names = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
    return {**dict(zip(names, node.args, strict=False)), **node.kwargs}


def _pool(
    *,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    **_: Any,
) -> Rules:
    return _windows(kernel_size, stride or kernel_size, padding, dilation, ceil_mode)


def _adaptive_pool(*, output_size: Any, **_: Any) -> Rules:
    return _adaptive(output_size)


_MAX_POOLS = (F.max_pool2d, torch.max_pool2d)
_POOLS: dict[Any, Callable[..., Rules]] = {
    F.max_pool2d: _pool,
    torch.max_pool2d: _pool,
    F.avg_pool2d: _pool,
    F.adaptive_avg_pool2d: _adaptive_pool,
    F.adaptive_max_pool2d: _adaptive_pool,
}


# Operations that move or join dimensions: they keep positions apart as long as they leave the
# spatial axes alone.


def _argument(node: fx.Node, index: int, name: str, default: Any = None) -> Any:
    return node.args[index] if len(node.args) > index else node.kwargs.get(name, default)


def _along_other_axis(node: fx.Node, axes: Axes, dimension: int, rank: int) -> Placed | None:
    if dimension % rank in axes:
        return None
    return axes, (POINTWISE, POINTWISE)


def _cat(node: fx.Node, axes: Axes, shape: Sequence[int] | None) -> Placed | None:
    return _along_other_axis(node, axes, _argument(node, 1, "dim", 0), len(shape or (0,) * 4))


def _chunk(node: fx.Node, axes: Axes, shape: Sequence[int] | None) -> Placed | None:
    rank = len(_shape(node.all_input_nodes[0]) or (0,) * 4)
    return _along_other_axis(node, axes, _argument(node, 2, "dim", 0), rank)


def _layer_norm(node: fx.Node, axes: Axes, shape: Sequence[int] | None) -> Placed | None:
    normalized = _argument(node, 1, "normalized_shape")
    if shape is None or max(axes) >= len(shape) - len(normalized):
        return None
    return axes, (POINTWISE, POINTWISE)


def _permute(node: fx.Node, axes: Axes, shape: Sequence[int] | None) -> Placed | None:
    order = node.args[1:] if len(node.args) > 2 else _argument(node, 1, "dims")
    return _permuted(axes, order) if isinstance(order, Sequence) else None


def _transpose(node: fx.Node, axes: Axes, shape: Sequence[int] | None) -> Placed | None:
    if shape is None:
        return None
    order = list(range(len(shape)))
    first, second = _argument(node, 1, "dim0"), _argument(node, 2, "dim1")
    order[first], order[second] = order[second], order[first]
    return _permuted(axes, order)


def _unsqueeze(node: fx.Node, axes: Axes, shape: Sequence[int] | None) -> Placed | None:
    dimension = _argument(node, 1, "dim")
    if shape is None:
        return None
    shifted = [axis + (dimension % len(shape) <= axis) for axis in axes]
    return (shifted[0], shifted[1]), (POINTWISE, POINTWISE)


def _getitem(node: fx.Node, axes: Axes, shape: Sequence[int] | None) -> Placed | None:
    source, index = node.args
    if not isinstance(source, fx.Node) or _shape(source) is None:
        return axes, (POINTWISE, POINTWISE)  # an element of a tuple, such as a chunk
    parts = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(part, int | slice) for part in parts):
        return None
    if any(axis < len(parts) and parts[axis] != slice(None) for axis in axes):
        return None
    dropped = [sum(isinstance(part, int) for part in parts[:axis]) for axis in axes]
    return (axes[0] - dropped[0], axes[1] - dropped[1]), (POINTWISE, POINTWISE)


def _view(node: fx.Node, axes: Axes, shape: Sequence[int] | None) -> Placed | None:
    """Reshaping keeps positions apart where the two last dimensions are and stay the map."""
    source = node.args[0]
    before = _shape(source) if isinstance(source, fx.Node) else None
    if before is None or shape is None or axes != (len(before) - 2, len(before) - 1):
        return None
    if tuple(before[-2:]) != tuple(shape[-2:]):
        return None
    return (len(shape) - 2, len(shape) - 1), (POINTWISE, POINTWISE)


_LAYOUTS: dict[str, Callable[[fx.Node, Axes, Sequence[int] | None], Placed | None]] = {
    "cat": _cat,
    "concat": _cat,
    "chunk": _chunk,
    "getitem": _getitem,
    "layer_norm": _layer_norm,
    "permute": _permute,
    "reshape": _view,
    "transpose": _transpose,
    "unsqueeze": _unsqueeze,
    "view": _view,
}
