"""Layers and units by name.

A layer is one module of the network, called once; its units are the channels of its output. The
response of a unit is the module's own output: before the nonlinearity that follows a convolution,
but after the one that a block ends with. Layers are named by torch's dotted module names or, for
convolutions, ``convN`` in call order, from 1; the last of any network is ``output``, whose units
are its classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, fx, nn

from pipeline.errors import ConfigError, nearest
from pipeline.networks.graph import Graph
from pipeline.networks.nodes import operation_name, traced_shape
from pipeline.networks.receptive_fields import center

OUTPUT = "output"  # names the last layer of any network


@dataclass(frozen=True)
class Layer:
    """One layer of a traced network.

    Attributes:
        name: ``convN`` for a convolution, the dotted module name for anything else.
        module: the dotted module name.
        index: place among the calls of leaf modules, from 0.
        node: the node whose output is the response.
        units: number of units (channels).
        map_size: rows and columns of units at the traced input size; (1, 1) for a vector.
        center: the row and the column at which alone units are looked at, ``None`` for all
            (``receptive_fields.center``).
    """

    name: str
    module: str
    index: int
    node: fx.Node
    units: int
    map_size: tuple[int, int]
    center: tuple[int | None, int | None] = (None, None)

    def looked_at(
        self, responses: Float[Tensor, "batch units rows columns"]
    ) -> Float[Tensor, "batch units seen_rows seen_columns"]:
        """Return the part of the layer's map that is looked at."""
        row, column = self.center
        rows = slice(None) if row is None else slice(row, row + 1)
        columns = slice(None) if column is None else slice(column, column + 1)
        return responses[:, :, rows, columns]

    def place(
        self, positions: Int[np.ndarray, "*_"]
    ) -> tuple[Int[np.ndarray, "*_"], Int[np.ndarray, "*_"]]:
        """Return rows and columns on the map of row-major positions in what is looked at."""
        row, column = self.center
        rows, columns = np.divmod(positions, self.map_size[1] if column is None else 1)
        return rows + (row or 0), columns + (column or 0)


def convolutions(graph: Graph) -> list[Layer]:
    """Return the convolutions in call order, named ``conv1`` to ``convN``."""
    found = []
    for node in graph.operations:
        if node.op == "call_module" and isinstance(
            graph.module.get_submodule(str(node.target)), nn.Conv2d
        ):
            found.append(_layer(graph, f"conv{len(found) + 1}", str(node.target), node))
    return found


def find_layers(graph: Graph, names: str | Sequence[str], network: str) -> list[Layer]:
    """Return the layers asked for, in call order, each once.

    Args:
        graph: the traced network.
        names: ``all`` (every convolution), or names of layers.
        network: the network's name, for error messages.

    Raises:
        ConfigError: a name is not a layer of the network, or not one with a map of units.
    """
    convs = convolutions(graph)
    if names == "all":
        _refuse_transposed(graph, convs, network)
        return convs
    wanted = [names] if isinstance(names, str) else list(names)
    if not wanted:
        raise ConfigError("layers: the list is empty; name at least one layer, or 'all'")
    by_name = {layer.name: layer for layer in convs}
    calls = [layer.module for layer in convs]
    by_name |= {layer.module: layer for layer in convs if calls.count(layer.module) == 1}
    found = {
        layer.node: layer for name in wanted for layer in [_find(graph, name, by_name, network)]
    }
    order = list(graph.traced.graph.nodes)
    layers = sorted(found.values(), key=lambda layer: order.index(layer.node))
    _refuse_transposed(graph, layers, network)
    return layers


def _refuse_transposed(graph: Graph, layers: Sequence[Layer], network: str) -> None:
    """Refuse layers behind a transposed convolution.

    Its windows overlap in a pattern that repeats with the stride: neighboring units do not see the
    same field, only shifted, but a few different ones by turns, so that no patch or ascent at one
    position would stand for the channel.
    """
    for layer in layers:
        for node in graph.ancestors(layer.node):
            module = graph.modules.get(str(node.target)) if node.op == "call_module" else None
            named = node.op != "call_module" and "conv_transpose" in operation_name(node)
            if isinstance(module, nn.ConvTranspose2d) or named:
                raise ConfigError(
                    f"layers: '{layer.name}' of {network} lies behind the transposed convolution"
                    f" '{node.target}', whose units see different fields by turns; name layers"
                    " before it"
                )


def _find(graph: Graph, name: str, convs: dict[str, Layer], network: str) -> Layer:
    if name in convs:
        return convs[name]
    modules = [module for module, _ in graph.module.named_modules() if module]
    if name == OUTPUT and name not in modules:
        return _output(graph, network)
    if name not in modules:
        raise ConfigError(
            f"layers: '{name}' is not in {network}, which has {_describe(list(convs.values()))}"
            f"{nearest(name, [*convs, *modules])}"
        )
    calls = [node for node in graph.operations if _belongs(node, name)]
    if not calls:
        raise ConfigError(f"layers: '{name}' of {network} is never called on the image")
    exits = {node for node in calls if any(not _belongs(user, name) for user in node.users)}
    if len(exits) != 1:
        raise ConfigError(
            f"layers: '{name}' of {network} has {len(exits)} outputs or calls, so that its response"
            " is not one map; name a layer inside or behind it"
        )
    return _layer(graph, name, name, exits.pop())


def _output(graph: Graph, network: str) -> Layer:
    """Return the last layer of a network, whose units are classes."""
    last = graph.traced.graph.output_node().args[0]
    if not isinstance(last, fx.Node) or len(traced_shape(last)) != 2:
        raise ConfigError(
            f"layers: the output of {network} is not one number per class, so that there is no"
            f" layer '{OUTPUT}'; name a layer of the network"
        )
    return _layer(graph, OUTPUT, OUTPUT, last)


def _belongs(node: fx.Node, module: str) -> bool:
    """Say whether a node is a call of ``module`` or lies inside one."""
    if node.op == "call_module":
        target = str(node.target)
        return target == module or target.startswith(f"{module}.")
    stack = node.meta.get("nn_module_stack") or {}
    paths = [entry[0] for entry in stack.values()]
    return any(path == module or path.startswith(f"{module}.") for path in paths)


def _describe(convs: list[Layer]) -> str:
    unique = list({layer.node: layer for layer in convs}.values())
    if not unique:
        return "no convolution"
    first, last = unique[0], unique[-1]
    if first is last:
        return f"{first.name} ({first.module})"
    return f"{first.name} ({first.module}) to {last.name} ({last.module})"


def _layer(graph: Graph, name: str, module: str, node: fx.Node) -> Layer:
    shape = list(getattr(node.meta["tensor_meta"], "shape", ()))
    if len(shape) not in (2, 4) or (len(shape) == 4 and graph.operations[node].axes != (2, 3)):
        raise ConfigError(
            f"layers: the output of '{name}' has shape {tuple(shape)}, not [1, units] or"
            " [1, units, rows, columns]; name another layer"
        )
    calls = [call for call in graph.traced.graph.nodes if call.op == "call_module"]
    index = calls.index(node) if node in calls else -1
    map_size = (shape[2], shape[3]) if len(shape) == 4 else (1, 1)
    return Layer(name, module, index, node, shape[1], map_size, center(graph, node))


def parse_units(selection: object) -> slice | list[int] | None:
    """Read a selection of units: ``all``, a list of numbers, one number, or ``a:b``.

    Returns:
        ``None`` for all units, a slice or a sorted list without repeats otherwise.

    Raises:
        ConfigError: the selection is none of these.
    """
    message = f"units: {selection!r} is not 'all', a number, a list of numbers or a range like 0:64"
    if selection == "all":
        return None
    if isinstance(selection, str) and ":" in selection:
        try:
            bounds = [int(part) if part.strip() else None for part in selection.split(":")]
        except ValueError:
            raise ConfigError(message) from None
        if len(bounds) != 2 or any(bound is not None and bound < 0 for bound in bounds):
            raise ConfigError(message)
        return slice(*bounds)
    numbers = list(selection) if isinstance(selection, Sequence) else [selection]
    if isinstance(selection, str) and selection.isdecimal():
        numbers = [int(selection)]
    valid = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers)
    if not numbers or not valid:
        raise ConfigError(message)
    return sorted({n for n in numbers if isinstance(n, int)})


def select_units(selection: object, layer: Layer) -> list[int]:
    """Return the unit numbers that a selection means in one layer.

    Raises:
        ConfigError: a unit is beyond the layer's last, or none is left.
    """
    parsed = parse_units(selection)
    if parsed is None:
        return list(range(layer.units))
    last = layer.units - 1
    if isinstance(parsed, slice):
        beyond = (parsed.stop or 0) > layer.units or (parsed.start or 0) > last
        units = list(range(layer.units))[parsed]
        if not units and not beyond:
            raise ConfigError(f"units: {selection!r} selects no unit; use a range like 0:64")
    else:
        beyond = parsed[-1] > last
        units = parsed
    if beyond:
        raise ConfigError(
            f"units: {selection!r} goes beyond {layer.name}, which has units 0 to {last}"
        )
    return units
