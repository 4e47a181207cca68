"""In-place operations, followed through a graph."""

from __future__ import annotations

import operator
from collections.abc import Mapping

from torch import fx, nn

from pipeline.networks.graph.nodes import operation_name, overwrites


class UntraceableError(Exception):
    """The graph does not compute the same as the network."""


def refuse_aliases(traced: fx.GraphModule) -> None:
    """Reject a graph in which overwritten data is read later through an alias.

    torch.fx does not see that a slice or a view shares its memory; torch.export does.
    """
    modules = dict(traced.named_modules())
    order = {node: index for index, node in enumerate(traced.graph.nodes)}
    for node in traced.graph.nodes:
        if node.target is operator.setitem:
            raise UntraceableError(f"{node.name} sets a part of a tensor")
        if not overwrites(node, modules.get(str(node.target))) or not node.all_input_nodes:
            continue
        names = _aliases(node, modules)
        later = [user for name in names for user in name.users if order[user] > order[node]]
        if later:
            raise UntraceableError(f"{node.name} overwrites what {later[0].name} reads")


def _aliases(node: fx.Node, modules: Mapping[str, nn.Module]) -> set[fx.Node]:
    """Return other nodes whose output may share memory with what a node overwrites."""
    source = node.all_input_nodes[0]
    found, waiting = {source}, [source]
    while waiting:
        one = waiting.pop()
        near = [user for user in one.users if user is not node and _shares(user, modules)]
        near += one.all_input_nodes[:1] if _shares(one, modules) else []
        waiting += [other for other in near if other not in found]
        found.update(near)
    return found - {source}


_SHARING = """
    chunk contiguous detach dropout dropout2d expand flatten float getitem narrow permute reshape
    slice split select squeeze stochastic_depth to transpose unsqueeze view
"""


_SHARING_MODULES = (nn.Dropout, nn.Dropout2d, nn.Identity, nn.Flatten)


def _shares(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Return whether the output of a node may share memory with its first input."""
    if node.op == "call_module":
        return isinstance(modules.get(str(node.target)), _SHARING_MODULES)
    return node.op in ("call_function", "call_method") and operation_name(node) in _SHARING.split()


def follow_overwriting(traced: fx.GraphModule) -> None:
    """Make later readers of an overwritten tensor read the result instead."""
    modules = dict(traced.named_modules())
    order = {node: index for index, node in enumerate(traced.graph.nodes)}
    for node in traced.graph.nodes:
        if not overwrites(node, modules.get(str(node.target))):
            continue
        source = node.args[0] if node.args else None
        if isinstance(source, fx.Node):
            for user in [user for user in source.users if order[user] > order[node]]:
                user.replace_input_with(source, node)
