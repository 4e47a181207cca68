"""Tracing: from a network to the graph of its operations.

torch.fx comes first. Networks whose Python it cannot follow (branches on shapes, loops over them)
are exported with torch.export, and calls of leaf modules are put back in place of their operators,
so that both graphs look alike. What neither can trace becomes a graph of opaque layers: each is the
whole network, run until the layer has responded.
"""

from __future__ import annotations

import io
import logging
import operator
import threading
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import groupby
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.utils._pytree import tree_leaves

from pipeline.errors import NetworkError

log = logging.getLogger(__name__)


class Opaque(nn.Module):
    """One layer of a network that cannot be traced: the network, run until the layer responds."""

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network = network
        self.name = name

    def weights(self) -> int:
        """Return the number of weights of the network."""
        return sum(weight.numel() for weight in self.network.parameters())

    def forward(self, images: Tensor) -> Tensor:
        """Return the output of the layer's first call, for one image after the other.

        What the network decides by looking at its input must not depend on the rest of a batch.
        """
        return torch.cat([self._respond(image) for image in images.split(1)])

    def _respond(self, images: Tensor) -> Tensor:
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


class _UntraceableError(Exception):
    """A graph of the network is not the network in every part."""


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
    _reshape_for_view(traced)
    traced.recompile()
    return traced


def _traced(module: nn.Module, image: Tensor) -> fx.GraphModule:
    try:
        traced = fx.symbolic_trace(module)
        _refuse_aliases(traced)
        _refuse_another(traced, module, image)
        return traced
    except Exception as error:  # noqa: BLE001 - whatever a network can raise under tracing
        reason = _reason(error)
    try:
        return _exported(module, image)
    except Exception as error:  # noqa: BLE001 - likewise
        other = _reason(error)
    opaque = _opaque(module, image)
    log.warning(
        "model: cannot be traced (fx: %s; export: %s), so each unit is asked through the whole"
        " network and sees the whole image",
        reason,
        other,
    )
    return opaque


def _reason(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


def _exported(module: nn.Module, image: Tensor) -> fx.GraphModule:
    batch = torch.export.Dim("batch")
    silenced = redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO())
    with warnings.catch_warnings(), _quiet(logging.getLogger("torch")), silenced[0], silenced[1]:
        warnings.simplefilter("ignore")
        program = torch.export.export(
            module, (image.expand(2, -1, -1, -1),), dynamic_shapes=({0: batch},)
        )
        # Without decompositions these are plain operators in place of overwriting ones.
        forms = (program.module(), program.run_decompositions({}).module())
    for last, flat in enumerate(forms):
        try:
            _refuse_aliases(flat)
            traced = _with_leaves(flat, module)
            _refuse_another(traced, module, image)
        except _UntraceableError:
            if last:
                raise
        else:
            return traced
    raise AssertionError("unreachable")


def _with_leaves(flat: fx.GraphModule, module: nn.Module) -> fx.GraphModule:
    """Return an exported network with calls of leaf modules in place of their operators."""
    calls = _leaf_calls(flat, module)
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    attributes: dict[str, Any] = {}
    for node in flat.graph.nodes:
        if str(node.target) == "_guards_fn":
            continue
        if node in calls:
            path, source = calls[node]
            if source is None:
                continue  # inside a call
            copies[node] = graph.call_module(path, (copies[source],))
            copies[node].meta = dict(node.meta)
            attributes[path] = module.get_submodule(path)
            continue
        copies[node] = graph.node_copy(node, lambda source: copies[source])
        if node.op == "get_attr":
            attributes[str(node.target)] = attribute(flat, str(node.target))
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


def _leaf_calls(
    flat: fx.GraphModule, module: nn.Module
) -> dict[fx.Node, tuple[str, fx.Node | None]]:
    """Return the operators that are calls of leaf modules.

    The operator that gives a call's result is given with the module's name and the call's only
    input, the others with ``None``. Modules of several inputs or results stay operators.
    """
    calls: dict[fx.Node, tuple[str, fx.Node | None]] = {}
    operators = [node for node in flat.graph.nodes if node.op == "call_function"]
    for (_, path), run in groupby(operators, key=lambda node: _leaf(node, module)):
        nodes = list(run)
        inside = set(nodes)
        read = {source for node in nodes for source in node.all_input_nodes if source not in inside}
        sources = [source for source in read if source.op != "get_attr"]
        results = [node for node in nodes if any(user not in inside for user in node.users)]
        if path is None or len(sources) != 1 or len(results) != 1:
            continue
        if not isinstance(results[0].meta.get("val"), tuple | list):
            calls |= dict.fromkeys(nodes, (path, None))
            calls[results[0]] = (path, sources[0])
    return calls


def _leaf(node: fx.Node, module: nn.Module) -> tuple[str, str | None]:
    """Return which call an operator belongs to, and the name of the module if it is a leaf."""
    stack = list((node.meta.get("nn_module_stack") or {}).items())
    if not stack:
        return "", None
    call, (path, *_) = stack[-1]
    try:
        leaf = module.get_submodule(str(path))
    except AttributeError:
        return call, None
    # A container of torch.nn is a leaf to torch.fx; its operators are not those of one call.
    is_leaf = fx.Tracer().is_leaf_module(leaf, str(path)) and not list(leaf.children())
    return call, str(path) if is_leaf else None


def attribute(root: Any, path: str) -> Any:
    """Return what a dotted path names."""
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


def _refuse_another(traced: fx.GraphModule, module: nn.Module, image: Tensor) -> None:
    """Refuse a graph that computes something else than the network, on random pixels.

    torch.fx takes ``a += b`` for ``a = a + b``, which differs where others read ``a``.
    """
    pixels = torch.randn(image.shape, generator=torch.Generator().manual_seed(0)).to(image)
    with torch.no_grad():
        # What nobody reads is left out, as it is where the network is cut off at a layer.
        found, expected = _without_unread(traced)(pixels), module(pixels)
    pairs = zip(tree_leaves(found), tree_leaves(expected), strict=True)
    for one, other in pairs:
        if isinstance(one, Tensor) and not torch.allclose(one, other, 1e-4, 1e-4, equal_nan=True):
            raise _UntraceableError("the traced network computes something else")


def _without_unread(traced: fx.GraphModule) -> fx.GraphModule:
    needed = {traced.graph.output_node()}
    for node in reversed(traced.graph.nodes):
        if node in needed:
            needed.update(node.all_input_nodes)
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in traced.graph.nodes:
        if node in needed or node.op == "placeholder":
            copies[node] = graph.node_copy(node, lambda source: copies[source])
    return fx.GraphModule(traced, graph)


def _refuse_aliases(traced: fx.GraphModule) -> None:
    """Refuse a graph in which what is overwritten is read later under another name.

    torch.fx does not see that a slice or a view shares its memory; torch.export does.
    """
    modules = dict(traced.named_modules())
    order = {node: index for index, node in enumerate(traced.graph.nodes)}
    for node in traced.graph.nodes:
        if node.target is operator.setitem:
            raise _UntraceableError(f"{node.name} sets a part of a tensor")
        if not overwrites(node, modules.get(str(node.target))) or not node.all_input_nodes:
            continue
        names = _aliases(node, modules)
        later = [user for name in names for user in name.users if order[user] > order[node]]
        if later:
            raise _UntraceableError(f"{node.name} overwrites what {later[0].name} reads")


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
    """Say whether the output of a node may share memory with its first input."""
    if node.op == "call_module":
        return isinstance(modules.get(str(node.target)), _SHARING_MODULES)
    return node.op in ("call_function", "call_method") and operation_name(node) in _SHARING.split()


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


def _reshape_for_view(traced: fx.GraphModule) -> None:
    """Let views be copies where need be: tensors lie channels-last, or are parts of others."""
    for node in traced.graph.nodes:
        if node.target == "view" and not isinstance(node.args[1], torch.dtype):
            node.target = "reshape"
        elif node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default


def operation_name(node: fx.Node) -> str:
    """Return the plain name of the function or method that a node calls.

    In-place forms lose their trailing underscore, operators of torch.export their overload.
    """
    schema = getattr(node.target, "_schema", None)
    if schema is not None:
        return str(schema.name).split("::")[-1].rstrip("_")
    return str(getattr(node.target, "__name__", node.target)).rstrip("_")


def overwrites(node: fx.Node, module: nn.Module | None) -> bool:
    """Say whether an operation writes its result over its first input."""
    if node.op == "call_module":  # dropout does nothing in eval mode
        inplace = getattr(module, "inplace", False)
        return bool(inplace) and not isinstance(module, nn.Dropout | nn.Dropout2d)
    schema = getattr(node.target, "_schema", None)
    name = schema.name if schema is not None else getattr(node.target, "__name__", node.target)
    is_operator = getattr(node.target, "__module__", "") == "_operator"
    return (
        bool(node.kwargs.get("inplace", False))
        or (str(name).endswith("_") and not str(name).endswith("__"))
        or (is_operator and str(name) in _OVERWRITING_OPERATORS)
    )


_OVERWRITING_OPERATORS = ("iadd", "isub", "imul", "itruediv", "ipow")


def not_overwriting(target: Any) -> Any:
    """Return the function or method that computes the same and overwrites nothing."""
    schema = getattr(target, "_schema", None)
    if schema is not None:
        packet = getattr(torch.ops.aten, schema.name.split("::")[-1].rstrip("_"))
        return getattr(packet, schema.overload_name or "default")
    name = str(getattr(target, "__name__", target))
    if not callable(target):
        return name.rstrip("_")
    if getattr(target, "__module__", "") == "_operator":
        return getattr(operator, name.removeprefix("i"))
    plain = name.rstrip("_")
    return getattr(torch, plain, None) or getattr(F, plain) if name.endswith("_") else target
