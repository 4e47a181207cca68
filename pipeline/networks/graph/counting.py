"""Counting: the operations of a network, and the values that it keeps in memory.

One multiplication with its addition counts as two operations, as PyTorch's own counter does
(``torch.utils.flop_counter``). Convolutions, linear maps, matrix products and attention are
counted; elementwise operations (nonlinearities, sums) and pooling are not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

from torch import fx, nn

from pipeline.networks.graph.graph import Graph
from pipeline.networks.graph.nodes import operation_name, traced_shape
from pipeline.networks.graph.opaque import Opaque


def node_operations(graph: Graph, node: fx.Node, numbers: int) -> int:
    """Return the operations of one node.

    Args:
        graph: the traced network.
        node: one of its operations.
        numbers: number of values of the node's output that are computed.
    """
    module = _module(graph, node)
    if isinstance(module, nn.MultiheadAttention):
        return _attention(node, module)
    weight = weight_shape(graph, node)
    if weight:  # every output value is a sum over the weights of one output channel
        return 2 * math.prod(weight[1:]) * numbers
    return _function(node, numbers) if module is None else 0


def forward_operations(graph: Graph, nodes: Iterable[fx.Node]) -> int:
    """Return the operations of computing some nodes for one image of the traced size."""
    needed = {ancestor for node in nodes for ancestor in graph.ancestors(node)}
    return sum(
        opaque_operations(graph, node, graph.input_size)
        or node_operations(graph, node, math.prod(traced_shape(node)))
        for node in graph.operations
        if node in needed
    )


def opaque_operations(graph: Graph, node: fx.Node, size: tuple[int, int]) -> int:
    """Return the operations of an opaque layer on an image of some size, 0 for other nodes.

    This is a rough estimate: every weight of the network is used once per 8 x 8 pixels.
    """
    module = _module(graph, node)
    return 2 * module.weights() * size[0] * size[1] // 64 if isinstance(module, Opaque) else 0


def largest_held(graph: Graph, nodes: Iterable[fx.Node]) -> int:
    """Return the peak number of values in memory while some nodes are computed for one image.

    Nodes are computed in call order and dropped when no remaining node needs them, including the
    requested ones.
    """
    needed = {ancestor for node in nodes for ancestor in graph.ancestors(node)}
    order = [node for node in graph.operations if node in needed]
    last = {source: node for node in order for source in graph.operations[node].inputs}
    held: dict[fx.Node, int] = {}
    largest = 0
    for node in order:
        held[node] = _numbers(graph, node)
        largest = max(largest, sum(held.values()) + _inside(graph, node))
        held = {other: size for other, size in held.items() if last.get(other, node) is not node}
    return largest


def opaque_numbers(size: tuple[int, int]) -> int:
    """Return a rough estimate of an opaque layer's output size: that of a first layer."""
    return 64 * size[0] * size[1]


def weight_shape(graph: Graph, node: fx.Node) -> tuple[int, ...]:
    """Return the shape of the weights of a convolution or linear map; empty for other nodes."""
    module = _module(graph, node)
    if module is not None:
        return tuple(module.weight.shape) if isinstance(module, nn.Conv2d | nn.Linear) else ()
    if node.op == "call_function" and operation_name(node) in ("conv2d", "linear"):
        weight = node.args[1] if len(node.args) > 1 else node.kwargs.get("weight")
        return traced_shape(weight)
    return ()


def _module(graph: Graph, node: fx.Node) -> nn.Module | None:
    return graph.modules[str(node.target)] if node.op == "call_module" else None


def _attention(node: fx.Node, module: nn.MultiheadAttention) -> int:
    """Count the projections of queries, keys, values and output, and the two products."""
    queries, keys = (math.prod(traced_shape(source)[:-1]) for source in _sources(node)[:2])
    width = module.embed_dim
    projections = 2 * queries * width + keys * (module.kdim + module.vdim)
    return 2 * width * projections + 4 * queries * keys * width


def _sources(node: fx.Node) -> list[fx.Node]:
    """Return query, key and value of an attention call, by position or keyword."""
    given = [*node.args, *(node.kwargs.get(name) for name in ("query", "key", "value"))]
    return [source for source in given if isinstance(source, fx.Node)]


def _function(node: fx.Node, numbers: int) -> int:
    """Count a product of computed matrices, or an attention function."""
    name = operation_name(node)
    shapes = [traced_shape(argument) for argument in node.args]
    if name in ("matmul", "bmm", "mm") and shapes[0]:
        return 2 * shapes[0][-1] * numbers
    if name == "scaled_dot_product_attention":  # queries with keys, and these with values
        return 2 * math.prod(shapes[0][:-1]) * shapes[1][-2] * (shapes[0][-1] + shapes[2][-1])
    if name == "einsum":
        return _einsum(str(node.args[0]), shapes[1:])
    if name == "shifted_window_attention":
        return _window_attention(node)
    return 0


def _einsum(equation: str, shapes: list[tuple[int, ...]]) -> int:
    """Count a product of two tensors over all of their indices."""
    indices = equation.replace(" ", "").split("->")[0].split(",")
    sides = {
        index: side
        for names, shape in zip(indices, shapes, strict=False)
        for index, side in zip(names, shape, strict=False)
    }
    return 2 * math.prod(sides.values()) if len(indices) == 2 else 0


def _window_attention(node: fx.Node) -> int:
    """Count torchvision's attention within windows, on a map padded to whole windows."""
    source, into, out = node.args[:3]
    window = cast("list[int]", node.args[4])
    sides = traced_shape(source)[1:3]
    positions = math.prod(
        math.ceil(side / own) * own for side, own in zip(sides, window, strict=True)
    )
    weights = math.prod(traced_shape(into)) + math.prod(traced_shape(out))
    return 2 * positions * (weights + 2 * math.prod(window) * traced_shape(source)[-1])


def _numbers(graph: Graph, node: fx.Node) -> int:
    """Return the number of values in a node's output; estimated for opaque layers."""
    if isinstance(_module(graph, node), Opaque):
        return opaque_numbers(graph.input_size)
    return math.prod(traced_shape(node) or (0,))


def _inside(graph: Graph, node: fx.Node) -> int:
    """Return the number of values that an attention keeps besides its input and output."""
    if not isinstance(module := _module(graph, node), nn.MultiheadAttention):
        return 0
    queries, keys = (math.prod(traced_shape(source)[:-1]) for source in _sources(node)[:2])
    return (2 * queries + 2 * keys) * module.embed_dim + 2 * module.num_heads * queries * keys
