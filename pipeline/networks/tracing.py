"""Tracing: from a network to the graph of its operations.

torch.fx comes first. Networks whose Python it cannot follow (branches on shapes, loops over them)
are exported with torch.export, and calls of leaf modules are put back in place of their operators,
so that both graphs look alike. What neither can trace becomes a graph of opaque layers: each is the
whole network, run until the layer has responded.
"""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from pipeline.errors import NetworkError

log = logging.getLogger(__name__)


class Opaque(nn.Module):
    """One layer of a network that cannot be traced: the network, run until the layer responds."""

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network = network
        self.name = name

    def forward(self, images: Tensor) -> Tensor:
        """Return the output of the layer's first call."""
        thread = threading.get_ident()

        def stop(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            if threading.get_ident() == thread:  # others may ask the same network meanwhile
                raise _ReachedError(output)

        hook = self.network.get_submodule(self.name).register_forward_hook(stop)
        try:
            self.network(images)
        except _ReachedError as reached:
            return reached.output
        finally:
            hook.remove()
        raise NetworkError(f"model: '{self.name}' was not called")


class _ReachedError(Exception):
    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output


def trace(module: nn.Module, input_size: tuple[int, int]) -> fx.GraphModule:
    """Return the graph of a network, with the shape of every tensor in it.

    Operations that overwrite their input are followed: whatever reads the input later reads the
    result.

    Args:
        module: the network, in eval mode, from images ``[batch, 3, height, width]``.
        input_size: height and width at which shapes are traced.

    Raises:
        NetworkError: the network does not run at this size.
    """
    parameter = next(module.parameters(), torch.empty(0))
    image = torch.zeros(1, 3, *input_size, dtype=parameter.dtype, device=parameter.device)
    try:
        traced = _traced(module, image)
        # On failure ShapeProp prints a traceback besides raising.
        with torch.no_grad(), redirect_stderr(io.StringIO()):
            ShapeProp(traced).propagate(image)
    except NetworkError:
        raise
    except Exception as error:  # whatever a network can raise
        reason = _reason(error.__cause__ or error)
        message = f"model: the network does not run at {input_size} pixels ({reason})"
        raise NetworkError(message) from error
    _follow_overwriting(traced)
    return traced


def _traced(module: nn.Module, image: Tensor) -> fx.GraphModule:
    try:
        return fx.symbolic_trace(module)
    except Exception as error:  # noqa: BLE001 - whatever a network can raise under tracing
        reason = _reason(error)
    try:
        return _exported(module, image)
    except Exception as error:  # noqa: BLE001 - likewise
        log.warning(
            "model: cannot be traced (fx: %s; export: %s), so each unit is asked through the whole"
            " network and sees the whole image",
            reason,
            _reason(error),
        )
    return _opaque(module, image)


def _reason(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


def _exported(module: nn.Module, image: Tensor) -> fx.GraphModule:
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings(), _quiet(logging.getLogger("torch")):
        warnings.simplefilter("ignore")
        program = torch.export.export(
            module, (image.expand(2, -1, -1, -1),), dynamic_shapes=({0: batch},)
        )
        flat = program.module()
    operators = {(path, node.target) for node in flat.graph.nodes if (path := _leaf(node, module))}
    kinds = Counter(path for path, _ in operators)
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    attributes: dict[str, Any] = {}
    for node in flat.graph.nodes:
        path = _leaf(node, module)
        if str(node.target) == "_guards_fn":
            continue
        if path is not None and kinds[path] == 1:
            data = next(source for source in node.all_input_nodes if source.op != "get_attr")
            copies[node] = graph.call_module(path, (copies[data],))
            copies[node].meta = dict(node.meta)
            attributes[path] = module.get_submodule(path)
            continue
        copies[node] = graph.node_copy(node, lambda source: copies[source])
        if node.op == "get_attr":
            attributes[str(node.target)] = _attribute(flat, str(node.target))
    for node in reversed(graph.nodes):
        if node.op == "get_attr" and not node.users:
            graph.erase_node(node)
            attributes.pop(str(node.target), None)
    output = graph.output_node()
    results: Any = output.args[0]
    if len(results) == 1:
        output.args = (results[0],)
    return fx.GraphModule(attributes, graph)


@contextmanager
def _quiet(logger: logging.Logger) -> Generator[None]:
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _leaf(node: fx.Node, module: nn.Module) -> str | None:
    """Return the name of the leaf module whose call an operator belongs to."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if node.op != "call_function" or not stack:
        return None
    path = str(stack[-1][0])
    try:
        leaf = module.get_submodule(path)
    except AttributeError:
        return None
    return path if fx.Tracer().is_leaf_module(leaf, path) else None


def _attribute(root: nn.Module, path: str) -> Any:
    for name in path.split("."):
        root = getattr(root, name)
    return root


def _opaque(module: nn.Module, image: Tensor) -> fx.GraphModule:
    called: list[str] = []
    hooks = [
        part.register_forward_hook(_noting(called, name))
        for name, part in module.named_modules()
        if name and not list(part.children())
    ]
    try:
        with torch.no_grad():
            module(image)
    finally:
        for hook in hooks:
            hook.remove()
    graph = fx.Graph()
    images = graph.placeholder("images")
    names = list(dict.fromkeys(called))
    layers = [graph.call_module(name, (images,)) for name in names]
    graph.output(tuple(layers))
    return fx.GraphModule({name: Opaque(module, name) for name in names}, graph)


def _noting(called: list[str], name: str) -> Callable[..., None]:
    def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            called.append(name)

    return note


def _follow_overwriting(traced: fx.GraphModule) -> None:
    modules = dict(traced.named_modules())
    order = {node: index for index, node in enumerate(traced.graph.nodes)}
    for node in traced.graph.nodes:
        if not overwrites(node, modules.get(str(node.target))):
            continue
        source = node.args[0] if node.args else None
        if isinstance(source, fx.Node):
            for user in [user for user in source.users if order[user] > order[node]]:
                user.replace_input_with(source, node)
    traced.recompile()


def overwrites(node: fx.Node, module: nn.Module | None) -> bool:
    """Say whether an operation writes its result over its first input."""
    if node.op == "call_module":
        return bool(getattr(module, "inplace", False))
    schema = getattr(node.target, "_schema", None)
    name = schema.name if schema is not None else getattr(node.target, "__name__", node.target)
    operator = getattr(node.target, "__module__", "") == "_operator"
    return (
        bool(node.kwargs.get("inplace", False))
        or (str(name).endswith("_") and not str(name).endswith("__"))
        or (operator and str(name) in _OVERWRITING_OPERATORS)
    )


_OVERWRITING_OPERATORS = ("iadd", "isub", "imul", "itruediv", "ipow")
