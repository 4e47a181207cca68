"""Windows that slide over a map, read from modules, functions and operators alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import fx, nn

from pipeline.networks.graph.geometry import POINTWISE, Adaptive, Global, Repeating, Rule, Window
from pipeline.networks.graph.nodes import operation_name, traced_shape

Rules = tuple[Rule, Rule]


@dataclass(frozen=True)
class Sliding:
    """A sliding window: convolution, pooling or, with a single position, padding and slices.

    Attributes:
        kind: operation in the window.
        kernel: height and width.
        stride: vertical and horizontal.
        padding: left, right, top, bottom, as in ``torch.nn.functional.pad``.
        dilation: vertical and horizontal.
        ceil: whether a last, incomplete window is included.
        count_padding: whether an average counts padding.
        divisor: divisor of a sum that replaces the window's size.
        value: value of padding.
        padding_mode: ``zeros`` for any constant, or the mode in which padding repeats positions.
        channels: channels selected by a slice; all channels by default.
    """

    kind: Literal["convolution", "maximum", "average", "padding", "slice"]
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    ceil: bool = False
    count_padding: bool = True
    divisor: int | None = None
    value: float = 0.0
    padding_mode: str = "zeros"
    channels: slice | None = None

    def rules(self) -> Rules:
        """Return the vertical and the horizontal rule."""
        left, right, top, bottom = self.padding
        repeats = self.padding_mode != "zeros"
        kind = partial(Repeating, mode=self.padding_mode) if repeats else Window
        vertical, horizontal = (
            kind(self.kernel[axis], self.stride[axis], *sides, self.dilation[axis], self.ceil)
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
    """Return the window that a node slides over a map of channels, rows and columns, if any."""
    if module is not None:
        return _module_windows(module)
    reader = _FUNCTIONS.get(operation_name(node))
    if reader is None:
        return None
    names, read = reader
    arguments = {**dict(zip(names.split(), node.args, strict=False)), **node.kwargs}
    return read(**arguments)


def _pair(value: Any) -> tuple[Any, Any]:
    return (value[0], value[-1]) if isinstance(value, Sequence) else (value, value)


def _sides(padding: Any) -> tuple[int, int, int, int]:
    """Return (left, right, top, bottom) from one number, a pair or four numbers."""
    if isinstance(padding, Sequence) and len(padding) == 4:
        left, right, top, bottom = padding
        return left, right, top, bottom
    vertical, horizontal = _pair(padding)
    return horizontal, horizontal, vertical, vertical


def _convolution(
    kernel: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, padding_mode: str = "zeros"
) -> Sliding:
    if padding == "same":
        # An odd pixel of padding goes to the end.
        total = [d * (k - 1) for k, d in zip(kernel, _pair(dilation), strict=True)]
        (top, bottom), (left, right) = ((n // 2, n - n // 2) for n in total)
        padding = (left, right, top, bottom)
    sides = _sides(0 if padding == "valid" else padding)
    return Sliding(
        "convolution",
        _pair(kernel),
        _pair(stride),
        sides,
        _pair(dilation),
        padding_mode=padding_mode,
    )


def _function_convolution(
    *, weight: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, **_: Any
) -> Sliding | None:
    shape = traced_shape(weight)
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
    pad = _sides(pad) if isinstance(pad, int) else pad
    if len(pad) not in (2, 4) or (mode != "constant" and min(pad) < 0):
        return None
    sides = (*pad, 0, 0) if len(pad) == 2 else tuple(pad)
    if mode == "constant":
        return Sliding("padding", padding=sides, value=value or 0.0) if min(pad) >= 0 else None
    return Sliding("padding", padding=sides, padding_mode=mode)


def _getitem(*, input: Any, index: Any) -> Sliding | None:
    """Read ``maps[:, c, a:b:s, d:e:s]``: slices of rows and columns, and of channels with them."""
    shape = traced_shape(input)
    parts = list(index) if isinstance(index, tuple) else [index]
    if parts.count(Ellipsis) == 1:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    parts += [slice(None)] * (len(shape) - len(parts))
    if len(shape) != 4 or not all(isinstance(part, slice) for part in parts):
        return None
    if parts[0] != slice(None) or parts[2:] == [slice(None)] * 2:
        return None
    return _slices(shape, parts[2:], parts[1])


def _slice(*, input: Any, dim: int, start: Any, end: Any = None, step: int = 1) -> Sliding | None:
    shape = traced_shape(input)
    if len(shape) != 4 or dim % 4 < 2:
        return None
    parts = [slice(None), slice(None)]
    parts[dim % 4 - 2] = slice(start, end, step)
    return _slices(shape, parts)


def _slices(
    shape: Sequence[int], parts: Sequence[slice], channels: slice | None = None
) -> Sliding | None:
    margins: list[int] = []
    steps: list[int] = []
    for length, part in zip(shape[2:], parts, strict=True):
        bounds = (part.start or 0, length if part.stop is None else part.stop, part.step or 1)
        if not all(isinstance(bound, int) for bound in bounds) or bounds[0] < 0 or bounds[2] < 1:
            return None  # positions relative to the end change with the image size
        start, stop, step = part.indices(length)
        if stop <= start:
            return None
        margins = [-start, stop - length, *margins]
        steps.append(step)
    left, right, top, bottom = margins
    sides = (left, right, top, bottom)
    return Sliding("slice", stride=(steps[0], steps[1]), padding=sides, channels=channels)


def _adaptive(kind: Literal["maximum", "average"], output_size: Any) -> Adapting:
    return Adapting(kind, _pair(output_size))


_MODES = {"reflection": "reflect", "replication": "replicate"}
_CONVOLUTION = "input weight bias stride padding dilation groups"


_POOLING = "input kernel_size stride padding"


_FUNCTIONS: dict[str, tuple[str, Callable[..., Sliding | Adapting | None]]] = {
    "conv2d": (_CONVOLUTION, _function_convolution),
    "max_pool2d": (f"{_POOLING} dilation ceil_mode return_indices", _max_pool),
    "avg_pool2d": (f"{_POOLING} ceil_mode count_include_pad divisor_override", _average_pool),
    "pad": ("input pad mode value", _padding),
    "constant_pad_nd": ("input pad value", _padding),
    "reflection_pad2d": ("input pad", partial(_padding, mode="reflect")),
    "replication_pad2d": ("input pad", partial(_padding, mode="replicate")),
    "getitem": ("input index", _getitem),
    "slice": ("input dim start end step", _slice),
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
        case nn.Conv2d():
            return _convolution(
                module.kernel_size,
                module.stride,
                module.padding,
                module.dilation,
                module.padding_mode,
            )
        case nn.MaxPool2d() | nn.AvgPool2d():
            read = _max_pool if isinstance(module, nn.MaxPool2d) else _average_pool
            return read(**vars(module))
        case nn.AdaptiveAvgPool2d():
            return _adaptive("average", module.output_size)
        case nn.AdaptiveMaxPool2d(return_indices=False):
            return _adaptive("maximum", module.output_size)
        case nn.ConstantPad2d():  # and ZeroPad2d
            return _padding(pad=module.padding, value=module.value)
        case nn.ReflectionPad2d() | nn.ReplicationPad2d() | nn.CircularPad2d():
            mode = type(module).__name__.removesuffix("Pad2d").lower()
            return _padding(pad=module.padding, mode=_MODES.get(mode, mode))
        case _:
            return None
