"""Receptive fields and canvases, by interval arithmetic over the traced graph.

Conventions (checked against a published table of 38 layers in the tests): a receptive field is the
half-open box of input pixels that can reach a unit; a canvas is the smallest input on which some
unit's field is free of padding.
"""

from __future__ import annotations

import math
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Int
from torch import fx, nn

from pipeline.networks.graph.geometry import EVERYTHING, Adaptive, Anchored, Global, Interval
from pipeline.networks.graph.graph import Graph
from pipeline.networks.graph.nodes import operation_name, traced_shape


class Box(NamedTuple):
    """Half-open box of pixels; it may extend beyond the image if the unit sees padding."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def of(cls, rows: Interval, columns: Interval) -> Box:
        """Return the box for some rows and columns."""
        return cls(int(rows.start), int(columns.start), int(rows.stop), int(columns.stop))

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.right - self.left


def receptive_field(
    graph: Graph,
    node: fx.Node,
    position: tuple[int, int],
    input_size: tuple[int, int] | None = None,
    *,
    clip: bool = False,
) -> Box:
    """Return the box of input pixels that can reach the unit at one position of a layer.

    Args:
        graph: the traced network.
        node: the layer's node.
        position: row and column on the layer's map.
        input_size: height and width of the image; the traced size by default.
        clip: exclude padding, here and on every intermediate map; the box then contains only pixels
            of the image.

    Returns:
        The box, not clipped by default; the whole image if there is a global operation in between.
    """
    size = input_size or graph.input_size
    sides: list[Interval] = []
    for axis in (0, 1):
        at = Interval(position[axis], position[axis] + 1)
        found = graph.reach(node, at, size[axis], axis, clip=clip)
        sides.append(Interval(0, size[axis]) if found == EVERYTHING else found)
    return Box.of(*sides)


def receptive_fields(
    graph: Graph,
    node: fx.Node,
    rows: Int[np.ndarray, "*_"],
    columns: Int[np.ndarray, "*_"],
) -> Int[np.ndarray, "4 *_"]:
    """Return the boxes (top, left, bottom, right) of many units of a layer at the traced size."""
    tops, bottoms = _bounds(graph, node, rows, 0)
    lefts, rights = _bounds(graph, node, columns, 1)
    return np.stack([tops, lefts, bottoms, rights])


def _bounds(
    graph: Graph, node: fx.Node, positions: Int[np.ndarray, "*_"], axis: int
) -> tuple[Int[np.ndarray, "*_"], Int[np.ndarray, "*_"]]:
    if is_shift_invariant(graph, node, axis):
        first, stride = _first_field(graph, node, axis)
        return positions * stride + int(first.start), positions * stride + int(first.stop)
    places, inverse = np.unique(positions, return_inverse=True)
    found = [
        receptive_field(graph, node, (int(place), 0) if axis == 0 else (0, int(place)))
        for place in places
    ]
    bounds = np.array([(box[axis], box[axis + 2]) for box in found], dtype=np.int64)
    start, stop = bounds.reshape(-1, 2).T[:, inverse.reshape(positions.shape)]
    return start, stop


def strides(graph: Graph, node: fx.Node) -> tuple[int | None, int | None]:
    """Return the pixels from one unit of a layer to the next, down and across.

    ``None`` if the fields of its units are not shifted copies of each other.
    """
    down, across = (
        _first_field(graph, node, axis)[1] if is_shift_invariant(graph, node, axis) else None
        for axis in (0, 1)
    )
    return down, across


def is_shift_invariant(graph: Graph, node: fx.Node, axis: int) -> bool:
    """Return whether the fields of all units of a layer are shifted copies along ``axis``."""
    lengths = graph.sizes(graph.input_size[axis], axis)
    for ancestor in graph.ancestors(node):
        operation = graph.operations.get(ancestor)
        if operation is None or not operation.inputs:
            continue
        broadcast = len({lengths[source] for source in operation.inputs}) > 1
        if broadcast or isinstance(operation.rules[axis], Adaptive | Anchored | Global):
            return False
    # A size that is used as a number changes with the input.
    return not graph.read_as_numbers(node)


def bound_note(graph: Graph, node: fx.Node, layer: str) -> str | None:
    """Return a note if a layer's field is given as the whole image because it is not known exactly.

    This is the case after an operation on a map that is neither known to mix all positions, as a
    mean over the map does, nor shown by probing to act on every position separately.
    """
    if any(_attends_to_all(graph, ancestor) for ancestor in graph.ancestors(node)):
        return None
    for ancestor in graph.ancestors(node):
        operation = graph.operations.get(ancestor)
        if operation is None or not isinstance(operation.rules[0], Global):
            continue
        maps = any(graph.operations[source].axes is not None for source in operation.inputs)
        called = graph.modules.get(str(ancestor.target)) if ancestor.op == "call_module" else None
        name = operation_name(ancestor) if called is None else type(called).__name__
        if maps and not any(part in name.lower() for part in _REACHING):
            return (
                f"layers: the receptive field of {layer} is given as the whole image, which is "
                "an upper bound, because it is unknown which pixels have an effect through "
                f"{ancestor.name} ({name})"
            )
    return None


def _attends_to_all(graph: Graph, node: fx.Node) -> bool:
    """Return whether a node is an attention of one image's tokens, to all of them."""
    if node.op == "call_module":
        return isinstance(graph.modules[str(node.target)], nn.MultiheadAttention)
    shape = traced_shape(node)
    return operation_name(node) == "scaled_dot_product_attention" and shape[:1] == (1,)


# Operations that mix a whole map, by parts of names; untraceable ones have their own warning.
_REACHING = frozenset(
    [
        "attention",
        "einsum",
        "flatten",
        "linear",
        "matmul",
        "mean",
        "norm",
        "opaque",
        "pool",
        "softmax",
        "sum",
    ]
)


def center(graph: Graph, node: fx.Node) -> tuple[int | None, int | None]:
    """Return the only row and column whose units are used.

    ``None`` if all positions are equivalent, because their fields are shifted copies. Otherwise, a
    unit's response depends on its position, and the one at index n // 2 represents its channel.
    """
    row, column = (
        None
        if is_shift_invariant(graph, node, axis)
        else graph.sizes(graph.input_size[axis], axis)[node] // 2
        for axis in (0, 1)
    )
    return row, column


class Canvas(NamedTuple):
    """An input size and the unit that is used on it.

    ``size`` is (height, width) of the input, ``position`` the unit's row and column on the layer's
    map, ``box`` its receptive field in pixels of the canvas.
    """

    size: tuple[int, int]
    position: tuple[int, int]
    box: Box


# Stages ask for the canvas of a layer many times, and finding it walks over all that it depends on.
_CANVASES: WeakKeyDictionary[Graph, dict[fx.Node, Canvas]] = WeakKeyDictionary()
Side = tuple[int, int, Interval]  # length, the unit's position, its field


def smallest_canvas(graph: Graph, node: fx.Node) -> Canvas:
    """Return the smallest input on which some unit of a layer sees its whole field and no padding.

    Along an axis on which fields differ (global operations, adaptive pooling), the canvas is the
    network's own input and the unit is the one returned by ``center``. It is found once for each
    layer of a graph.
    """
    known = _CANVASES.setdefault(graph, {})
    if node not in known:
        known[node] = _find_canvas(graph, node)
    return known[node]


def _find_canvas(graph: Graph, node: fx.Node) -> Canvas:
    sides: list[Side] = []
    for axis in (0, 1):
        if is_shift_invariant(graph, node, axis):
            sides.append(_smallest_side(graph, node, axis))
        else:
            size = graph.input_size[axis]
            middle = graph.sizes(size, axis)[node] // 2
            found = graph.reach(node, Interval(middle, middle + 1), size, axis)
            sides.append((size, middle, Interval(0, size) if found == EVERYTHING else found))
    (height, row, rows), (width, column, columns) = sides
    return Canvas((height, width), (row, column), Box.of(rows, columns))


def _smallest_side(graph: Graph, node: fx.Node, axis: int) -> Side:
    first, stride = _first_field(graph, node, axis)
    position = max(0, math.ceil(-first.start / stride))
    # If intermediate maps are cropped, padding may be reached through pixels of the image.
    ample = graph.input_size[axis] + 4 * int(first.stop - first.start) + 4 * stride * (position + 1)
    while _over(graph, node, position, ample, axis)[0]:
        position += 1
    found = Interval(first.start + stride * position, first.stop + stride * position)
    length = int(found.stop)
    while (
        graph.sizes(length, axis)[node] <= position or _over(graph, node, position, length, axis)[1]
    ):
        length += 1
    return length, position, found


def _over(graph: Graph, node: fx.Node, position: int, length: int, axis: int) -> tuple[bool, bool]:
    """Return whether a unit reads before the start and beyond the end of any intermediate map."""
    demand = graph.demand(node, Interval(position, position + 1), length, axis)
    parts = [(part, demand.lengths[source]) for (_, source), part in demand.edges.items()]
    known = [(part, size) for part, size in parts if part != EVERYTHING]
    return any(part.start < 0 for part, _ in known), any(part.stop > size for part, size in known)


def _first_field(graph: Graph, node: fx.Node, axis: int) -> tuple[Interval, int]:
    """Return the field of the unit at position 0, and the distance between fields of neighbors."""
    size = graph.input_size[axis]
    first = graph.reach(node, Interval(0, 1), size, axis)
    second = graph.reach(node, Interval(1, 2), size, axis)
    return first, int(second.start - first.start)
