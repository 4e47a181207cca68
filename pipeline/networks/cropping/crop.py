"""The part of every map that a region of a layer depends on, found without running the network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from torch import fx

from pipeline.networks.graph.counting import (
    node_operations,
    opaque_numbers,
    opaque_operations,
    weight_shape,
)
from pipeline.networks.graph.geometry import EVERYTHING, Interval
from pipeline.networks.graph.graph import Demand, Graph
from pipeline.networks.graph.nodes import traced_shape
from pipeline.networks.graph.opaque import Opaque
from pipeline.networks.graph.windows import Adapting, windows

Part = tuple[Interval, Interval]  # rows and columns of a node's whole map, half-open
Sides = tuple[int, int, int, int]  # left, right, top, bottom


class UncroppableError(Exception):
    """The graph has an operation that cannot be computed on a part of its map."""


@dataclass(frozen=True)
class Crop:
    """The part of every map that a region of a layer's map (by default one position) depends on.

    Attributes:
        graph: the traced network.
        node: the layer's node.
        size: height and width of the whole input.
        position: row and column on the layer's map at which the region begins.
        extent: rows and columns of the region.
    """

    graph: Graph
    node: fx.Node
    size: tuple[int, int]
    position: tuple[int, int]
    extent: tuple[int, int] = (1, 1)

    @property
    def region(self) -> Part:
        """The rows and columns of the layer's map that are computed."""
        rows, columns = (
            Interval(first, first + length)
            for first, length in zip(self.position, self.extent, strict=True)
        )
        return rows, columns

    @cached_property
    def demands(self) -> tuple[Demand, Demand]:
        """The intervals needed along the vertical and the horizontal axis."""
        whole = self.graph.read_as_numbers(self.node)
        rows, columns = (
            self.graph.demand(
                self.node, self.region[axis], self.size[axis], axis, clip=True, whole=whole
            )
            for axis in (0, 1)
        )
        return rows, columns

    @property
    def nodes(self) -> list[fx.Node]:
        """The operations that the region depends on, in call order."""
        rows, columns = (demand.needed for demand in self.demands)
        return [node for node in self.graph.operations if node in rows and node in columns]

    def part(self, node: fx.Node) -> Part:
        """Return the rows and columns of a node's map that are computed."""
        rows, columns = (
            Interval(0, demand.lengths[node])
            if demand.needed[node] == EVERYTHING
            else demand.needed[node]
            for demand in self.demands
        )
        return rows, columns

    @cached_property
    def operations(self) -> int:
        """Multiplications and additions for one unit's responses on the region (``counting``)."""
        return sum(self._operations(node) for node in self.nodes)

    def adapts(self, node: fx.Node) -> bool:
        """Return whether a node is adaptive pooling of a known map, and can be cropped."""
        module = self.graph.modules[str(node.target)] if node.op == "call_module" else None
        mapped = all(self.graph.operations[o].axes for o in self.graph.operations[node].inputs)
        return mapped and isinstance(windows(node, module), Adapting)

    def _operations(self, node: fx.Node) -> int:
        opaque = opaque_operations(self.graph, node, self.size)
        if opaque:
            return opaque
        weight = weight_shape(self.graph, node)
        outputs = weight[0] if weight and node is self.node else 1
        return node_operations(self.graph, node, self._numbers(node) // outputs)

    @cached_property
    def activations(self) -> int:
        """Number of activations kept in memory for the responses, including the image."""
        return sum(self._numbers(node) for node in self.nodes)

    def _numbers(self, node: fx.Node) -> int:
        """Return how many values of a node are computed."""
        axes, shape = self.graph.operations[node].axes, traced_shape(node)
        if node.op == "call_module" and isinstance(self.graph.modules[str(node.target)], Opaque):
            return opaque_numbers(self.size)
        if axes is None or not shape:
            return math.prod(shape) if shape else 0
        beside = math.prod(side for axis, side in enumerate(shape) if axis not in axes)
        return beside * _area(self.part(node))

    def edge(self, node: fx.Node, source: fx.Node) -> tuple[Part, Sides]:
        """Return the part of a source that a node reads, and how far it extends beyond the map.

        Raises:
            UncroppableError: it reads nothing but padding.
        """
        parts: list[Interval] = []
        over: list[tuple[int, int]] = []
        for demand in self.demands:
            wanted = demand.edges.get((node, source), Interval(0, 0))
            part = wanted.clip(demand.lengths[source])
            if part.start >= part.stop:
                raise UncroppableError(f"{node.name} sees nothing but padding of {source.name}")
            parts.append(part)
            hangs = wanted != EVERYTHING
            over.append(
                (int(part.start - wanted.start), int(wanted.stop - part.stop)) if hangs else (0, 0)
            )
        (top, bottom), (left, right) = over
        return (parts[0], parts[1]), (left, right, top, bottom)

    def is_whole(self, node: fx.Node) -> bool:
        """Return whether all of a node is computed from all of its inputs."""
        return all(
            self.part(other)[axis] == (0, demand.lengths[other])
            for other in (node, *self.graph.operations[node].inputs)
            for axis, demand in enumerate(self.demands)
        )


def _area(part: Part) -> int:
    rows, columns = part
    return int((rows.stop - rows.start) * (columns.stop - columns.start))
