"""The geometry of each traced operation: its spatial axes and its rule along each of them.

Unknown operations are probed (``probing.py``). Unless that shows that an operation acts on every
position separately, it is treated as mixing all positions: the field is then the whole input, which
is a safe upper bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from pipeline.networks.graph.geometry import ANCHORED, POINTWISE, Global
from pipeline.networks.graph.nodes import operation_name, traced_shape
from pipeline.networks.graph.opaque import Opaque
from pipeline.networks.graph.probing import probed_axes
from pipeline.networks.graph.windows import Rules, windows

Axes = tuple[int, int]  # which dimensions of a tensor are vertical and horizontal
Placed = tuple[Axes | None, Rules]

POINTWISE_MODULES = (
    nn.Dropout,
    nn.Dropout2d,
    nn.CELU,
    nn.ELU,
    nn.GELU,
    nn.Hardshrink,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Hardtanh,  # and ReLU6
    nn.Identity,
    nn.LeakyReLU,
    nn.LogSigmoid,
    nn.Mish,
    nn.PReLU,
    nn.ReLU,
    nn.SELU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Softplus,
    nn.Softshrink,
    nn.Softsign,
    nn.Tanh,
    nn.Tanhshrink,
    nn.Threshold,
)
# Functions and tensor methods that act on every position separately, by their names without a
# trailing underscore (the in-place forms) or a leading i (the operators +=, *= ...).
_POINTWISE = """
    abs add addcdiv addcmul batch_norm celu clamp clamp_max clamp_min clone contiguous cos detach
    div dropout dropout2d elu eq erf exp expm1 float ge gelu gt hardshrink hardsigmoid hardswish
    hardtanh le leaky_relu lerp log log1p log_sigmoid logsigmoid lt maximum minimum mish mul ne neg
    pow reciprocal relu relu6 rrelu rsqrt selu sigmoid sign silu sin softplus softshrink softsign
    sqrt square stochastic_depth sub tanh tanhshrink threshold to truediv where
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
    shape = traced_shape(node)
    if axes is None or any(other not in (axes, None) for other in axes_of.values()):
        return _mixed(node, module)
    sliding = windows(node, module) if axes == (2, 3) and len(axes_of) == 1 else None
    if sliding is not None:
        placed = (axes, sliding.rules())
    elif module is not None:
        placed = _module_rules(module, axes, shape)
    else:
        placed = _function_rules(node, axes, shape)
        placed = placed and _beside_others(node, placed, axes_of)
    if placed is None and (found := probed_axes(node, module, axes_of)):
        placed = found, (POINTWISE, POINTWISE)
    return placed or _mixed(node, module)


_MAP_MODULES = (
    Opaque,
    nn.AdaptiveMaxPool2d,
    _BatchNorm,
    nn.GroupNorm,
    nn.InstanceNorm2d,
    nn.Upsample,
)


def _mixed(node: fx.Node, module: nn.Module | None) -> Placed:
    """All positions are mixed; the spatial axes are known for some modules only."""
    shape = traced_shape(node)
    makes_map = isinstance(module, _MAP_MODULES) or windows(node, module) is not None
    if makes_map and len(shape) == 4:
        return (2, 3), (Global(shape[2]), Global(shape[3]))
    return None, (Global(), Global())


def _permuted(axes: Axes, order: Sequence[int]) -> Placed:
    positive = [dimension % len(order) for dimension in order]
    moved = (positive.index(axes[0]), positive.index(axes[1]))
    return moved, (POINTWISE, POINTWISE)


def _module_rules(module: nn.Module, axes: Axes, shape: Sequence[int]) -> Placed | None:
    if _is_torchvisions(module, "Permute"):
        return _permuted(axes, cast("Any", module).dims)
    last = len(shape) - 1 if shape else -1
    if isinstance(module, nn.Linear):
        apart = last not in axes
    elif isinstance(module, nn.LayerNorm):
        apart = max(axes) <= last - len(module.normalized_shape)
    elif isinstance(module, _BatchNorm):
        # Otherwise by statistics of the map itself, or per row if channels are last.
        apart = module.running_mean is not None and 1 not in axes
    elif isinstance(module, nn.PReLU):
        apart = module.num_parameters == 1 or 1 not in axes
    else:
        apart = isinstance(module, POINTWISE_MODULES) or _is_torchvisions(module, "StochasticDepth")
    return (axes, (POINTWISE, POINTWISE)) if apart else None


def _is_torchvisions(module: nn.Module, name: str) -> bool:
    """Return whether a module is one of torchvision's operations, without importing torchvision."""
    homes = [kind.__module__ for kind in type(module).__mro__ if kind.__name__ == name]
    return any(home.startswith("torchvision.ops.") for home in homes)


def _function_rules(node: fx.Node, axes: Axes, shape: Sequence[int]) -> Placed | None:
    name = operation_name(node)
    if name == "batch_norm" and (1 in axes or _argument(node, 5, "training", False)):
        return None  # per row, or by statistics of the map itself
    overwriting = getattr(node.target, "__module__", "") == "_operator" and name.startswith("i")
    if name in POINTWISE_NAMES or (overwriting and name[1:] in POINTWISE_NAMES):
        return axes, (POINTWISE, POINTWISE)
    handler = _LAYOUTS.get(name)
    return handler(node, axes, shape) if handler else None


def _beside_others(node: fx.Node, placed: Placed, axes_of: Mapping[fx.Node, Axes | None]) -> Placed:
    """Return the geometry of an operation that also reads tensors without the same spatial axes.

    A constant that varies along the map anchors it. An input that depends on the whole image and
    has a spatial extent, or is larger than the map, mixes all positions.
    """
    axes, _ = placed
    shape = traced_shape(node)
    if axes is None or not shape or operation_name(node) == "batch_norm":
        return placed
    maps = [found for other in axes_of if axes_of[other] and (found := traced_shape(other))]
    sizes = [max((_extent(m, axis - len(shape)) for m in maps), default=math.inf) for axis in axes]
    for source in node.all_input_nodes:
        if axes_of.get(source) is not None:
            continue
        other = traced_shape(source) or ()
        extents = [_extent(other, axis - len(shape)) for axis in axes]
        if all(extent == 1 for extent in extents):
            continue
        larger = any(extent > size for extent, size in zip(extents, sizes, strict=True))
        if larger or source in axes_of:
            return axes, (Global(shape[axes[0]]), Global(shape[axes[1]]))
        placed = axes, (ANCHORED, ANCHORED)
    return placed


def _extent(shape: Sequence[int], axis: int) -> int:
    """Return the length along an axis counted from the last; 1 if there is no such axis."""
    return shape[axis] if -axis <= len(shape) else 1


# Operations that move or join dimensions: they keep positions apart as long as they leave the
# spatial axes alone.


def _argument(node: fx.Node, index: int, name: str, default: Any = None) -> Any:
    return node.args[index] if len(node.args) > index else node.kwargs.get(name, default)


def _along_other_axis(node: fx.Node, axes: Axes, dimension: int, rank: int) -> Placed | None:
    if dimension % rank in axes:
        return None
    return axes, (POINTWISE, POINTWISE)


def _cat(node: fx.Node, axes: Axes, shape: Sequence[int]) -> Placed | None:
    return _along_other_axis(node, axes, _argument(node, 1, "dim", 0), len(shape or (0,) * 4))


def _chunk(node: fx.Node, axes: Axes, shape: Sequence[int]) -> Placed | None:
    rank = len(traced_shape(node.all_input_nodes[0]) or (0,) * 4)
    return _along_other_axis(node, axes, _argument(node, 2, "dim", 0), rank)


def _layer_norm(node: fx.Node, axes: Axes, shape: Sequence[int]) -> Placed | None:
    normalized = _argument(node, 1, "normalized_shape")
    if not shape or max(axes) >= len(shape) - len(normalized):
        return None
    return axes, (POINTWISE, POINTWISE)


def _permute(node: fx.Node, axes: Axes, shape: Sequence[int]) -> Placed | None:
    order = node.args[1:] if len(node.args) > 2 else _argument(node, 1, "dims")
    return _permuted(axes, order) if isinstance(order, Sequence) else None


def _transpose(node: fx.Node, axes: Axes, shape: Sequence[int]) -> Placed | None:
    if not shape:
        return None
    order = list(range(len(shape)))
    first, second = _argument(node, 1, "dim0"), _argument(node, 2, "dim1")
    order[first], order[second] = order[second], order[first]
    return _permuted(axes, order)


def _unsqueeze(node: fx.Node, axes: Axes, shape: Sequence[int]) -> Placed | None:
    dimension = _argument(node, 1, "dim")
    if not shape:
        return None
    shifted = [axis + (dimension % len(shape) <= axis) for axis in axes]
    return (shifted[0], shifted[1]), (POINTWISE, POINTWISE)


def _getitem(node: fx.Node, axes: Axes, shape: Sequence[int]) -> Placed | None:
    source, index = node.args
    if not isinstance(source, fx.Node) or not traced_shape(source):
        return axes, (POINTWISE, POINTWISE)  # an element of a tuple, such as a chunk
    parts = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(part, int | slice) for part in parts):
        return None
    if any(axis < len(parts) and parts[axis] != slice(None) for axis in axes):
        return None
    dropped = [sum(isinstance(part, int) for part in parts[:axis]) for axis in axes]
    return (axes[0] - dropped[0], axes[1] - dropped[1]), (POINTWISE, POINTWISE)


def _view(node: fx.Node, axes: Axes, shape: Sequence[int]) -> Placed | None:
    """Reshaping keeps positions separate if the map stays in the last two dimensions."""
    source = node.args[0]
    before = traced_shape(source) if isinstance(source, fx.Node) else None
    if not before or not shape or axes != (len(before) - 2, len(before) - 1):
        return None
    if tuple(before[-2:]) != tuple(shape[-2:]):
        return None
    return (len(shape) - 2, len(shape) - 1), (POINTWISE, POINTWISE)


_LAYOUTS: dict[str, Callable[[fx.Node, Axes, Sequence[int]], Placed | None]] = {
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
