"""Layers by name.

A layer is one call of a module of the network; its units are the channels of its output. The
response of a unit is the module's own output: before the nonlinearity that follows a convolution,
but after the one at the end of a block. Layers are named by torch's dotted module names or, for
convolutions, ``convN`` in call order, from 1; the last of any network is ``output``, whose units
are its classes. The calls of a module that is called several times are ``again@0``, ``again@1`` and
so on, as PyTorch writes them in traces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, fx, nn

from pipeline.errors import ConfigError, nearest
from pipeline.networks.graph.graph import Graph
from pipeline.networks.graph.nodes import operation_name, traced_shape
from pipeline.networks.graph.opaque import Opaque
from pipeline.networks.receptive_fields import center

OUTPUT = "output"  # names the last layer of any network


@dataclass(frozen=True)
class Layer:
    """One layer of a traced network.

    Attributes:
        name: ``convN`` for a convolution, the dotted module name for anything else.
        module: the dotted module name; of a convolution by a function, that of its weight.
        call: the module, with the number of the call if there are several (``again@1``).
        node: the node whose output is the response.
        units: number of units (channels).
        map_size: rows and columns of units at the traced input size; (1, 1) for a vector.
        center: the only row and column whose units are used; ``None`` if all are
            (``receptive_fields.center``).
    """

    name: str
    module: str
    call: str
    node: fx.Node
    units: int
    map_size: tuple[int, int]
    center: tuple[int | None, int | None] = (None, None)

    def __repr__(self) -> str:
        rows, columns = self.map_size
        return f"Layer({self.name}: module {self.call}, {self.units} units, map {rows} x {columns})"

    @property
    def number(self) -> int:
        """The number of its node in the graph, from 0, by which keys know it under any name."""
        return list(self.node.graph.nodes).index(self.node)

    def looked_at(
        self, responses: Float[Tensor, "batch units rows columns"]
    ) -> Float[Tensor, "batch units seen_rows seen_columns"]:
        """Return the part of the layer's map that is used: its center, or all of it."""
        row, column = self.center
        rows = slice(None) if row is None else slice(row, row + 1)
        columns = slice(None) if column is None else slice(column, column + 1)
        return responses[:, :, rows, columns]

    def place(
        self, positions: Int[np.ndarray, "*_"]
    ) -> tuple[Int[np.ndarray, "*_"], Int[np.ndarray, "*_"]]:
        """Return rows and columns on the map for row-major positions in the used part."""
        row, column = self.center
        rows, columns = np.divmod(positions, self.map_size[1] if column is None else 1)
        return rows + (row or 0), columns + (column or 0)


def convolutions(graph: Graph) -> list[Layer]:
    """Return the two-dimensional convolutions in call order, named ``conv1`` to ``convN``.

    They include modules, custom modules that call PyTorch's function, and calls of the function
    itself.
    """
    nodes = [node for node in graph.operations if _convolves(graph, node)]
    modules = [_convolution_name(node, nodes) for node in nodes]
    calls = _numbered(modules)
    return [
        _layer(graph, f"conv{number}", module, call, node)
        for number, (node, module, call) in enumerate(zip(nodes, modules, calls, strict=True), 1)
    ]


def _convolves(graph: Graph, node: fx.Node) -> bool:
    if node.op != "call_module":
        return operation_name(node) == "conv2d"
    module = graph.modules[str(node.target)]
    if isinstance(module, Opaque):
        module = module.network.get_submodule(module.name)
    return isinstance(module, nn.Conv2d)


def _convolution_name(node: fx.Node, others: Sequence[fx.Node]) -> str:
    """Return the module of a convolution, or its weight if several share a module."""
    owner = _owner(node)
    if owner[0] and sum(_owner(other) == owner for other in others) == 1:
        return owner[0]
    weight = node.args[1] if len(node.args) > 1 else node.kwargs.get("weight")
    if isinstance(weight, fx.Node) and weight.op == "get_attr":
        return str(weight.target)
    return f"{owner[0]}.{node.name}".lstrip(".")


def _numbered(names: Sequence[str]) -> list[str]:
    """Return names, with the number of the call from 0 for names that occur several times."""
    return [
        name if names.count(name) == 1 else f"{name}@{names[:index].count(name)}"
        for index, name in enumerate(names)
    ]


def _owner(node: fx.Node) -> tuple[str, int]:
    """Return the innermost module that a node belongs to, and the number of its call."""
    calls = _module_calls(node)
    return calls[-1] if calls else ("", 0)


def _module_calls(node: fx.Node) -> list[tuple[str, int]]:
    """Return the calls of modules that contain a node or are it, from the outermost.

    PyTorch records them with the number of the call after an ``@``, from the second call on.
    """
    stack = node.meta.get("nn_module_stack") or {}
    calls = [(str(entry[0]), _number(str(key))) for key, entry in stack.items()]
    if not calls and node.op == "call_module":  # opaque
        calls = [(str(node.target).partition("@")[0], _number(str(node.target)))]
    return calls


def _number(key: str) -> int:
    number = key.rpartition("@")[2]
    return int(number) if "@" in key and number.isdecimal() else 0


def find_layers(graph: Graph, names: str | Sequence[str], network: str) -> list[Layer]:
    """Return the named layers, in call order, each once.

    Args:
        graph: the traced network.
        names: ``all`` (every convolution), or names of layers.
        network: the network's name, for error messages.

    Raises:
        ConfigError: a name is not a layer of the network, or not one with a map of units.
    """
    convs = convolutions(graph)
    if names == "all":
        if not convs:
            raise ConfigError(
                f"layers: {network} has no convolution, and 'all' means all of them; name layers,"
                f" such as {OUTPUT}{_other_layers(graph)}"
            )
        _refuse_transposed(graph, convs, network)
        return convs
    wanted = [names] if isinstance(names, str) else list(names)
    if not wanted:
        raise ConfigError("layers: the list is empty; name at least one layer, or 'all'")
    modules = {path for path, _ in graph.module.named_modules()}
    # A module's name stands for its output, which may be more than its convolution.
    by_name = {x.call: x for x in convs if x.call.partition("@")[0] not in modules}
    by_name |= {layer.name: layer for layer in convs}
    of_nodes = {layer.node: layer for layer in convs}
    asked = [_find(graph, name, by_name, network) for name in wanted]
    found = {layer.node: of_nodes.get(layer.node, layer) for layer in asked}
    order = list(graph.traced.graph.nodes)
    layers = sorted(found.values(), key=lambda layer: order.index(layer.node))
    _refuse_transposed(graph, layers, network)
    return layers


def _refuse_transposed(graph: Graph, layers: Sequence[Layer], network: str) -> None:
    """Reject layers after a transposed convolution.

    Its windows overlap in a pattern that repeats with the stride: the fields of neighboring units
    are not shifted copies but alternate between several shapes, so that a patch or ascent at one
    position would not represent the channel.
    """
    for layer in layers:
        for node in graph.ancestors(layer.node):
            module = graph.modules.get(str(node.target)) if node.op == "call_module" else None
            named = node.op != "call_module" and "conv_transpose" in operation_name(node)
            if isinstance(module, nn.ConvTranspose2d) or named:
                raise ConfigError(
                    f"layers: '{layer.name}' of {network} lies behind the transposed convolution"
                    f" '{operation_name(node) if named else node.target}', whose units see"
                    " fields that alternate in size; name layers before it"
                )


def _find(graph: Graph, name: str, convs: dict[str, Layer], network: str) -> Layer:
    if name in convs:
        return convs[name]
    modules = [module for module, _ in graph.module.named_modules() if module]
    if name == OUTPUT and name not in modules:
        return _output(graph, network)
    module, _, number = (name, "", "") if name in modules else name.partition("@")
    if module not in modules or (number and not number.isdecimal()):
        raise ConfigError(
            f"layers: '{name}' is not in {network}, which has {_describe(list(convs.values()))}"
            f"{nearest(name, [*convs, *modules])}"
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
    exits = [node for node in operations if any(user not in nodes for user in node.users)]
    if len(exits) != 1:
        raise ConfigError(
            f"layers: '{name}' of {network} has {len(exits)} outputs, so that its response"
            " is not one map; name a layer inside or behind it"
        )
    return _layer(graph, name, module, name, exits[0])


def _calls(graph: Graph, module: str) -> dict[int, set[fx.Node]]:
    """Return the nodes of every call of a module, by its number from 0."""
    calls: dict[int, set[fx.Node]] = {}
    for node in graph.traced.graph.nodes:  # also those that read sizes
        within = _module_calls(node)
        numbers = [number for path, number in within if path == module]
        # A container may not be called itself, only its modules.
        inside = any(path.startswith(f"{module}.") for path, _ in within)
        if numbers or inside:
            calls.setdefault(numbers[-1] if numbers else 0, set()).add(node)
    return calls


def _other_layers(graph: Graph) -> str:
    """Return the first modules that are layers, as a list of alternatives."""
    modules = dict.fromkeys(path for node in graph.operations for path, _ in _module_calls(node))
    return "".join(f" or '{path}'" for path in [*filter(None, modules)][:3])


def _output(graph: Graph, network: str) -> Layer:
    """Return the last layer of a network, whose units are classes."""
    last = graph.traced.graph.output_node().args[0]
    if not isinstance(last, fx.Node) or len(traced_shape(last)) != 2:
        raise ConfigError(
            f"layers: the output of {network} is not one number per class, so that there is no"
            f" layer '{OUTPUT}'; name a layer of the network"
        )
    return _layer(graph, OUTPUT, OUTPUT, OUTPUT, last)


def _describe(convs: list[Layer]) -> str:
    unique = list({layer.node: layer for layer in convs}.values())
    if not unique:
        return "no convolution"
    first, last = unique[0], unique[-1]
    if first is last:
        return f"{first.name} ({first.module})"
    return f"{first.name} ({first.module}) to {last.name} ({last.module})"


def _layer(graph: Graph, name: str, module: str, call: str, node: fx.Node) -> Layer:
    shape = list(getattr(node.meta["tensor_meta"], "shape", ()))
    if len(shape) == 4 and graph.operations[node].axes is None:
        called = node.target if node.op == "call_module" else operation_name(node)
        raise ConfigError(
            f"layers: the positions of '{name}' cannot be traced back to the image, because of"
            f" '{called}' or an operation before it; name an earlier layer"
        )
    if len(shape) not in (2, 4) or (len(shape) == 4 and graph.operations[node].axes != (2, 3)):
        raise ConfigError(
            f"layers: the output of '{name}' has shape {tuple(shape)}, not [1, units] or"
            " [1, units, rows, columns]; name another layer"
        )
    map_size = (shape[2], shape[3]) if len(shape) == 4 else (1, 1)
    return Layer(name, module, call, node, shape[1], map_size, center(graph, node))
