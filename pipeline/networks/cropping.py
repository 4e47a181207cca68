"""Cropping: the part of a network that one unit can see, and nothing else.

Every node is computed on just the interval of its map that the unit sees: windows slide without
padding over exactly what they need, branches are cut to align, and padding is added only where
the interval really hangs over the edge of the whole map. Where everything reaches everything
(attention, squeeze-and-excitation) the whole map is computed, as in the network itself.
"""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from pipeline.networks.geometry import ANCHORED, EVERYTHING, Global, Interval, Window
from pipeline.networks.graph import Demand, Graph
from pipeline.networks.operations import (
    Adapting,
    Sliding,
    constant_shape,
    operation_name,
    windows,
)
from pipeline.networks.tracing import overwrites

Part = tuple[Interval, Interval]  # rows and columns of a node's whole map, half-open


class UncroppableError(Exception):
    """The graph holds something that cannot be computed on a part of its map."""


@dataclass(frozen=True)
class Crop:
    """What one unit sees of every map, worked out without computing anything.

    Attributes:
        graph: the traced network.
        node: the layer's node.
        size: height and width of the whole input.
        position: row and column of the unit on the layer's map.
    """

    graph: Graph
    node: fx.Node
    size: tuple[int, int]
    position: tuple[int, int]

    @cached_property
    def demands(self) -> tuple[Demand, Demand]:
        """What is needed along the vertical and along the horizontal axis."""
        whole = _read_by_numbers(self.graph, self.node)
        rows, columns = (
            self.graph.demand(
                self.node,
                Interval(self.position[axis], self.position[axis] + 1),
                self.size[axis],
                axis,
                clip=True,
                whole=whole,
            )
            for axis in (0, 1)
        )
        return rows, columns

    @property
    def nodes(self) -> list[fx.Node]:
        """The operations that the unit depends on, in call order."""
        return [node for node in self.graph.operations if node in self.demands[0].needed]

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
        """Multiplications and additions of convolutions and linear maps for one response.

        Those of the layer itself are counted for one unit.
        """
        return sum(
            _multiplications(self.graph, node, _area(self.part(node)), single=node is self.node)
            for node in self.nodes
        )

    @cached_property
    def activations(self) -> int:
        """Numbers that one response leaves in memory on the way, the image included."""
        return sum(
            math.prod(shape[:2]) * _area(self.part(node))
            for node in self.nodes
            if len(shape := _traced_shape(node)) == 4
        )

    def module(self) -> fx.GraphModule:
        """Return the network from images of the part of the input that is seen to the unit.

        Its output is the layer's at the unit's position, ``[batch, units, 1, 1]``, or the layer's
        whole output where that is no map.

        Raises:
            UncroppableError: a unit sees nothing but padding on some map on the way.
        """
        return _Builder(self).build()


def _traced_shape(node: fx.Node) -> tuple[int, ...]:
    return tuple(getattr(node.meta.get("tensor_meta"), "shape", ()))


def _area(part: Part) -> int:
    rows, columns = part
    return int((rows.stop - rows.start) * (columns.stop - columns.start))


def _multiplications(graph: Graph, node: fx.Node, area: int, *, single: bool) -> int:
    weight = weights(graph, node)[0]
    if weight is None:
        return 0
    outputs = 1 if single else weight[0]
    if len(weight) == 4:
        return 2 * outputs * math.prod(weight[1:]) * area
    return 2 * outputs * weight[1] * math.prod(_traced_shape(node)[1:-1])


def weights(graph: Graph, node: fx.Node) -> tuple[tuple[int, ...] | None, int]:
    """Return the shape of the weights of a convolution or linear map, and the groups."""
    module = graph.modules.get(str(node.target)) if node.op == "call_module" else None
    if isinstance(module, nn.Conv2d | nn.Linear):
        return tuple(module.weight.shape), getattr(module, "groups", 1)
    if operation_name(node) in ("conv2d", "linear") and node.op == "call_function":
        found = node.args[1] if len(node.args) > 1 else node.kwargs.get("weight")
        return (_traced_shape(found) or None if isinstance(found, fx.Node) else None), 1
    return None, 1


def _read_by_numbers(graph: Graph, node: fx.Node) -> set[fx.Node]:
    """Return the nodes of whose output a size is read, other than to reshape a part of it."""
    ancestors = graph.ancestors(node)
    numbers: set[fx.Node] = set()
    found: set[fx.Node] = set()
    for candidate in reversed(ancestors):
        if candidate in graph.operations and not _reshapes(graph, candidate):
            numbers.update(set(candidate.all_input_nodes) - graph.operations.keys())
        elif candidate in numbers:
            for source in candidate.all_input_nodes:
                (found if source in graph.operations else numbers).add(source)
    return found


def _reshapes(graph: Graph, node: fx.Node) -> bool:
    """Say whether a node reshapes a map whose last two dimensions are and stay its positions."""
    named = node.op != "call_module" and operation_name(node) in ("view", "reshape")
    return named and graph.operations[node].axes is not None


class _Builder:
    """Builds the module of one crop, node by node."""

    def __init__(self, crop: Crop) -> None:
        self.crop = crop
        self.graph = crop.graph
        self.built = fx.Graph()
        self.copies: dict[fx.Node, fx.Node] = {}
        self.attributes: dict[str, Any] = {}

    def build(self) -> fx.GraphModule:
        for node in self.graph.ancestors(self.crop.node):
            if node not in self.graph.operations:
                self.copies[node] = self._copied(node, {})
            elif node.op == "placeholder":
                self.copies[node] = self.built.placeholder("images")
            elif node in self.crop.demands[0].needed:
                self.copies[node] = self._operation(node)
                sides = self.crop.part(node)
                self.copies[node].meta["size"] = tuple(int(s.stop - s.start) for s in sides)
        self.built.output(self._cut(self.crop.node, self.crop.part(self.crop.node)))
        module = fx.GraphModule(self.attributes, self.built)
        module.graph.eliminate_dead_code()  # sizes that only reshaping read
        module.recompile()
        return module.eval().requires_grad_(False)

    def _operation(self, node: fx.Node) -> fx.Node:
        operation = self.graph.operations[node]
        found = self._windows(node)
        if isinstance(found, Sliding) and isinstance(operation.rules[0], Window):
            return self._slide(node, found)
        sources = {source: self._read(node, source) for source in operation.inputs}
        if _reshapes(self.graph, node):
            (source,) = sources.values()
            rows, columns = (int(side.stop - side.start) for side in self.crop.part(node))
            shape = (-1, *_traced_shape(node)[1:-2], rows, columns)
            return self.built.call_method("reshape", (source, *shape))
        if isinstance(found, Adapting) and not self._is_whole(node):
            return self._adapt(node, found)
        if operation.rules[0] == ANCHORED or operation.rules[1] == ANCHORED:
            sources |= {
                source: self._cut_constant(node, source)
                for source in node.all_input_nodes
                if constant_shape(source)
            }
        return self._copied(node, sources)

    def _is_whole(self, node: fx.Node) -> bool:
        """Say whether the whole of a node is computed from the whole of what it reads."""
        return all(
            self.crop.part(other)[axis] == (0, demand.lengths[other])
            for other in (node, *self.graph.operations[node].inputs)
            for axis, demand in enumerate(self.crop.demands)
        )

    # Reading a part of what another node computed.

    def _read(self, node: fx.Node, source: fx.Node) -> fx.Node:
        """Return the part of a source that a node reads, without padding."""
        return self._cut(source, self._edge(node, source)[0])

    def _edge(self, node: fx.Node, source: fx.Node) -> tuple[Part, tuple[int, int, int, int]]:
        """Return what a node reads of a source, and by how much it hangs over the map's edges."""
        parts: list[Interval] = []
        over: list[tuple[int, int]] = []
        for demand in self.crop.demands:
            wanted = demand.edges[node, source]
            part = wanted.clip(demand.lengths[source])
            if part.start >= part.stop:
                raise UncroppableError(f"{node.name} sees nothing but padding of {source.name}")
            parts.append(part)
            infinite = wanted == EVERYTHING
            over.append(
                (0, 0)
                if infinite
                else (int(part.start - wanted.start), int(wanted.stop - part.stop))
            )
        (top, bottom), (left, right) = over
        return (parts[0], parts[1]), (left, right, top, bottom)

    def _cut(self, source: fx.Node, part: Part) -> fx.Node:
        copied = self.copies[source]
        axes = self.graph.operations[source].axes
        if axes is None or not _traced_shape(source):  # no map, or several tensors
            return copied
        have = self._have(source)
        if part == have:
            return copied
        index = [slice(None)] * (max(axes) + 1)
        for axis, wanted, there in zip(axes, part, have, strict=True):
            index[axis] = slice(int(wanted.start - there.start), int(wanted.stop - there.start))
        return self.built.call_function(operator.getitem, (copied, tuple(index)))

    def _have(self, source: fx.Node) -> Part:
        """Return the part that the copy of a node holds: all where everything is mixed."""
        operation = self.graph.operations[source]
        if operation.inputs and not _traced_shape(operation.inputs[0]):  # out of several tensors
            return self.crop.part(operation.inputs[0])
        mixes = isinstance(operation.rules[0], Global)
        if source.op == "placeholder" or not mixes or isinstance(self._windows(source), Adapting):
            return self.crop.part(source)
        rows, columns = (Interval(0, demand.lengths[source]) for demand in self.crop.demands)
        return rows, columns

    def _windows(self, node: fx.Node) -> Sliding | Adapting | None:
        return windows(node, self._module(node))

    def _module(self, node: fx.Node) -> nn.Module | None:
        return self.graph.modules[str(node.target)] if node.op == "call_module" else None

    def _cut_constant(self, node: fx.Node, source: fx.Node) -> fx.Node:
        shape, rank = constant_shape(source) or (), len(_traced_shape(node))
        index = [slice(None)] * len(shape)
        axes = self.graph.operations[node].axes or ()
        for axis, side in zip(axes, self.crop.part(node), strict=True):
            own = axis - rank + len(shape)
            if own >= 0 and shape[own] > 1:
                index[own] = slice(int(side.start), int(side.stop))
        return self.built.call_function(operator.getitem, (self.copies[source], tuple(index)))

    # Windows.

    def _slide(self, node: fx.Node, sliding: Sliding) -> fx.Node:
        (source,) = self.graph.operations[node].inputs
        part, over = self._edge(node, source)
        read = self._cut(source, part)
        match sliding.kind:
            case "padding":
                return self._padded(read, over, sliding.value)
            case "convolution":
                return self._convolve(node, sliding, read, over)
            case "maximum":
                own = self._own_padding(sliding, part, over)
                if own is None or any(2 * p > k for p, k in zip(own, sliding.kernel, strict=True)):
                    read, own = self._padded(read, over, -math.inf), (0, 0)
                pool = nn.MaxPool2d(sliding.kernel, sliding.stride, own, sliding.dilation)
                return self._call(node, pool, read)
            case "average":
                return self._average(node, sliding, read, over)

    def _own_padding(
        self, sliding: Sliding, part: Part, over: tuple[int, int, int, int]
    ) -> tuple[int, int] | None:
        """Return equal padding at both ends that gives the same windows, if there is such."""
        left, right, top, bottom = over
        own = (top, left)
        for axis, (before, after) in enumerate(((top, bottom), (left, right))):
            length = int(part[axis].stop - part[axis].start)
            window = Window(
                sliding.kernel[axis], sliding.stride[axis], dilation=sliding.dilation[axis]
            )
            exact = window.output_size(length + before + after)
            if after > before or window.output_size(length + 2 * before) != exact:
                return None
        return own

    def _convolve(
        self,
        node: fx.Node,
        sliding: Sliding,
        read: fx.Node,
        over: tuple[int, int, int, int],
    ) -> fx.Node:
        (source,) = self.graph.operations[node].inputs
        own = self._own_padding(sliding, self._edge(node, source)[0], over)
        if own is None:
            read, own = self._padded(read, over, 0.0), (0, 0)
        weight, bias, groups = self._weights(node)
        if isinstance(weight, Tensor):
            return self._call(node, _convolution(weight, bias, sliding, own, groups), read)
        given = {"stride": sliding.stride, "padding": own, "dilation": sliding.dilation}
        return self.built.call_function(F.conv2d, (read, weight, bias), {**given, "groups": groups})

    def _weights(self, node: fx.Node) -> tuple[Any, Any, int]:
        """Return weight, bias and groups of a convolution; nodes where they are computed."""
        module = self._module(node)
        if isinstance(module, nn.Conv2d):
            return module.weight, module.bias, module.groups
        names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
        given: dict[str, Any] = {"bias": None, "groups": 1}
        given |= dict(zip(names, node.args, strict=False)) | node.kwargs
        sources = [given["weight"], given["bias"]]
        constant = all(source is None or source.op == "get_attr" for source in sources)
        weight, bias = (
            source
            if source is None
            else _attribute(self.graph.traced, str(source.target))
            if constant
            else self.copies[source]
            for source in sources
        )
        return weight, bias, given["groups"]

    def _average(
        self, node: fx.Node, sliding: Sliding, read: fx.Node, over: tuple[int, int, int, int]
    ) -> fx.Node:
        size = sliding.divisor or math.prod(sliding.kernel)
        pool = nn.AvgPool2d(sliding.kernel, sliding.stride, divisor_override=size)
        pooled = self._call(node, pool, self._padded(read, over, 0.0))
        if sliding.divisor is not None or not any(over):
            return pooled
        (source,) = self.graph.operations[node].inputs
        rows, columns = (
            _counts(sliding, axis, self.crop.part(node)[axis], demand.lengths[source])
            for axis, demand in enumerate(self.crop.demands)
        )
        share = size / (rows[:, None] * columns)
        name = f"{node.name}_share".replace(".", "_")
        weight = next(self.graph.module.parameters(), torch.empty(0))
        self.attributes[name] = nn.Buffer(share.to(weight))
        return self.built.call_function(operator.mul, (pooled, self.built.get_attr(name)))

    def _adapt(self, node: fx.Node, adapting: Adapting) -> fx.Node:
        (source,) = self.graph.operations[node].inputs
        read, parts = self._read(node, source), self._edge(node, source)[0]
        bounds: list[list[tuple[int, int]]] = []
        for axis, demand in enumerate(self.crop.demands):
            length = demand.lengths[source]
            outputs = adapting.outputs[axis] or length
            bounds.append(
                [
                    (
                        math.floor(place * length / outputs) - int(parts[axis].start),
                        math.ceil((place + 1) * length / outputs) - int(parts[axis].start),
                    )
                    for place in range(*map(int, self.crop.part(node)[axis]))
                ]
            )
        return self._call(node, _AdaptivePool(adapting.kind == "maximum", *bounds), read)

    def _padded(self, read: fx.Node, over: tuple[int, int, int, int], value: float) -> fx.Node:
        if not any(over):
            return read
        return self.built.call_function(F.pad, (read, over), {"value": value})

    # Copying.

    def _call(self, node: fx.Node, module: nn.Module, *arguments: fx.Node) -> fx.Node:
        name = node.name.replace(".", "_")
        self.attributes[name] = module
        return self.built.call_module(name, arguments)

    def _copied(self, node: fx.Node, sources: Mapping[fx.Node, fx.Node]) -> fx.Node:
        """Copy a node so that it writes over nothing: others may read the same part."""
        known = {**self.copies, **sources}
        if node.op == "call_module":
            module: Any = self.graph.modules[str(node.target)]
            if overwrites(node, module):
                module = copy.copy(module)
                module.inplace = False
            arguments = map_arg(node.args, lambda other: known[other])
            keywords = map_arg(node.kwargs, lambda other: known[other])
            name = node.name.replace(".", "_")
            self.attributes[name] = module
            return self.built.call_module(name, cast("Any", arguments), cast("Any", keywords))
        copied = self.built.node_copy(node, lambda other: known[other])
        if node.op == "get_attr":
            name = str(node.target).replace(".", "_")
            self.attributes[name] = _attribute(self.graph.traced, str(node.target))
            copied.target = name
        elif overwrites(node, None):
            copied.kwargs = {k: v for k, v in copied.kwargs.items() if k != "inplace"}
            copied.target = _not_overwriting(copied.target)
        return copied


def _attribute(root: Any, path: str) -> Any:
    for name in path.split("."):
        root = getattr(root, name)
    return root


def _not_overwriting(target: Any) -> Any:
    schema = getattr(target, "_schema", None)
    if schema is not None:
        packet = getattr(torch.ops.aten, schema.name.split("::")[-1].rstrip("_"))
        return getattr(packet, schema.overload_name or "default")
    name = str(getattr(target, "__name__", target))
    if not callable(target):
        return name.rstrip("_")
    if getattr(target, "__module__", "") == "_operator":
        return getattr(operator, name.removeprefix("i"))
    return getattr(torch, name.rstrip("_")) if name.endswith("_") else target


def _convolution(
    weight: Tensor, bias: Tensor | None, sliding: Sliding, padding: tuple[int, int], groups: int
) -> nn.Conv2d:
    """Return a module that convolves with these weights, which it shares."""
    outputs, channels = weight.shape[:2]
    conv = nn.Conv2d(
        channels * groups,
        outputs,
        sliding.kernel,
        sliding.stride,
        padding,
        sliding.dilation,
        groups,
        bias=bias is not None,
        device="meta",
    )
    conv.weight = nn.Parameter(weight.detach(), requires_grad=False)
    conv.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
    return conv


def _counts(sliding: Sliding, axis: int, places: Interval, length: int) -> Tensor:
    """Return how many positions an average counts in each window along one axis."""
    left, right, top, bottom = sliding.padding
    before, after = (top, bottom) if axis == 0 else (left, right)
    first, last = (-before, length + after) if sliding.count_padding else (0, length)
    starts = torch.arange(*places, dtype=torch.float64) * sliding.stride[axis] - before
    return (starts + sliding.kernel[axis]).clamp(max=last) - starts.clamp(min=first)


class _AdaptivePool(nn.Module):
    """Pools over given rows and columns: a part of an adaptive pooling."""

    def __init__(
        self, maximum: bool, rows: list[tuple[int, int]], columns: list[tuple[int, int]]
    ) -> None:
        super().__init__()
        self.maximum, self.rows, self.columns = maximum, rows, columns

    def forward(self, maps: Tensor) -> Tensor:
        return self._along(self._along(maps, 2, self.rows), 3, self.columns)

    def _along(self, maps: Tensor, axis: int, bounds: Iterable[tuple[int, int]]) -> Tensor:
        pieces = [maps.narrow(axis, start, stop - start) for start, stop in bounds]
        pooled = [piece.max(axis).values if self.maximum else piece.mean(axis) for piece in pieces]
        return torch.stack(pooled, axis)
