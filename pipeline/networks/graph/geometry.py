"""How one operation maps positions, along one spatial axis.

Every operation of a network is, along one axis, one of three things: a sliding window, an adaptive
window, or something that mixes all positions. Each rule answers two questions in constant time: how
long is the output for an input of ``n`` positions, and which interval of input positions can reach
a half-open interval of output positions. Intervals are not clipped to the map: positions outside it
are padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

Bound = int | float  # a position, or +-infinity


class Interval(NamedTuple):
    """Half-open interval of positions; infinite if all positions are reached."""

    start: Bound
    stop: Bound

    def union(self, other: Interval) -> Interval:
        """Return the smallest interval that contains both."""
        return Interval(min(self.start, other.start), max(self.stop, other.stop))

    def clip(self, size: int) -> Interval:
        """Return the part that is on a map of ``size`` positions."""
        return Interval(max(self.start, 0), min(self.stop, size))


EVERYTHING = Interval(-math.inf, math.inf)


@runtime_checkable
class Rule(Protocol):
    """The geometry of one operation along one axis."""

    def output_size(self, size: int) -> int:
        """Return the number of output positions for ``size`` input positions."""
        ...

    def reach(self, interval: Interval, size: int) -> Interval:
        """Return the input positions, of ``size``, that can reach the output ``interval``."""
        ...

    def shown(self, interval: Interval, size: int) -> Interval:
        """Return the map positions, of ``size``, whose values a reached interval contains."""
        ...


@dataclass(frozen=True)
class Window:
    """A sliding window: convolution, pooling, padding (kernel 1), elementwise (the default).

    Output position ``i`` sees input positions ``i * stride - before + dilation * j`` for ``j`` in
    ``0 .. kernel - 1``.
    """

    kernel: int = 1
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1
    ceil: bool = False

    @property
    def span(self) -> int:
        """The distance from the first to the last position seen, plus one."""
        return self.dilation * (self.kernel - 1) + 1

    def output_size(self, size: int) -> int:
        """Return PyTorch's output size, taking ``ceil_mode`` into account."""
        room = size + self.before + self.after - self.span
        if not self.ceil:
            return max(0, room // self.stride + 1)
        count = max(0, -(-room // self.stride) + 1)
        # The last window must start inside the input or its left padding.
        return count - 1 if (count - 1) * self.stride >= size + self.before else count

    def reach(self, interval: Interval, size: int) -> Interval:
        """Return the input positions that the windows of ``interval`` span, padding included."""
        if interval == EVERYTHING:
            return EVERYTHING
        return Interval(
            interval.start * self.stride - self.before,
            (interval.stop - 1) * self.stride - self.before + self.span,
        )

    def shown(self, interval: Interval, size: int) -> Interval:
        """Return the part of a reached interval without padding."""
        return interval.clip(size)


POINTWISE = Window()


@dataclass(frozen=True)
class Anchored(Window):
    """Pointwise, but position-dependent: a constant map is added or multiplied."""


ANCHORED = Anchored()


@dataclass(frozen=True)
class Repeating(Window):
    """A window over padding that repeats positions of the map.

    ``mode`` is PyTorch's: ``reflect``, ``replicate`` or ``circular``. Units without padding in
    their field all see the same field, only shifted; for others, some pixels of the field repeat
    others.
    """

    mode: str = "reflect"

    def shown(self, interval: Interval, size: int) -> Interval:
        """Return the smallest interval of the map that contains all repeated positions."""
        first, last = int(interval.start), int(interval.stop) - 1
        if first >= 0 and last < size:
            return interval
        if self.mode == "circular":
            return Interval(0, size)
        if self.mode == "replicate":
            return Interval(min(max(first, 0), size - 1), min(max(last, 0), size - 1) + 1)
        ends = [(max(first, 0), min(last, size - 1))]
        ends.append((-min(last, -1), -first))  # reflected at the first position
        ends.append((2 * size - 2 - last, 2 * size - 2 - max(first, size)))  # and at the last
        held = [pair for pair in ends if pair[0] <= pair[1]]
        start, stop = min(low for low, _ in held), max(high for _, high in held) + 1
        return Interval(start, stop).clip(size)


@dataclass(frozen=True)
class Adaptive:
    """Adaptive pooling to a fixed number ``o`` of outputs.

    Output position ``i`` sees input positions floor(i n / o) to ceil((i + 1) n / o), exclusive.
    """

    outputs: int

    def output_size(self, size: int) -> int:
        """Return the fixed number of outputs."""
        return self.outputs

    def reach(self, interval: Interval, size: int) -> Interval:
        """Return the input positions that the adaptive windows of ``interval`` span."""
        if interval == EVERYTHING:
            return EVERYTHING
        return Interval(
            math.floor(interval.start * size / self.outputs),
            math.ceil(interval.stop * size / self.outputs),
        )

    def shown(self, interval: Interval, size: int) -> Interval:
        """Return the part of a reached interval without padding."""
        return interval.clip(size)


@dataclass(frozen=True)
class Global:
    """Everything reaches everything: global pooling, attention, flattening, unknown operations."""

    outputs: int = 1

    def output_size(self, size: int) -> int:
        """Return the traced number of outputs."""
        return self.outputs

    def reach(self, interval: Interval, size: int) -> Interval:
        """Return everything."""
        return EVERYTHING

    def shown(self, interval: Interval, size: int) -> Interval:
        """Return the part of a reached interval without padding."""
        return interval.clip(size)
