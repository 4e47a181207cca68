"""What each traced operation does in space: its spatial axes and its rule along each of them.

An operation that is not known here mixes everything: its receptive field is the whole input, which
is never too small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import fx, nn
from torchvision.ops import Permute, StochasticDepth

from pipeline.networks.geometry import ANCHORED, POINTWISE, Adaptive, Global, Rule, Window
from pipeline.networks.tracing import Opaque, operation_name

Axes = tuple[int, int]  # which dimensions of a tensor are vertical and horizontal
Rules = tuple[Rule, Rule]
Placed = tuple[Axes | None, Rules]

POINTWISE_MODULES = (
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
    abs add batch_norm clamp clone contiguous div dropout dropout2d elu exp float gelu hardsigmoid
    hardswish hardtanh leaky_relu mish mul neg pow relu relu6 sigmoid silu softplus sqrt
    stochastic_depth sub tanh to truediv
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
        return _mixed(node, module)
    sliding = windows(node, module) if axes == (2, 3) and len(axes_of) == 1 else None
    if sliding is not None:
        placed = (axes, sliding.rules())
    elif module is not None:
        placed = _module_rules(module, axes, shape)
    else:
        placed = _function_rules(node, axes, shape)
        placed = placed and _beside_others(node, placed, axes_of)
    return placed or _mixed(node, module)


_MAP_MODULES = (
    Opaque,
    nn.AdaptiveMaxPool2d,
    nn.BatchNorm2d,
    nn.Conv2d,
    nn.GroupNorm,
    nn.InstanceNorm2d,
    nn.ReflectionPad2d,
    nn.ReplicationPad2d,
    nn.Upsample,
)


def _mixed(node: fx.Node, module: nn.Module | None) -> Placed:
    """Everything reaches everything; where the map lies is known of some modules only."""
    shape = _shape(node)
    makes_map = isinstance(module, _MAP_MODULES) or windows(node, module) is not None
    if makes_map and shape is not None and len(shape) == 4:
        return (2, 3), (Global(shape[2]), Global(shape[3]))
    return None, (Global(), Global())


def _shape(node: Any) -> Sequence[int] | None:
    """Return the traced shape of a node's output, ``None`` for what is no tensor or no node."""
    shape = getattr(getattr(node, "meta", {}).get("tensor_meta"), "shape", None)
    return None if shape is None else tuple(shape)


def _pair(value: Any) -> tuple[Any, Any]:
    return (value[0], value[-1]) if isinstance(value, Sequence) else (value, value)


@dataclass(frozen=True)
class Sliding:
    """A window that slides over a map: convolution, pooling or constant padding (kernel 1).

    Attributes:
        kind: what is done in the window.
        kernel: height and width.
        stride: vertical and horizontal.
        padding: left, right, top, bottom, as in ``torch.nn.functional.pad``.
        dilation: vertical and horizontal.
        ceil: whether a last, incomplete window counts.
        count_padding: whether an average counts padding.
        divisor: what a sum is divided by instead of the window's size.
        value: what padding is filled with.
    """

    kind: Literal["convolution", "maximum", "average", "padding"]
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    ceil: bool = False
    count_padding: bool = True
    divisor: int | None = None
    value: float = 0.0

    def rules(self) -> Rules:
        """Return the vertical and the horizontal rule."""
        left, right, top, bottom = self.padding
        vertical, horizontal = (
            Window(self.kernel[axis], self.stride[axis], *sides, self.dilation[axis], self.ceil)
            for axis, sides in enumerate(((top, bottom), (left, right)))
        )
        return vertical, horizontal


@dataclass(frozen=True)
class Adapting:
    """Adaptive pooling to a number of rows and columns; ``None`` keeps them."""

    kind: Literal["maximum", "average"]
    outputs: tuple[int | None, int | None]

    def rules(self) -> Rules:
        """Return the vertical and the horizontal rule."""
        vertical, horizontal = (
            POINTWISE if n is None else Global() if n == 1 else Adaptive(n) for n in self.outputs
        )
        return vertical, horizontal


def windows(node: fx.Node, module: nn.Module | None) -> Sliding | Adapting | None:
    """Return what slides over a map of channels, rows and columns, if the node is such a thing."""
    if module is not None:
        return _module_windows(module)
    reader = _FUNCTIONS.get(operation_name(node))
    if reader is None:
        return None
    names, read = reader
    arguments = {**dict(zip(names.split(), node.args, strict=False)), **node.kwargs}
    return read(**arguments)


def _sides(padding: Any) -> tuple[int, int, int, int]:
    """Return (left, right, top, bottom) of one number, of a pair, or of four numbers."""
    if isinstance(padding, Sequence) and len(padding) == 4:
        left, right, top, bottom = padding
        return left, right, top, bottom
    vertical, horizontal = _pair(padding)
    return horizontal, horizontal, vertical, vertical


def _convolution(
    kernel: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Sliding | None:
    if padding == "same":
        # The odd pixel goes to the end.
        total = [d * (k - 1) for k, d in zip(kernel, _pair(dilation), strict=True)]
        (top, bottom), (left, right) = ((n // 2, n - n // 2) for n in total)
        padding = (left, right, top, bottom)
    sides = _sides(0 if padding == "valid" else padding)
    return Sliding("convolution", _pair(kernel), _pair(stride), sides, _pair(dilation))


def _function_convolution(
    *, weight: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, **_: Any
) -> Sliding | None:
    shape = _shape(weight)
    return _convolution(shape[2:], stride, padding, dilation) if shape else None


def _max_pool(
    *,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    **_: Any,
) -> Sliding | None:
    if return_indices:
        return None
    kernel, steps = _pair(kernel_size), _pair(stride or kernel_size)
    return Sliding("maximum", kernel, steps, _sides(padding), _pair(dilation), ceil_mode)


def _average_pool(
    *,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    **_: Any,
) -> Sliding:
    kernel, steps = _pair(kernel_size), _pair(stride or kernel_size)
    return Sliding(
        "average",
        kernel,
        steps,
        _sides(padding),
        ceil=ceil_mode,
        count_padding=count_include_pad,
        divisor=divisor_override,
    )


def _padding(
    *, pad: Any, mode: str = "constant", value: float | None = None, **_: Any
) -> Sliding | None:
    if mode != "constant" or len(pad) not in (2, 4) or min(pad) < 0:
        return None  # padding that shows pixels again, or cuts some off, is no window of kernel 1
    sides = (*pad, 0, 0) if len(pad) == 2 else tuple(pad)
    return Sliding("padding", padding=sides, value=value or 0.0)


def _adaptive(kind: Literal["maximum", "average"], output_size: Any) -> Adapting:
    return Adapting(kind, _pair(output_size))


_CONVOLUTION = "input weight bias stride padding dilation groups"
_POOLING = "input kernel_size stride padding"
_FUNCTIONS: dict[str, tuple[str, Callable[..., Sliding | Adapting | None]]] = {
    "conv2d": (_CONVOLUTION, _function_convolution),
    "max_pool2d": (f"{_POOLING} dilation ceil_mode return_indices", _max_pool),
    "avg_pool2d": (f"{_POOLING} ceil_mode count_include_pad divisor_override", _average_pool),
    "pad": ("input pad mode value", _padding),
    "constant_pad_nd": ("input pad value", _padding),
    "adaptive_avg_pool2d": (
        "input output_size",
        lambda *, output_size, **_: _adaptive("average", output_size),
    ),
    "adaptive_max_pool2d": (
        "input output_size",
        lambda *, output_size, return_indices=False, **_: (
            None if return_indices else _adaptive("maximum", output_size)
        ),
    ),
}


def _module_windows(module: nn.Module) -> Sliding | Adapting | None:
    match module:
        case nn.Conv2d(padding_mode="zeros"):
            return _convolution(module.kernel_size, module.stride, module.padding, module.dilation)
        case nn.MaxPool2d() | nn.AvgPool2d():
            read = _max_pool if isinstance(module, nn.MaxPool2d) else _average_pool
            return read(**vars(module))
        case nn.AdaptiveAvgPool2d():
            return _adaptive("average", module.output_size)
        case nn.AdaptiveMaxPool2d(return_indices=False):
            return _adaptive("maximum", module.output_size)
        case nn.ConstantPad2d():  # and ZeroPad2d
            return _padding(pad=module.padding, value=module.value)
        case _:
            return None


def _permuted(axes: Axes, order: Sequence[int]) -> Placed:
    positive = [dimension % len(order) for dimension in order]
    moved = (positive.index(axes[0]), positive.index(axes[1]))
    return moved, (POINTWISE, POINTWISE)


def _module_rules(module: nn.Module, axes: Axes, shape: Sequence[int] | None) -> Placed | None:
    if isinstance(module, Permute):
        return _permuted(axes, module.dims)
    last = len(shape) - 1 if shape else -1
    if isinstance(module, nn.Linear):
        apart = last not in axes
    elif isinstance(module, nn.LayerNorm):
        apart = max(axes) <= last - len(module.normalized_shape)
    elif isinstance(module, nn.BatchNorm2d):
        apart = module.running_mean is not None  # else by the statistics of the map itself
    else:
        apart = isinstance(module, POINTWISE_MODULES)
    return (axes, (POINTWISE, POINTWISE)) if apart else None


def _function_rules(node: fx.Node, axes: Axes, shape: Sequence[int] | None) -> Placed | None:
    name = operation_name(node)
    if name == "batch_norm" and _argument(node, 5, "training", False):
        return None  # by the statistics of the map itself
    if name in POINTWISE_NAMES or (name.startswith("i") and name[1:] in POINTWISE_NAMES):
        return axes, (POINTWISE, POINTWISE)
    handler = _LAYOUTS.get(name)
    return handler(node, axes, shape) if handler else None


def _beside_others(node: fx.Node, placed: Placed, axes_of: Mapping[fx.Node, Axes | None]) -> Placed:
    """Return where an operation is that also reads tensors other than maps of the same axes.

    A constant that differs along the map anchors it. What depends on the whole image and has an
    extent of its own, or is larger than the map, mixes everything.
    """
    axes, _ = placed
    shape = _shape(node)
    if axes is None or shape is None or operation_name(node) == "batch_norm":
        return placed
    maps = [found for other in axes_of if axes_of[other] and (found := _shape(other))]
    sizes = [max((_extent(m, axis - len(shape)) for m in maps), default=math.inf) for axis in axes]
    for source in node.all_input_nodes:
        if axes_of.get(source) is not None:
            continue
        other = _shape(source) or ()
        extents = [_extent(other, axis - len(shape)) for axis in axes]
        if all(extent == 1 for extent in extents):
            continue
        larger = any(extent > size for extent, size in zip(extents, sizes, strict=True))
        if larger or source in axes_of:
            return axes, (Global(shape[axes[0]]), Global(shape[axes[1]]))
        placed = axes, (ANCHORED, ANCHORED)
    return placed


def _extent(shape: Sequence[int], axis: int) -> int:
    """Return the length along an axis counted from the last; 1 where there is none."""
    return shape[axis] if -axis <= len(shape) else 1


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
