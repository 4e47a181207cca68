"""The network from images to the responses of some layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx

from pipeline.networks.cropping.building import frozen
from pipeline.networks.gradient_rules import PLAIN, GradientRule, apply_rule
from pipeline.networks.graph.graph import Graph
from pipeline.networks.graph.nodes import not_overwriting, overwrites
from pipeline.networks.lowering import lower


def reading_network(
    graph: Graph, nodes: Sequence[fx.Node], rule: GradientRule = PLAIN
) -> fx.GraphModule:
    """Return the part of a network that computes some nodes, in a fast form.

    It never overwrites data that another node reads, so that all layers can be kept.

    Args:
        graph: the traced network.
        nodes: nodes whose outputs are returned, as a tuple in this order.
        rule: gradient rule of ReLU and max pooling.
    """
    network = graph.truncated(nodes)
    modules: dict[int, Any] = {}
    for node in network.graph.nodes:
        if node.op == "call_module":
            original = network.get_submodule(str(node.target))
            module = modules.setdefault(id(original), frozen(original))
            if overwrites(node, module):
                module.inplace = False
            network.add_submodule(f"{node.name}_own", module)
            node.target = f"{node.name}_own"
        elif overwrites(node, None):
            node.kwargs = {k: v for k, v in node.kwargs.items() if k != "inplace"}
            node.target = not_overwriting(node.target)
    output = network.graph.output_node()
    if not isinstance(output.args[0], tuple):
        output.args = ((output.args[0],),)
    network.recompile()
    if not rule.is_plain:
        apply_rule(network, rule)
    return lower(network)
