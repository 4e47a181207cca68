"""Tracing: from a network to the graph of its operations.

torch.fx comes first. Networks whose Python code it cannot follow (branches on shapes, loops over
them) are exported with torch.export, and calls of leaf modules are restored, so that both graphs
have the same form. If both fail, the graph consists of opaque layers: each is the whole network,
run until the layer has responded.
"""

from __future__ import annotations

import inspect
import io
import logging
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate
from torch.utils._pytree import tree_leaves

from pipeline.errors import NetworkError, first_line
from pipeline.networks.graph.exporting import exported, has_hooks, is_leaf
from pipeline.networks.graph.opaque import opaque_layers
from pipeline.networks.graph.overwriting import UntraceableError, follow_overwriting, refuse_aliases

log = logging.getLogger(__name__)
_TRACING = threading.Lock()  # held while torch.fx intercepts calls of modules


def trace(module: nn.Module, input_size: tuple[int, int], channels: int = 3) -> fx.GraphModule:
    """Return the graph of a network, with the shape of every tensor in it.

    In-place operations are followed: later readers of the input read the result.

    Args:
        module: the network, in eval mode, from images ``[batch, channels, height, width]``.
        input_size: height and width at which shapes are traced.
        channels: number of channels of an image.

    Raises:
        NetworkError: the network does not run at this size.
    """
    parameter = next(module.parameters(), torch.empty(0))
    image = torch.zeros(1, channels, *input_size, dtype=parameter.dtype, device=parameter.device)
    try:
        traced = _traced(module, image)
        with torch.no_grad():
            _Shapes(traced).run(image)
    except NetworkError:
        raise
    except Exception as error:  # a network may raise anything
        reason = first_line(error.__cause__ or error)
        message = f"model: the network does not run at {input_size} pixels ({reason})"
        raise NetworkError(message) from error
    follow_overwriting(traced)
    _reshape_for_view(traced)
    traced.recompile()
    return traced


class Shaped(NamedTuple):
    """The recorded shape and type of a tensor."""

    shape: torch.Size
    dtype: torch.dtype


class _Shapes(fx.Interpreter):
    """Runs a graph and records shapes as ``tensor_meta``, like torch's ShapeProp.

    ShapeProp itself loads SymPy, which takes a third as long as loading torch.
    """

    def run_node(self, n: fx.Node) -> Any:
        """Run an operation and record the shape of its output."""
        try:
            result = super().run_node(n)
        except Exception as error:
            # The interpreter would add internal details to the error.
            raise RuntimeError(f"'{n.name}' does not run") from error
        tensors: list[Tensor] = []

        def note(part: Any) -> Any:
            if not isinstance(part, Tensor):
                return part
            tensors.append(part)
            return Shaped(part.shape, part.dtype)

        noted = map_aggregate(result, note)
        if tensors:
            n.meta["tensor_meta"] = noted
        return result


def _traced(module: nn.Module, image: Tensor) -> fx.GraphModule:
    reasons: list[str] = []
    for follow in (
        _symbolically_traced,
        lambda module: exported(module, image, functional=False),
        lambda module: exported(module, image, functional=True),
    ):
        try:
            traced = follow(module)
            refuse_aliases(traced)
            _refuse_another(traced, module, image)
        except Exception as error:  # noqa: BLE001 - a network may raise anything during tracing
            reasons.append(first_line(error))
        else:
            return traced
    opaque = opaque_layers(module, image)
    log.warning(
        "model: cannot be traced (fx: %s; export: %s), so units are computed with the whole "
        "network, and their receptive field is the whole image",
        reasons[0],
        reasons[-1],
    )
    return opaque


class _Tracer(fx.Tracer):
    """A tracer that only records calls of its own thread.

    While torch.fx traces, it intercepts calls and attributes of all modules, including those that
    other threads run at the same time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether a module is one operation (``exporting.is_leaf``)."""
        return is_leaf(m, module_qualified_name)

    def create_args_for_root(
        self, root_fn: Any, is_module: bool, concrete_args: Any = None
    ) -> tuple[Any, list[Any]]:
        """Pass only the image to the network; other arguments have their defaults."""

        def of_image(module: nn.Module, images: Tensor) -> Any:
            return root_fn(module, images)

        takes = inspect.signature(root_fn).parameters.values()
        optional = any(parameter.default is not parameter.empty for parameter in takes)
        root = of_image if is_module and optional else root_fn
        return super().create_args_for_root(root, is_module, concrete_args)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """Record a call; for another thread, just make it."""
        if threading.get_ident() != self.thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, tuple(args), dict(kwargs))

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Record the reading of an attribute; for another thread, just read it."""
        if threading.get_ident() != self.thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


def _symbolically_traced(module: nn.Module) -> fx.GraphModule:
    with _TRACING, _unchanged(module):
        tracer = _Tracer()
        graph = tracer.trace(module)
        # Tensors that the forward pass makes of constants and buffers; torch.fx notes them here.
        made = {k: v for k, v in vars(module).items() if k.startswith("_tensor_constant")}
    with _unchanged(module):
        vars(module).update(made)
        return fx.GraphModule(tracer.root, graph, type(module).__name__)


@contextmanager
def _unchanged(module: nn.Module) -> Generator[None]:
    """Undo assignments of a forward pass to its modules: during tracing, the values are proxies."""
    tables = [
        table
        for part in module.modules()
        for table in (vars(part), vars(part)["_buffers"], vars(part)["_parameters"])
    ]
    before = [dict(table) for table in tables]
    try:
        yield
    finally:
        for table, kept in zip(tables, before, strict=True):
            for name in [name for name in table if name not in kept]:
                del table[name]
            table.update({n: value for n, value in kept.items() if table.get(n) is not value})


def _refuse_another(traced: fx.GraphModule, module: nn.Module, image: Tensor) -> None:
    """Reject a graph whose outputs differ from the network's on random pixels.

    torch.fx treats ``a += b`` as ``a = a + b``, which is different if ``a`` is read elsewhere.
    """
    pixels = torch.randn(image.shape, generator=torch.Generator().manual_seed(0)).to(image)
    # What nobody reads is left out, as it is where the network is cut off at a layer.
    output = traced.graph.output_node()
    used = truncated(traced, output.all_input_nodes)

    def outputs(images: Tensor) -> list[Any]:
        values = dict(zip(output.all_input_nodes, tree_leaves(used(images)), strict=True))
        # A network may return the same twice, and what is no tensor.
        return [values.get(leaf, leaf) for leaf in tree_leaves(output.args[0])]

    with torch.no_grad(), redirect_stderr(io.StringIO()):  # fx prints a traceback and raises
        found, expected = outputs(pixels), module(pixels)
    pairs = zip(found, tree_leaves(expected), strict=True)
    for one, other in pairs:
        if isinstance(one, Tensor) and not torch.allclose(one, other, 1e-4, 1e-4, equal_nan=True):
            raise UntraceableError("the traced network computes something else")
    if any(_is_own(part) or has_hooks(part) for part in module.modules()):
        _refuse_another_gradient(outputs, module, pixels)


def _is_own(module: nn.Module) -> bool:
    home = type(module).__module__.partition(".")[0]
    return home not in ("torch", "torchvision", "pipeline")


def _refuse_another_gradient(
    traced: Callable[[Tensor], Any], module: nn.Module, pixels: Tensor
) -> None:
    """Refuse a graph with another gradient: functions of a user's own may have one of their own."""
    try:
        expected = _gradient(module, pixels)
    except RuntimeError:
        return  # the network has none
    found = _gradient(traced, pixels)
    scale = float(expected.nan_to_num().abs().max())
    if not torch.allclose(found, expected, 1e-3, 1e-4 * scale, equal_nan=True):
        raise UntraceableError("the traced network has another gradient")


def _gradient(module: Callable[[Tensor], Any], pixels: Tensor) -> Tensor:
    """Return the gradient of some weighted sum of all outputs; zeros where none depends on it."""
    images = pixels.clone().requires_grad_()
    total = images.sum() * 0
    for output in tree_leaves(module(images)):
        if isinstance(output, Tensor) and output.is_floating_point():
            numbers = torch.arange(output.numel(), device=output.device)
            total = total + (output.flatten() * (1.0 + numbers % 7)).sum()
    return torch.autograd.grad(total, images)[0]


def ancestors(graph: fx.Graph, nodes: Iterable[fx.Node]) -> list[fx.Node]:
    """Return every node that some nodes depend on, themselves included, in call order."""
    needed = set(nodes)
    for candidate in reversed(graph.nodes):
        if candidate in needed:
            needed.update(candidate.all_input_nodes)
    return [candidate for candidate in graph.nodes if candidate in needed]


def truncated(traced: fx.GraphModule, nodes: Iterable[fx.Node]) -> fx.GraphModule:
    """Return the part of a network that computes some nodes, sharing its weights.

    With one node the result returns its output, with several a tuple.
    """
    wanted = list(nodes)
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in ancestors(traced.graph, wanted):
        copies[node] = graph.node_copy(node, lambda old: copies[old])
    outputs = tuple(copies[node] for node in wanted)
    graph.output(outputs[0] if len(outputs) == 1 else outputs)
    return fx.GraphModule(traced, graph)


def _reshape_for_view(traced: fx.GraphModule) -> None:
    """Replace views by reshapes, as tensors may be channels-last or parts of others."""
    for node in traced.graph.nodes:
        if node.target == "view" and not isinstance(node.args[1], torch.dtype):
            node.target = "reshape"
        elif node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
