"""Tokens: where the patch tokens of a transformer are, and which of the others are before them."""

from __future__ import annotations

import logging
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import fx, nn

from pipeline.errors import ConfigError
from pipeline.networks.graph.geometry import POINTWISE, Global
from pipeline.networks.graph.graph import Graph
from pipeline.networks.graph.nodes import operation_name, traced_shape
from pipeline.networks.units.modules import BatchFirst, ChannelsFirst, FirstToken, PatchTokens

log = logging.getLogger(__name__)


class TokenPlaces(NamedTuple):
    """The places of the patches among the tokens.

    Attributes:
        before: number of tokens before them: class and register tokens.
        rows: rows of patches; 1 if it is not known where they are in the image.
        columns: columns of patches.
    """

    before: int
    rows: int
    columns: int


def token_places(graph: Graph, node: fx.Node) -> TokenPlaces:
    """Return the places of the patches among the tokens of a node.

    They are on the grid of the last map before it. Other tokens are those that were concatenated to
    the patches, and do not come from the image.

    Args:
        graph: the traced network.
        node: a node whose output is ``[1, tokens, width]``.
    """
    count = traced_shape(node)[1]
    rows, columns, last = 1, -1, graph.image
    ancestors = graph.ancestors(node)
    for each in ancestors:
        operation = graph.operations.get(each)
        if operation and operation.axes and len(traced_shape(each)) == 4 and operation.inputs:
            rows, columns = (traced_shape(each)[axis] for axis in operation.axes)
            last = each
    before = after = 0
    for each in ancestors[ancestors.index(last) :]:
        more = _concatenated(graph, each, before, before + rows * columns)
        before, after = before + more[0], after + more[1]
    if before + rows * columns + after == count:
        return TokenPlaces(before, rows, columns)
    if rows * columns == count:  # others were dropped
        return TokenPlaces(0, rows, columns)
    patches = count - before - after
    return TokenPlaces(before, 1, patches) if patches > 0 else TokenPlaces(0, 1, count)


def _concatenated(graph: Graph, node: fx.Node, first: int, end: int) -> tuple[int, int]:
    """Return how many tokens an operation puts before and after those that come from the image.

    Args:
        graph: the traced network.
        node: the operation.
        first: number of the first patch among the tokens that it is given.
        end: number behind the last patch among them.
    """
    if operation_name(node) not in ("cat", "concat", "concatenate"):
        return 0, 0
    given: Any = node.args[0] if node.args else node.kwargs.get("tensors", ())
    along: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
    if along not in (1, -2) or any(len(traced_shape(each)) != 3 for each in given):
        return 0, 0
    seen = [each for each in given if each in graph.operations]
    if len(seen) != 1 and not _are_all_in_order(seen):
        return 0, 0
    before = after = passed = 0
    for each in given:
        tokens = traced_shape(each)[1]
        if each in graph.operations:
            passed += tokens
        elif passed <= first:
            before += tokens
        elif passed >= end:
            after += tokens
    return before, after


def _are_all_in_order(parts: Sequence[fx.Node]) -> bool:
    """Return whether parts are all tokens of one node, in order, as when others are put between."""
    taken = [_taken(part) for part in parts]
    sources = {source for source, _ in taken}
    whole = [*range(traced_shape(taken[0][0])[1])] if taken else []
    return len(sources) == 1 and [n for _, numbers in taken for n in numbers] == whole


def _taken(node: fx.Node) -> tuple[fx.Node, list[int]]:
    """Return what a chain of slices is taken from, and the numbers of the tokens that it takes."""
    source: Any = node.args[0] if node.args else None
    given = node.args[1:]
    index: Any = given[0] if operation_name(node) == "getitem" else None
    if operation_name(node) == "slice" and given and isinstance(given[0], int):
        index = [slice(None)] * 3
        index[given[0]] = slice(*(*given[1:], None, None)[:2])
    index = [index] if isinstance(index, slice) else index
    length = traced_shape(node)[1]
    slices = isinstance(index, tuple | list) and all(isinstance(each, slice) for each in index)
    if len(traced_shape(source)) != 3 or not slices:
        return node, [*range(length)]
    earlier, numbers = _taken(source)
    along = index[1] if len(index) > 1 else slice(None)
    start = along.start or 0
    if isinstance(start, fx.Node):  # computed from sizes
        return (earlier, numbers[-length:]) if along.stop is None else (node, [*range(length)])
    first = start % len(numbers) if start < 0 else start
    return earlier, numbers[first : first + length]


def as_tokens(graph: Graph, node: fx.Node, name: str) -> fx.Node:
    """Return a node whose output is ``[batch, tokens, width]``.

    Raises:
        ConfigError: that of the layer is none.
    """
    node = first_of_several(graph, node)
    shape = traced_shape(node)
    if len(shape) == 3 and shape[0] == 1 and _is_tokens(graph, node):
        return node
    if len(shape) == 3 and shape[1] == 1 and _is_tokens(graph, node):
        return graph.append([node], "batch_first", BatchFirst)
    raise ConfigError(
        f"layers: the output of '{name}' has shape {shape}, not [1, tokens, width], so that it has"
        " no tokens; name a layer of tokens, such as a block of a transformer"
    )


def _is_tokens(graph: Graph, node: fx.Node) -> bool:
    """Return whether the last of three dimensions holds channels, and not positions.

    Positions are last once a map ``[1, channels, rows, columns]`` is flattened to ``[1, channels,
    positions]``, until both are transposed, and again where they are transposed back.
    """
    if graph.operations[node].axes is not None:
        return False
    positions_last: dict[fx.Node, bool] = {}
    for each in graph.ancestors(node):
        operation = graph.operations.get(each)
        if operation is None or len(traced_shape(each)) != 3:
            continue
        known = [positions_last[source] for source in operation.inputs if source in positions_last]
        last = any(known) if known else any(_flattens(graph, each, o) for o in operation.inputs)
        positions_last[each] = last != (bool(known) and _transposes(graph, each))
    return not positions_last[node]


def _flattens(graph: Graph, node: fx.Node, source: fx.Node) -> bool:
    before, after = traced_shape(source), traced_shape(node)
    mapped = graph.operations[source].axes == (2, 3) and len(before) == 4
    return mapped and after == (before[0], before[1], before[2] * before[3])


def _transposes(graph: Graph, node: fx.Node) -> bool:
    """Return whether an operation exchanges the last two of three dimensions."""
    if node.op == "call_module":
        given = getattr(graph.modules[str(node.target)], "dims", None)
        return given is not None and [dim % 3 for dim in given] == [0, 2, 1]
    dims: Any = node.args[1:] or tuple(node.kwargs.values())
    if operation_name(node) in ("transpose", "swapaxes"):
        return {dim % 3 for dim in dims} == {1, 2}
    if operation_name(node) == "permute":
        flat = dims[0] if len(dims) == 1 else dims
        return [dim % 3 for dim in flat] == [0, 2, 1]
    return operation_name(node) in ("mT",)


def first_of_several(graph: Graph, node: fx.Node) -> fx.Node:
    """Return the first of several outputs, such as those of an attention; else the node."""
    if traced_shape(node):
        return node
    firsts = (user for user in node.users if user.target is operator.getitem and user.args[1] == 0)
    return next((user for user in firsts if user in graph.operations), node)


def patch_tokens(graph: Graph, node: fx.Node, name: str) -> fx.Node:
    """Return the node of patch tokens, at their positions ``[batch, width, rows, columns]``."""
    tokens = as_tokens(graph, node, name)
    places = token_places(graph, tokens)
    if places.rows == 1 and places.columns > 1:
        log.warning(
            "layers: the %d tokens of '%s' are taken as one row of patches, as they are not those"
            " of a map before them; class and register tokens may be among them",
            places.columns,
            name,
        )
    mixed = (2, 3), (Global(places.rows), Global(places.columns))
    return graph.append([tokens], "tokens", lambda: PatchTokens(*places), mixed)


def class_token(graph: Graph, node: fx.Node, name: str) -> fx.Node:
    """Return the node of the class token, ``[batch, width]``.

    Raises:
        ConfigError: all tokens are patches.
    """
    tokens = as_tokens(graph, node, name)
    if not token_places(graph, tokens).before:
        raise ConfigError(
            f"layers: '{name}' has no class token, as all of its {traced_shape(tokens)[1]} tokens"
            f" are patches; use {name} for them, or {name}:channel_mean for their mean"
        )
    return graph.append([tokens], "class_token", FirstToken)


def as_units(graph: Graph, node: fx.Node, name: str) -> fx.Node:
    """Return a node of units ``[batch, units]`` or ``[batch, units, rows, columns]``, if it can be.

    Tokens are read as patch tokens, and of maps with channels last these are put first.
    """
    node = first_of_several(graph, node)
    shape, operation = traced_shape(node), graph.operations[node]
    if len(shape) == 3 and 1 in shape[:2] and _is_tokens(graph, node):
        return patch_tokens(graph, node, name)
    if len(shape) == 4 and operation.axes == (1, 2):
        apart = (2, 3), (POINTWISE, POINTWISE)
        return graph.append([node], "channels_first", ChannelsFirst, apart)
    if len(shape) == 4 and operation.axes is None and _has_channels_last(graph, node):
        mixed = (2, 3), (Global(shape[1]), Global(shape[2]))
        return graph.append([node], "channels_first", ChannelsFirst, mixed)
    return node


def _has_channels_last(graph: Graph, node: fx.Node) -> bool:
    """Return whether four dimensions are a map with channels last, although positions are mixed.

    This is so behind attention within windows: the last linear map or layer norm treats the last
    dimension as channels, and the others are those of an earlier map, or of every n-th position.
    """
    shape = traced_shape(node)
    known = next(
        (
            [traced_shape(each)[axis] for axis in operation.axes]
            for each in reversed(graph.ancestors(node))
            if (operation := graph.operations.get(each)) and operation.axes
        ),
        [],
    )
    sides = [[-(-side // n) for side in known] for n in range(1, max(known, default=0) + 1)]
    if shape[0] != 1 or [*shape[1:3]] not in sides:
        return False
    waiting, seen = [node], {node}
    while waiting:
        each = waiting.pop(0)
        module = graph.modules[str(each.target)] if each.op == "call_module" else None
        if isinstance(module, nn.Linear | nn.LayerNorm):
            return True
        if module is None and operation_name(each) in ("linear", "layer_norm"):
            return True
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d) or operation_name(each) == "conv2d":
            return False
        inputs = graph.operations[each].inputs
        near = [other for other in inputs if traced_shape(other)[-1:] == shape[-1:]]
        waiting += [other for other in near if other not in seen]
        seen.update(near)
    return False
