"""Layers by name.

A layer is one call of a module of the network; its units are the channels of its output. The
response of a unit is the module's own output: before the nonlinearity that follows a convolution,
but after the one at the end of a block. Layers are named by torch's dotted module names or, for
convolutions, ``convN`` in call order, from 1; the last of any network is ``output``, whose units
are its classes. The calls of a module that is called several times are ``again@0``, ``again@1`` and
so on, as PyTorch writes them in traces. Readouts follow a colon, as in ``conv4:channel_mean``: what
else than channels at positions units may be (``units/``).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, fx, nn

from pipeline.errors import ConfigError
from pipeline.networks.graph.graph import Graph
from pipeline.networks.graph.identity import layer_identity
from pipeline.networks.graph.nodes import (
    is_appended,
    module_calls,
    operation_name,
)
from pipeline.networks.graph.opaque import Opaque
from pipeline.networks.receptive_fields import center
from pipeline.networks.units.attention import attention_blocks, attentions
from pipeline.networks.units.chains import SEPARATOR, read
from pipeline.networks.units.outputs import OUTPUT, Output, last_output, module_output


@dataclass(frozen=True)
class Layer:
    """One layer of a traced network.

    Attributes:
        name: ``convN`` for a convolution, the dotted module name for anything else; followed by
            its readouts, if it has some.
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
    def identity(self) -> int | str:
        """What keys and seeds know it by under any name: the number of its node, from 0.

        A layer with a readout has that of the node that is read, and a digest of the readout.
        """
        return layer_identity(self.node)

    @property
    def number(self) -> int:
        """The number of its node, or of the node that its readout reads, in call order."""
        return int(str(self.identity).partition(":")[0])

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
    if is_appended(node):
        return False
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
    calls = module_calls(node)
    return calls[-1] if calls else ("", 0)


def find_layers(graph: Graph, names: str | Sequence[str], network: str) -> list[Layer]:
    """Return the named layers, in call order, each once.

    Args:
        graph: the traced network.
        names: ``all`` (``all_layers``), or names of layers.
        network: the network's name, for error messages.

    Raises:
        ConfigError: a name is not a layer of the network, or not one with a map of units.
    """
    if names == "all":
        return all_layers(graph, network)
    convs = convolutions(graph)
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
    # The readouts of a node come behind it, in the order in which they are asked for.
    layers = sorted(found.values(), key=lambda layer: (layer.number, is_appended(layer.node)))
    _refuse_transposed(graph, layers, network)
    return layers


def all_layers(graph: Graph, network: str) -> list[Layer]:
    """Return every convolution; of a transformer, also the output of every block.

    A transformer is a network that convolves only before its first attention. Blocks whose output
    has no positions are left out.

    Raises:
        ConfigError: there is none, or one lies behind a transposed convolution.
    """
    layers = convolutions(graph)
    order = {node: number for number, node in enumerate(graph.operations)}
    found = attentions(graph)
    if found and all(order[layer.node] < order[found[0]] for layer in layers):
        by_name = {layer.name: layer for layer in layers}
        for name in attention_blocks(graph, [layer.node for layer in by_name.values()]):
            with suppress(ConfigError):
                layers.append(_find(graph, name, by_name, network))
    if not layers:
        raise ConfigError(
            f"layers: {network} has no convolution, and 'all' means all of them; name layers,"
            f" such as {OUTPUT}{_other_layers(graph)}"
        )
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
    whole = name in convs or name in dict(graph.module.named_modules())
    own, *readouts = [name] if whole else name.split(SEPARATOR)
    if own in convs:
        layer = convs[own]
        if not readouts:
            return layer
        output = Output(own, layer.node, {layer.node})
        module, call = layer.module, layer.call
    else:
        output = last_output(graph, network) if own == OUTPUT else None
        known = {layer.name: layer.module for layer in convs.values()}
        output = output or module_output(graph, own, known, network)
        module, call = own.partition("@")[0], own
    return _layer(graph, name, module, call, read(graph, output, readouts))


def _other_layers(graph: Graph) -> str:
    """Return the first modules that are layers, as a list of alternatives."""
    modules = dict.fromkeys(path for node in graph.operations for path, _ in module_calls(node))
    return "".join(f" or '{path}'" for path in [*filter(None, modules)][:3])


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
            f"layers: the output of '{name}' has shape {tuple(shape)}, not [1, units],"
            " [1, units, rows, columns] or [1, tokens, units]; name another layer"
        )
    map_size = (shape[2], shape[3]) if len(shape) == 4 else (1, 1)
    return Layer(name, module, call, node, shape[1], map_size, center(graph, node))
