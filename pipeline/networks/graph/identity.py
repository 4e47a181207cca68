"""The identity of a network's computation: its traced operations with their arguments and shapes.

Weights alone do not identify a network: max pooling and average pooling have none. The graph itself
is digested, not its Python source, so that the digest follows what is computed, whatever file or
class it is written in, and whatever its parts are called. Only what cannot be traced is known by
its code.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from torch import fx, nn

from pipeline.networks.graph.description import Describer
from pipeline.networks.graph.nodes import is_appended, network_nodes
from pipeline.networks.graph.tracing import ancestors


class GraphIdentity(NamedTuple):
    """What a network computes.

    Attributes:
        digest: SHA-256 of its operations, without its weights.
        has_own_code: whether some operations are a user's code, which is known by its files.
    """

    digest: str
    has_own_code: bool


def graph_identity(traced: fx.GraphModule, module: nn.Module) -> GraphIdentity:
    """Return the identity of a traced network's computation.

    Weights are described by their number in the network's state dict, so that names do not matter;
    constants and buffers outside of it are described by their contents.

    Args:
        traced: the graph, with the shape of every output.
        module: the network from which it was traced; its weights have a separate digest.

    Raises:
        ConfigError: the code of an untraced part cannot be found.
    """
    weights = module.state_dict(keep_vars=True).values()
    describe = Describer({id(tensor): number for number, tensor in enumerate(weights)})
    digest = hashlib.sha256()
    numbers: dict[fx.Node, int] = {}
    for number, node in enumerate(network_nodes(traced.graph)):
        numbers[node] = number
        arguments = fx.map_arg((node.args, node.kwargs), lambda other: f"%{numbers[other]}")
        shapes = node.meta.get("tensor_meta")
        for value in (_called(traced, node), arguments, shapes):
            digest.update("\n".join([node.op, *describe(value), ""]).encode())
    return GraphIdentity(digest.hexdigest(), bool(describe.own_code))


def layer_identity(node: fx.Node) -> int | str:
    """Return what tells a layer apart from all others of the same network.

    This is the number of its node, from 0. For a node that was appended to the network, it is the
    number of the node that it reads, followed by a digest of what was appended: its operations,
    their arguments and their weights.

    Raises:
        ConfigError: the code of what was appended cannot be found.
    """
    traced: Any = node.graph.owning_module
    numbers = {each: number for number, each in enumerate(network_nodes(node.graph))}
    if not is_appended(node):
        return numbers[node]
    if _IDENTITY not in node.meta:
        appended = [each for each in ancestors(node.graph, [node]) if is_appended(each)]
        places = numbers | {each: f"+{place}" for place, each in enumerate(appended)}
        describe, digest = Describer({}), hashlib.sha256()
        for each in appended:
            sources = [str(places[source]) for source in each.all_input_nodes]
            for value in (_called(traced, each), sources):
                digest.update("\n".join([*describe(value), ""]).encode())
        first = next(numbers[n] for n in appended[0].all_input_nodes)
        node.meta[_IDENTITY] = f"{first}:{digest.hexdigest()[:16]}"
    return node.meta[_IDENTITY]


_IDENTITY = "identity"


def _called(traced: fx.GraphModule, node: fx.Node) -> Any:
    """Return the function, module or attribute that a node uses."""
    if node.op == "call_module":
        return traced.get_submodule(str(node.target))
    if node.op == "get_attr":
        owner, _, name = str(node.target).rpartition(".")
        return getattr(traced.get_submodule(owner), name)
    return node.target if node.op in ("call_function", "call_method") else None
