"""Windows that slide over a map, read from modules, functions and operators alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import fx, nn

from pipeline.networks.geometry import POINTWISE, Adaptive, Global, Rule, Window
from pipeline.networks.nodes import operation_name, traced_shape

Rules = tuple[Rule, Rule]


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


def _pair(value: Any) -> tuple[Any, Any]:
    return (value[0], value[-1]) if isinstance(value, Sequence) else (value, value)


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
