"""Building the network that computes one crop."""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from pipeline.networks.cropping.crop import Crop, Part, Sides, UncroppableError
from pipeline.networks.cropping.windows import (
    AdaptivePool,
    adaptive_bounds,
    convolution,
    counts,
    own_padding,
)
from pipeline.networks.graph.geometry import ANCHORED, Global, Interval, Window
from pipeline.networks.graph.nodes import not_overwriting, overwrites, traced_shape
from pipeline.networks.graph.opaque import Opaque
from pipeline.networks.graph.windows import Adapting, Sliding, windows


def crop_network(crop: Crop) -> fx.GraphModule:
    """Return the network from the visible part of the input to the region.

    Its output is the layer's on the region, ``[batch, units, rows, columns]``, or the layer's whole
    output if that is not a map.

    Raises:
        UncroppableError: on some map, the region sees nothing but padding.
    """
    return _Builder(crop).build()


class _Builder:
    """Builds the network of one crop, node by node."""

    def __init__(self, crop: Crop) -> None:
        self.crop = crop
        self.graph = crop.graph
        self.built = fx.Graph()
        self.copies: dict[fx.Node, fx.Node] = {}
        self.attributes: dict[str, Any] = {}

    def build(self) -> fx.GraphModule:
        self.graph.place_appended()
        seen = set(self.crop.nodes)
        for node in self.graph.ancestors(self.crop.node):
            if node not in self.graph.operations:
                self.copies[node] = self._copied(node, {})
            elif node.op == "placeholder":
                self.copies[node] = self.built.placeholder("images")
            elif node in seen:
                self.copies[node] = self._operation(node)
                sides = self.crop.part(node)
                self.copies[node].meta["size"] = tuple(int(s.stop - s.start) for s in sides)
        self.built.output(self._cut(self.crop.node, self.crop.part(self.crop.node)))
        module = fx.GraphModule(self.attributes, self.built)
        module.graph.eliminate_dead_code()  # sizes that only reshaping used
        module.recompile()
        return module

    def _operation(self, node: fx.Node) -> fx.Node:
        operation = self.graph.operations[node]
        found = self._windows(node)
        if isinstance(found, Sliding) and isinstance(operation.rules[0], Window):
            return self._slide(node, found)
        sources = {source: self._read(node, source) for source in operation.inputs}
        if self.graph.reshapes(node):
            (source,) = sources.values()
            rows, columns = (int(side.stop - side.start) for side in self.crop.part(node))
            shape = (-1, *traced_shape(node)[1:-2], rows, columns)
            return self.built.call_method("reshape", (source, *shape))
        if isinstance(found, Adapting) and self.crop.adapts(node) and not self.crop.is_whole(node):
            return self._adapt(node, found)
        if operation.rules[0] == ANCHORED or operation.rules[1] == ANCHORED:
            sources |= {
                source: self._cut_constant(node, source)
                for source in node.all_input_nodes
                if source not in self.graph.operations and traced_shape(source)
            }
        return self._copied(node, sources)

    # Reading part of another node's output.

    def _read(self, node: fx.Node, source: fx.Node) -> fx.Node:
        """Return the part of a source that a node reads, without padding."""
        return self._cut(source, self.crop.edge(node, source)[0])

    def _cut(self, source: fx.Node, part: Part) -> fx.Node:
        copied = self.copies[source]
        axes = self.graph.operations[source].axes
        if axes is None or not traced_shape(source):  # not a map, or several tensors
            return copied
        have = self._have(source)
        if part == have:
            return copied
        index = [slice(None)] * (max(axes) + 1)
        for axis, wanted, there in zip(axes, part, have, strict=True):
            index[axis] = slice(int(wanted.start - there.start), int(wanted.stop - there.start))
        return self.built.call_function(operator.getitem, (copied, tuple(index)))

    def _have(self, source: fx.Node) -> Part:
        """Return the part that the copy of a node computes: everything if positions are mixed."""
        operation = self.graph.operations[source]
        if operation.inputs and not traced_shape(operation.inputs[0]):  # out of several tensors
            return self.crop.part(operation.inputs[0])
        mixes = isinstance(operation.rules[0], Global)
        if source.op == "placeholder" or not mixes or self.crop.adapts(source):
            return self.crop.part(source)
        rows, columns = (Interval(0, demand.lengths[source]) for demand in self.crop.demands)
        return rows, columns

    def _windows(self, node: fx.Node) -> Sliding | Adapting | None:
        return windows(node, self._module(node))

    def _module(self, node: fx.Node) -> nn.Module | None:
        return self.graph.modules[str(node.target)] if node.op == "call_module" else None

    def _cut_constant(self, node: fx.Node, source: fx.Node) -> fx.Node:
        shape, rank = traced_shape(source), len(traced_shape(node))
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
        part, over = self.crop.edge(node, source)
        read = self._cut(source, part)
        if sliding.padding_mode != "zeros" and any(over):
            raise UncroppableError(f"{node.name} sees padding that shows {source.name} again")
        match sliding.kind:
            case "slice":
                rows, columns = (slice(None, None, step) for step in sliding.stride)
                index = (slice(None), sliding.channels or slice(None), rows, columns)
                return self.built.call_function(operator.getitem, (read, index))
            case "padding":
                return self._padded(read, over, sliding.value)
            case "convolution":
                return self._convolve(node, sliding, read, over)
            case "maximum":
                own = own_padding(sliding, part, over)
                if own is None:
                    read, own = self._padded(read, over, -math.inf), (0, 0)
                pool = nn.MaxPool2d(sliding.kernel, sliding.stride, own, sliding.dilation)
                return self._call(node, pool, read)
            case "average":
                return self._average(node, sliding, read, over)

    def _convolve(
        self,
        node: fx.Node,
        sliding: Sliding,
        read: fx.Node,
        over: Sides,
    ) -> fx.Node:
        (source,) = self.graph.operations[node].inputs
        own = own_padding(sliding, self.crop.edge(node, source)[0], over)
        if own is None:
            read, own = self._padded(read, over, 0.0), (0, 0)
        weight, bias, groups = self._weights(node)
        if isinstance(weight, Tensor):
            return self._call(node, convolution(weight, bias, sliding, own, groups), read)
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
            else operator.attrgetter(str(source.target))(self.graph.traced)
            if constant
            else self.copies[source]
            for source in sources
        )
        return weight, bias, given["groups"]

    def _average(self, node: fx.Node, sliding: Sliding, read: fx.Node, over: Sides) -> fx.Node:
        size = sliding.divisor or math.prod(sliding.kernel)
        pool = nn.AvgPool2d(sliding.kernel, sliding.stride, divisor_override=size)
        pooled = self._call(node, pool, self._padded(read, over, 0.0))
        if sliding.divisor is not None or not any(over):
            return pooled
        (source,) = self.graph.operations[node].inputs
        rows, columns = (
            counts(sliding, axis, self.crop.part(node)[axis], demand.lengths[source])
            for axis, demand in enumerate(self.crop.demands)
        )
        share = size / (rows[:, None] * columns)
        name = f"{node.name}_share"
        weight = next(self.graph.module.parameters(), torch.empty(0))
        self.attributes[name] = nn.Buffer(share.to(weight))
        return self.built.call_function(operator.mul, (pooled, self.built.get_attr(name)))

    def _adapt(self, node: fx.Node, adapting: Adapting) -> fx.Node:
        (source,) = self.graph.operations[node].inputs
        read, parts = self._read(node, source), self.crop.edge(node, source)[0]
        rows, columns = (
            adaptive_bounds(
                adapting, axis, self.crop.part(node)[axis], parts[axis], demand.lengths[source]
            )
            for axis, demand in enumerate(self.crop.demands)
        )
        pool = AdaptivePool(adapting.kind == "maximum", rows, columns)
        return self._call(node, pool, read)

    def _padded(self, read: fx.Node, over: Sides, value: float) -> fx.Node:
        if not any(over):
            return read
        return self.built.call_function(F.pad, (read, over), {"value": value})

    # Copying.

    def _call(self, node: fx.Node, module: nn.Module, *arguments: fx.Node) -> fx.Node:
        self.attributes[node.name] = module
        return self.built.call_module(node.name, arguments)

    def _copied(self, node: fx.Node, sources: Mapping[fx.Node, fx.Node]) -> fx.Node:
        """Copy a node without in-place writes, as other nodes may read the same part."""
        known = {**self.copies, **sources}
        if node.op == "call_module":
            module = frozen(self.graph.modules[str(node.target)])
            if overwrites(node, module):
                module.inplace = False
            arguments = map_arg(node.args, lambda other: known[other])
            keywords = map_arg(node.kwargs, lambda other: known[other])
            self.attributes[node.name] = module
            return self.built.call_module(node.name, cast("Any", arguments), cast("Any", keywords))
        copied = self.built.node_copy(node, lambda other: known[other])
        if node.op == "get_attr":
            name = node.name
            self.attributes[name] = operator.attrgetter(str(node.target))(self.graph.traced)
            copied.target = name
        elif overwrites(node, None):
            copied.kwargs = {k: v for k, v in copied.kwargs.items() if k != "inplace"}
            copied.target = not_overwriting(copied.target)
        return copied


def frozen(module: nn.Module) -> Any:
    """Return a module with the same weights, without gradients for them."""
    if isinstance(module, Opaque):
        return module  # keeps the whole network alive
    shared = {
        id(weight): nn.Parameter(weight.detach(), requires_grad=False)
        for weight in module.parameters()
    }
    return copy.deepcopy(module, shared | {id(buffer): buffer for buffer in module.buffers()})
