"""Attention: the outputs of its heads, and the blocks of a transformer that contain it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from torch import fx, nn

from pipeline.errors import ConfigError
from pipeline.networks.graph.geometry import Global
from pipeline.networks.graph.graph import Graph
from pipeline.networks.graph.nodes import module_calls, operation_name, traced_shape
from pipeline.networks.units.modules import HeadNorms, HeadOutputs, JoinedHeads

# What may lie between the softmax of an attention and its product with the values.
_BETWEEN = ("dropout", "to", "type_as", "float", "contiguous", "clone", "identity")
_PRODUCTS = ("matmul", "bmm")


def attentions(graph: Graph, nodes: Collection[fx.Node] | None = None) -> list[fx.Node]:
    """Return the nodes of a network, or those among some nodes, that are an attention."""
    found = graph.operations if nodes is None else [n for n in graph.operations if n in nodes]
    return [node for node in found if _attends(graph, node)]


def _attends(graph: Graph, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(graph.modules[str(node.target)], nn.MultiheadAttention)
    name = operation_name(node)
    if name in ("scaled_dot_product_attention", "shifted_window_attention"):
        return True
    return name in _PRODUCTS and _is_softmax(graph, node.args[0])


def _is_softmax(graph: Graph, node: Any) -> bool:
    """Return whether a node is a softmax, but for what leaves it as it is."""
    while isinstance(node, fx.Node) and node.all_input_nodes:
        module = graph.modules[str(node.target)] if node.op == "call_module" else None
        name = operation_name(node) if module is None else type(module).__name__.lower()
        if name == "softmax":
            return True
        if name not in _BETWEEN:
            return False
        node = node.all_input_nodes[0]
    return False


def heads(graph: Graph, name: str, nodes: Collection[fx.Node]) -> fx.Node:
    """Return the node of the norm of each head's output, ``[batch, tokens, heads]``.

    The output of a head is its weighted mean of values, before the projection that joins the heads.

    Args:
        graph: the traced network.
        name: of the layer.
        nodes: of the layer.

    Raises:
        ConfigError: they contain no attention, or several.
    """
    return graph.append([_head_outputs(graph, name, nodes)], "heads", HeadNorms)


def head_outputs(graph: Graph, name: str, nodes: Collection[fx.Node]) -> fx.Node:
    """Return the node of the outputs of all heads, one after another, ``[batch, tokens, width]``.

    Arguments and errors are those of ``heads``.
    """
    return graph.append([_head_outputs(graph, name, nodes)], "head_outputs", JoinedHeads)


def _head_outputs(graph: Graph, name: str, nodes: Collection[fx.Node]) -> fx.Node:
    """Return the node of the outputs of heads, ``[batch, heads, tokens, head_width]``."""
    found = attentions(graph, nodes)
    if len(found) != 1:
        several = "several attentions" if found else "no attention"
        raise ConfigError(
            f"layers: '{name}' contains {several}, so that its heads cannot be read; name a layer"
            f" with one, such as {_with_attention(graph)}"
        )
    (node,) = found
    module = graph.modules[str(node.target)] if node.op == "call_module" else None
    if isinstance(module, nn.MultiheadAttention):
        inputs = _inputs(node, module, name)
        nowhere = None, (Global(), Global())
        return graph.append(inputs, "attended", lambda: HeadOutputs(module), nowhere)
    shape = traced_shape(node)
    if len(shape) != 4 or shape[0] != 1 or operation_name(node) == "shifted_window_attention":
        raise ConfigError(
            f"layers: the heads of '{name}' cannot be read, as its attention is within windows, or"
            " joins heads and images; name other units of it"
        )
    return node


def _with_attention(graph: Graph) -> str:
    calls = [module_calls(node) for node in attentions(graph)]
    return calls[0][-1][0] if calls and calls[0] else "that of a transformer's attention"


def _inputs(node: fx.Node, module: nn.MultiheadAttention, name: str) -> list[fx.Node]:
    """Return query, key and value of a call."""
    names = (
        "query", "key", "value", "key_padding_mask", "need_weights", "attn_mask",
        "average_attn_weights", "is_causal",
    )  # fmt: skip
    given: dict[str, Any] = dict(zip(names, node.args, strict=False)) | node.kwargs
    masks = [given.get(each) for each in ("key_padding_mask", "attn_mask")]
    more = module.bias_k is not None or module.add_zero_attn
    if more or any(mask is not None for mask in masks):
        raise ConfigError(
            f"layers: the heads of '{name}' cannot be read, as its attention has a mask or keys of"
            " its own; name other units of it"
        )
    return [given["query"], given["key"], given["value"]]


_NO_BLOCKS = (nn.Sequential, nn.MultiheadAttention)


def attention_blocks(graph: Graph, others: Collection[fx.Node]) -> list[str]:
    """Return the names of the blocks of a transformer, in call order.

    A block is the outermost module with a single attention and none of some other nodes; of a kind
    that every attention is in, if there is one.
    """
    kinds = {path: type(part) for path, part in graph.module.named_modules()}
    calls = [module_calls(node) for node in attentions(graph)]
    counts = Counter(call for each in calls for call in each)
    counts.update(call for node in others for call in module_calls(node))
    single = [
        [path for path, n in each if counts[path, n] == 1 and kinds.get(path) not in _NO_BLOCKS]
        for each in calls
    ]
    shared = set.intersection(*({kinds.get(path) for path in paths} for paths in single))
    blocks = [
        next((path for path in paths if not shared or kinds.get(path) in shared), "")
        for paths in single
    ]
    return [path for path in dict.fromkeys(blocks) if path]
