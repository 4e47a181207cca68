"""The outputs of layers by their names, before they are read as units."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import fx

from pipeline.errors import ConfigError, nearest
from pipeline.networks.graph.graph import Graph
from pipeline.networks.graph.nodes import (
    module_calls,
    network_nodes,
    network_users,
    traced_shape,
)

OUTPUT = "output"  # names the last layer of any network


@dataclass(frozen=True)
class Output:
    """The output of a layer, before it is read.

    Attributes:
        name: of the layer.
        node: whose output it is.
        nodes: all nodes of the layer.
    """

    name: str
    node: fx.Node
    nodes: Collection[fx.Node]


def module_output(graph: Graph, name: str, convolutions: Mapping[str, str], network: str) -> Output:
    """Return the output of a module by its name.

    Args:
        graph: the traced network.
        name: of the module, with the number of the call if it is called several times.
        convolutions: modules of the network's convolutions, by their names, for messages.
        network: its name, for messages.

    Raises:
        ConfigError: there is no such module, or it has not one output.
    """
    modules = [module for module, _ in graph.module.named_modules() if module]
    module, _, number = (name, "", "") if name in modules else name.partition("@")
    if module not in modules or (number and not number.isdecimal()):
        raise ConfigError(
            f"layers: '{name}' is not in {network}, which has {_described(convolutions)}"
            f"{nearest(name, [*convolutions, *modules])}"
        )
    calls = _calls(graph, module)
    if not any(node in graph.operations for nodes in calls.values() for node in nodes):
        raise ConfigError(f"layers: '{name}' of {network} is never called on the image")
    if (int(number) not in calls) if number else (len(calls) > 1):
        raise ConfigError(
            f"layers: '{name}' of {network} is not one layer, as '{module}' is called"
            f" {len(calls)} times; name a call: {', '.join(f'{module}@{n}' for n in calls)}"
        )
    nodes = calls[int(number)] if number else next(iter(calls.values()))
    operations = [node for node in nodes if node in graph.operations]
    exits = [node for node in operations if any(u not in nodes for u in network_users(node))]
    if len(exits) != 1:
        raise ConfigError(
            f"layers: '{name}' of {network} has {len(exits)} outputs, so that its response"
            " is not one map; name a layer inside or behind it"
        )
    return Output(name, exits[0], nodes)


def _calls(graph: Graph, module: str) -> dict[int, set[fx.Node]]:
    """Return the nodes of every call of a module, by its number from 0."""
    calls: dict[int, set[fx.Node]] = {}
    for node in network_nodes(graph.traced.graph):  # also those that read sizes
        within = module_calls(node)
        numbers = [number for path, number in within if path == module]
        # A container may not be called itself, only its modules.
        inside = any(path.startswith(f"{module}.") for path, _ in within)
        if numbers or inside:
            calls.setdefault(numbers[-1] if numbers else 0, set()).add(node)
    return calls


def last_output(graph: Graph, network: str) -> Output | None:
    """Return the output of a network, whose units are classes; ``None`` if a module is named so.

    Raises:
        ConfigError: it is not one number per class.
    """
    if OUTPUT in (module for module, _ in graph.module.named_modules()):
        return None
    last = graph.traced.graph.output_node().args[0]
    if not isinstance(last, fx.Node) or len(traced_shape(last)) != 2:
        raise ConfigError(
            f"layers: the output of {network} is not one number per class, so that there is no"
            f" layer '{OUTPUT}'; name a layer of the network"
        )
    return Output(OUTPUT, last, {last})


def _described(convolutions: Mapping[str, str]) -> str:
    known = list(convolutions.items())
    if not known:
        return "no convolution"
    (first, of_first), (last, of_last) = known[0], known[-1]
    if first == last:
        return f"{first} ({of_first})"
    return f"{first} ({of_first}) to {last} ({of_last})"
