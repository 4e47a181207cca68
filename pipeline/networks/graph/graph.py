"""The traced computation of a network: its operations in order, and the geometry of each.

A network is traced once (``tracing.py``). Every node is given its spatial axes (the vertical and
the horizontal one) and one geometric rule for each (``geometry.py``), so that sizes and receptive
fields follow by arithmetic, in time linear in the number of nodes, for any input size.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import fx, nn

from pipeline.networks.graph.geometry import EVERYTHING, Global, Interval, Rule
from pipeline.networks.graph.identity import GraphIdentity, graph_identity
from pipeline.networks.graph.nodes import APPENDED, is_appended, operation_name, traced_shape
from pipeline.networks.graph.operations import Axes, Placed, spatial_rules
from pipeline.networks.graph.tracing import Shaped, ancestors, trace, truncated

if TYPE_CHECKING:
    from pipeline.networks.units.readouts import Readout


@dataclass(frozen=True)
class Operation:
    """One node of the graph that depends on the input image.

    ``rules`` holds the vertical and the horizontal rule; ``axes`` the two spatial axes of the
    output, ``None`` if it has no spatial layout; ``inputs`` the nodes it reads that depend on
    the image.
    """

    node: fx.Node
    inputs: tuple[fx.Node, ...]
    axes: Axes | None
    rules: tuple[Rule, Rule]


@dataclass(frozen=True)
class Demand:
    """The intervals needed of every node along one axis.

    Attributes:
        lengths: length of every node's whole output.
        needed: the needed interval of each node's output; unneeded nodes are left out.
        edges: the interval of a source that a node reads, padding included.
    """

    lengths: dict[fx.Node, int]
    needed: dict[fx.Node, Interval]
    edges: dict[tuple[fx.Node, fx.Node], Interval]


class Graph:
    """The operations of a network in call order, with their geometry.

    Args:
        module: the network, in eval mode, from images ``[batch, channels, height, width]``.
        input_size: height and width at which shapes are traced.
        channels: number of channels of an image.
        readouts: readouts of the user's own, by the names that follow a layer's and a colon.

    Raises:
        NetworkError: the network does not run at this size.
    """

    def __init__(
        self,
        module: nn.Module,
        input_size: tuple[int, int],
        channels: int = 3,
        readouts: Mapping[str, Readout] | None = None,
    ) -> None:
        self.module = module
        self.input_size = input_size
        self.readouts = dict(readouts or {})
        self.traced = trace(module, input_size, channels)
        self.modules: dict[str, nn.Module] = dict(self.traced.named_modules(remove_duplicate=False))
        self.operations: dict[fx.Node, Operation] = {}
        for node in self.traced.graph.nodes:
            self._add(node)
        self._appended: dict[tuple[Hashable, ...], fx.Node] = {}
        self._appending = threading.RLock()

    def _add(self, node: fx.Node) -> None:
        if node.op == "output" or (node.op != "placeholder" and "tensor_meta" not in node.meta):
            return  # sizes and other numbers contain no image data
        inputs = tuple(source for source in node.all_input_nodes if source in self.operations)
        if node.op == "placeholder":
            self.operations[node] = Operation(node, (), (2, 3), (Global(), Global()))
        elif inputs:
            axes_of = {source: self.operations[source].axes for source in inputs}
            module = self.modules.get(str(node.target)) if node.op == "call_module" else None
            axes, rules = spatial_rules(node, module, axes_of)
            self.operations[node] = Operation(node, inputs, axes, rules)

    def append(
        self,
        sources: Sequence[fx.Node],
        key: Hashable,
        make: Callable[[], nn.Module],
        placed: Placed | None = None,
    ) -> fx.Node:
        """Return a node that applies a module to the outputs of others, right behind them.

        It reads the network and is no part of it: it changes neither the number of another node
        nor the digest, and runs before an operation that overwrites what it reads.

        Args:
            sources: nodes whose outputs the module takes.
            key: what tells the module apart from others on the same sources; it is made once.
            make: returns the module, which must not overwrite its input.
            placed: spatial axes and rules of its output; found as for any other node by default.
        """
        with self._appending:
            if (*sources, key) not in self._appended:
                self._appended[*sources, key] = self._append(sources, make(), placed)
            return self._appended[*sources, key]

    def _append(
        self, sources: Sequence[fx.Node], module: nn.Module, placed: Placed | None
    ) -> fx.Node:
        name = f"{APPENDED}_{len(self._appended)}"
        kind = next(self.module.parameters(), torch.empty(0))
        module.eval().requires_grad_(False).to(device=kind.device, dtype=kind.dtype)
        for part in module.modules():
            if getattr(part, "inplace", False):
                vars(part)["inplace"] = False
        drawn = torch.Generator().manual_seed(0)
        given = [torch.randn(traced_shape(each), generator=drawn).to(kind) for each in sources]
        with torch.no_grad():
            taken = [each.clone() for each in given]
            found = module(*taken)
        if not all(map(torch.equal, given, taken)):
            raise ValueError("it overwrites what it reads")
        self.traced.add_submodule(name, module)
        self.modules[name] = module
        last = [each for each in self.operations if each in sources][-1]
        with self.traced.graph.inserting_after(last):
            node = self.traced.graph.call_module(name, tuple(sources))
        node.meta |= {APPENDED: name, "tensor_meta": Shaped(found.shape, found.dtype)}
        axes_of = {source: self.operations[source].axes for source in sources}
        axes, rules = placed or spatial_rules(node, module, axes_of)
        if placed is None and axes is None and found.ndim == 4:
            axes, rules = (2, 3), (Global(found.shape[2]), Global(found.shape[3]))
        known = self.operations | {node: Operation(node, tuple(axes_of), axes, rules)}
        self.operations = {each: known[each] for each in self.traced.graph.nodes if each in known}
        return node

    def appended(self, node: fx.Node) -> list[fx.Node]:
        """Return the nodes that a node depends on and that were appended."""
        return [each for each in self.ancestors(node) if is_appended(each)]

    def place_appended(self) -> None:
        """Move what was appended to the device of the network, which may have moved since."""
        kind = next(self.module.parameters(), torch.empty(0))
        for name in [str(node.target) for node in self.operations if is_appended(node)]:
            self.modules[name].to(device=kind.device, dtype=kind.dtype)

    @cached_property
    def identity(self) -> GraphIdentity:
        """What the network computes, without its weights (``identity.py``)."""
        return graph_identity(self.traced, self.module)

    @property
    def digest(self) -> str:
        """The SHA-256 of the network's computation, without its weights."""
        return self.identity.digest

    @property
    def image(self) -> fx.Node:
        """The input node."""
        return next(iter(self.operations))

    def ancestors(self, node: fx.Node) -> list[fx.Node]:
        """Return every node that ``node`` depends on, itself included, in call order."""
        return ancestors(self.traced.graph, [node])

    def sizes(self, size: int, axis: int) -> dict[fx.Node, int]:
        """Return the length of every node's output along ``axis`` (0 vertical, 1 horizontal).

        Args:
            size: length of the input image along this axis, in pixels.
            axis: 0 for vertical, 1 for horizontal.
        """
        lengths: dict[fx.Node, int] = {}
        for node, operation in self.operations.items():
            if not operation.inputs:
                lengths[node] = size
            else:
                # The longest of several inputs decides, as the others are broadcast.
                longest = max(lengths[source] for source in operation.inputs)
                lengths[node] = operation.rules[axis].output_size(longest)
        return lengths

    def reach(
        self, node: fx.Node, interval: Interval, size: int, axis: int, *, clip: bool = False
    ) -> Interval:
        """Return the input pixels along ``axis`` that can reach ``interval`` of a node's output.

        Args:
            node: node of the output positions.
            interval: half-open positions on the node's output.
            size: length of the input image along this axis, in pixels.
            axis: 0 for vertical, 1 for horizontal.
            clip: clip the interval to every intermediate map, which excludes padding.

        Returns:
            A half-open interval of pixels, not clipped by default; infinite if the whole image
            reaches the unit.
        """
        demand = self.demand(node, interval, size, axis, clip=clip)
        return demand.needed.get(self.image, Interval(0, 0))

    def demand(
        self,
        node: fx.Node,
        interval: Interval,
        size: int,
        axis: int,
        *,
        clip: bool = False,
        whole: Iterable[fx.Node] = (),
    ) -> Demand:
        """Return the intervals of all nodes on which an interval of a node's output depends.

        Args:
            node: node of the output positions.
            interval: half-open positions on the node's output.
            size: length of the input image along this axis, in pixels.
            axis: 0 for vertical, 1 for horizontal.
            clip: clip every interval to its map, which excludes padding.
            whole: nodes all of whose output is needed.
        """
        lengths = self.sizes(size, axis)
        whole = set(whole)
        needed = dict.fromkeys(whole, EVERYTHING)
        needed[node] = interval if self.operations[node].axes else EVERYTHING
        edges: dict[tuple[fx.Node, fx.Node], Interval] = {}
        for candidate in reversed(self.operations):
            if candidate not in needed:
                continue
            if clip and needed[candidate] == EVERYTHING and self.operations[candidate].axes:
                needed[candidate] = Interval(0, lengths[candidate])
            for source in self.operations[candidate].inputs:
                part = self._reach_source(candidate, source, needed[candidate], lengths, axis)
                edges[candidate, source] = part
                if clip and part != EVERYTHING:
                    part = self.operations[candidate].rules[axis].shown(part, lengths[source])
                    if part.start >= part.stop:
                        continue  # padding alone
                if source in whole:
                    continue
                needed[source] = needed[source].union(part) if source in needed else part
        return Demand(lengths, needed, edges)

    def _reach_source(
        self,
        node: fx.Node,
        source: fx.Node,
        interval: Interval,
        lengths: Mapping[fx.Node, int],
        axis: int,
    ) -> Interval:
        if self.operations[source].axes is None:
            return EVERYTHING
        if lengths[source] == 1 and lengths[node] > 1 and len(self.operations[node].inputs) > 1:
            return Interval(0, 1)  # broadcast along this axis: every position reads the single one
        return self.operations[node].rules[axis].reach(interval, lengths[source])

    def read_as_numbers(self, node: fx.Node) -> set[fx.Node]:
        """Return the nodes whose output size is used for anything but reshaping a part of it."""
        numbers: set[fx.Node] = set()
        found: set[fx.Node] = set()
        for candidate in reversed(self.ancestors(node)):
            if candidate in self.operations and not self.reshapes(candidate):
                numbers.update(set(candidate.all_input_nodes) - self.operations.keys())
            elif candidate in numbers:
                for source in candidate.all_input_nodes:
                    (found if source in self.operations else numbers).add(source)
        return found

    def reshapes(self, node: fx.Node) -> bool:
        """Return whether a node reshapes a map whose last two dimensions are its positions."""
        named = node.op != "call_module" and operation_name(node) in ("view", "reshape")
        return named and self.operations[node].axes is not None

    def truncated(self, nodes: Iterable[fx.Node]) -> fx.GraphModule:
        """Return the part of the network that computes ``nodes``, sharing its weights.

        With one node the result returns its output, with several a tuple. Later operations are
        removed, so that an in-place nonlinearity after a single layer cannot change its response.
        """
        self.place_appended()
        return truncated(self.traced, nodes)
