"""Exporting: the graph of a network by torch.export, with calls of leaf modules restored."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import groupby
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import utils

from pipeline.store.modules import is_library

# Attributes of modules that hold what runs besides their code.
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def exported(module: nn.Module, image: Tensor, *, functional: bool) -> fx.GraphModule:
    """Return the graph of a network for any number of images.

    Args:
        module: the network, in eval mode.
        image: one image.
        functional: replace in-place operators by plain ones.
    """
    batch = torch.export.Dim("batch")
    with _quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            module, (image.expand(2, -1, -1, -1),), dynamic_shapes=({0: batch},)
        )
        if functional:
            program = program.run_decompositions({})
        return _with_leaves(program.module(), module)


@contextmanager
def _quiet() -> Generator[None]:
    """Suppress what torch.export prints and logs about a failure."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


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
            attributes[str(node.target)] = attrgetter(str(node.target))(flat)
    for node in reversed(graph.nodes):
        if node.op == "get_attr" and not node.users:
            graph.erase_node(node)
            attributes.pop(str(node.target), None)
    output = graph.output_node()
    results: Any = output.args[0]
    if len(results) == 1:
        output.args = (results[0],)
    return fx.GraphModule(attributes, graph)


def _leaf_calls(
    flat: fx.GraphModule, module: nn.Module
) -> dict[fx.Node, tuple[str, fx.Node | None]]:
    """Return the operators that are calls of leaf modules.

    The operator that returns a call's result is mapped to the module's name and the call's only
    input, the others to ``None``. Modules with several inputs or results remain operators.
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
    # torch.fx treats containers of torch.nn as leaves, but their operators are not one call.
    return call, str(path) if is_leaf(leaf, str(path)) and not list(leaf.children()) else None


def is_leaf(module: nn.Module, name: str) -> bool:
    """Return whether a module is one operation: one of PyTorch's without code of a user.

    PyTorch derives a class from a user's for parametrized weights.
    """
    derived = any(not is_library(kind.__module__) for kind in type(module).__mro__)
    return fx.Tracer().is_leaf_module(module, name) and not derived and not has_hooks(module)


def has_hooks(module: nn.Module) -> bool:
    """Return whether hooks of the user make a module compute more than its class does.

    PyTorch's own hooks, such as those of ``weight_norm``, compute weights and do not count.
    """
    hooks = [hook for kind in HOOKS for hook in vars(module)[kind].values()]
    return any(not _module_of(hook).startswith(utils.__name__) for hook in hooks)


def _module_of(hook: Any) -> str:
    return str(getattr(hook, "__module__", None) or type(hook).__module__)
