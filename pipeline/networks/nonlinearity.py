"""The nonlinearity that follows a layer, with what is between: from responses to activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn
from torch.fx.node import map_arg
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from pipeline.networks.graph.graph import Graph
from pipeline.networks.graph.nodes import network_users, operation_name
from pipeline.networks.layers import Layer
from pipeline.networks.units.modules import JumpReLU, TopK

MODULES = (
    nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh,
    nn.LeakyReLU, nn.LogSigmoid, nn.Mish, nn.PReLU, nn.ReLU, nn.SELU, nn.SiLU, nn.Sigmoid,
    nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink, nn.Threshold, JumpReLU, TopK,
)  # fmt: skip
NAMES = frozenset(
    [
        "celu",
        "elu",
        "gelu",
        "hardshrink",
        "hardsigmoid",
        "hardswish",
        "hardtanh",
        "leaky_relu",
        "log_sigmoid",
        "logsigmoid",
        "mish",
        "prelu",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "softplus",
        "softshrink",
        "softsign",
        "tanh",
        "tanhshrink",
        "threshold",
    ]
)
# What may lie between a layer and its nonlinearity: it treats every channel by itself.
_BETWEEN_MODULES = (nn.Dropout, nn.Dropout2d, nn.Identity)
_BETWEEN_NAMES = frozenset(("batch_norm", "clone", "contiguous", "detach", "dropout", "dropout2d"))


@dataclass(frozen=True, eq=False)
class Nonlinearity:
    """The operations on each channel that follow a layer, up to its nonlinearity.

    Attributes:
        graph: the traced network.
        layer: the layer.
        operations: in order, the last of which is the nonlinearity; none if there is none, or if
            the layer's own output is that of a nonlinearity.
        reason: why there is none, or an empty string.
    """

    graph: Graph
    layer: Layer
    operations: tuple[fx.Node, ...]
    reason: str

    def __call__(self, responses: Float[Tensor, "n units"]) -> Float[Tensor, "n units"]:
        """Return activations of all units of the layer, on the device of the network.

        Args:
            responses: of all units of the layer, in its order.

        Raises:
            ValueError: there is no nonlinearity.
        """
        if self.reason:
            raise ValueError(self.reason)
        is_map = len(self.layer.node.meta["tensor_meta"].shape) == 4
        value = responses[:, :, None, None] if is_map else responses
        last = self.layer.node
        with torch.inference_mode():
            value = value.clone()  # the nonlinearity may overwrite its input
            for node in self.operations:
                value = self._run(node, last, value)
                last = node
        return value[:, :, 0, 0] if is_map else value

    def _run(self, node: fx.Node, source: fx.Node, value: Tensor) -> Tensor:
        arguments, named = map_arg(
            (node.args, node.kwargs),
            lambda read: value if read is source else _attribute(self.graph, read),
        )
        if node.op == "call_module":
            return self.graph.modules[str(node.target)](*arguments, **named)
        if node.op == "call_method":
            return getattr(value, str(node.target))(*arguments[1:], **named)
        target: Any = node.target
        return target(*arguments, **named)


def nonlinearity(graph: Graph, layer: Layer) -> Nonlinearity:
    """Return the nonlinearity of a layer: ReLU, GELU, SiLU and others, after batch normalization.

    Only operations on single channels may lie between: a nonlinearity behind a sum of branches is
    not the layer's own. The responses of a layer that is a nonlinearity, or of a block that ends in
    one, are after it already.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU(inplace=True)).eval()
    >>> from pipeline.networks.layers import find_layers
    >>> graph = Graph(net, (4, 4), 1)
    >>> after = nonlinearity(graph, find_layers(graph, "conv1", "own")[0])
    >>> after(torch.tensor([[-1.0, 2.0]])).round(decimals=3)
    tensor([[0., 2.]])
    """
    found: list[fx.Node] = []
    node = layer.node
    if _kind(graph, node) == "nonlinearity":
        return Nonlinearity(graph, layer, (), "")
    while True:
        users = network_users(node)
        readers = [user for user in users if user in graph.operations]
        if len(readers) != 1 or len(users) > len(readers):
            return Nonlinearity(graph, layer, (), _none(layer, "several" if readers else ""))
        (node,) = readers
        found.append(node)
        kind = _kind(graph, node)
        if kind == "nonlinearity":
            return Nonlinearity(graph, layer, tuple(found), "")
        if kind != "between":
            return Nonlinearity(graph, layer, (), _none(layer, f"'{_name(node)}'"))


def _none(layer: Layer, followed: str) -> str:
    words = "several operations" if followed == "several" else followed
    return f"no nonlinearity of its own follows {layer.name}" + (f", but {words}" if words else "")


def _kind(graph: Graph, node: fx.Node) -> str:
    """Return whether an operation is a nonlinearity, may lie between, or neither."""
    if len(graph.operations[node].inputs) != 1 or _reads_computed(graph, node):
        return ""
    if node.op == "call_module":
        module = graph.modules[str(node.target)]
        if isinstance(module, MODULES):
            return "nonlinearity"
        normalizes = isinstance(module, _BatchNorm) and module.running_mean is not None
        return "between" if normalizes or isinstance(module, _BETWEEN_MODULES) else ""
    name = operation_name(node)
    if name in NAMES:
        return "nonlinearity"
    return "between" if name in _BETWEEN_NAMES else ""


def _reads_computed(graph: Graph, node: fx.Node) -> bool:
    """Return whether an operation reads numbers that are neither its input nor a weight."""
    others = [read for read in node.all_input_nodes if read not in graph.operations]
    return any(read.op != "get_attr" for read in others)


def _attribute(graph: Graph, node: fx.Node) -> Any:
    """Return the weight that a node of the graph reads."""
    value: Any = graph.traced
    for part in str(node.target).split("."):
        value = getattr(value, part)
    return value


def _name(node: fx.Node) -> str:
    return str(node.target) if node.op == "call_module" else operation_name(node)
