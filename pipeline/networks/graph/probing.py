"""Probing unknown operations: do they act on every position of a map separately?

An operation is run as it was traced, on random maps. It acts on every position separately if a
change at one position only changes the output there, a change at all other positions does not
change it, shifted maps give shifted outputs, and a part of a map gives that part of the output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, product
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg
from torch.utils._pytree import tree_leaves

from pipeline.networks.graph.nodes import traced_shape
from pipeline.networks.graph.opaque import Opaque

Axes = tuple[int, int]
Run = Callable[[list[Tensor]], list[Tensor]]

# Sizes of changes, which are certain to move a maximum or a mean over the map.
_SCALES = (1.0, 1e3, -1e3, 1e6)


def probed_axes(
    node: fx.Node, module: nn.Module | None, axes_of: Mapping[fx.Node, Axes | None]
) -> Axes | None:
    """Return the spatial axes of the output of an operation that acts on positions separately.

    Args:
        node: the operation, with traced shapes.
        module: the module it calls, if it calls one.
        axes_of: the spatial axes of each of its inputs that depends on the image.

    Returns:
        ``None`` if it does not, or if it cannot be probed.
    """
    axes = [found for found in axes_of.values() if found is not None]
    if isinstance(module, Opaque) or len(axes) < len(axes_of):
        return None
    sides = {
        tuple(traced_shape(source)[axis] for axis in own)
        for source, own in zip(axes_of, axes, strict=True)
        if traced_shape(source)
    }
    if len(sides) != 1:
        return None
    try:
        with torch.no_grad():
            probe = Probe(_runner(node, module, list(axes_of)), list(axes_of), axes)
            places = probe.candidates(sides.pop())
            return next((place for place in places if probe.acts_alone(place)), None)
    except Exception:  # noqa: BLE001 - operations may raise anything on unsuitable maps
        return None


class Probe:
    """Runs one operation on random maps and on changed maps, and compares the outputs.

    Args:
        run: the operation.
        sources: the nodes that maps replace.
        axes: the spatial axes of each map.
    """

    def __init__(self, run: Run, sources: Sequence[fx.Node], axes: Sequence[Axes]) -> None:
        self.run, self.axes = run, axes
        self.generator = torch.Generator().manual_seed(0)
        self.maps = [self._drawn(source) for source in sources]
        self.outputs = run(self.maps)

    def _drawn(self, source: fx.Node) -> Tensor:
        drawn = torch.randn(traced_shape(source), generator=self.generator)
        return _as_kind(drawn, source.meta["tensor_meta"].dtype)

    def candidates(self, sides: tuple[int, ...]) -> list[Axes]:
        """Return the pairs of output axes that are as long as the map's.

        The other dimensions may have moved, or be gone.
        """
        ranks = {output.ndim for output in self.outputs}
        pairs = combinations(range(ranks.pop()), 2) if len(ranks) == 1 else ()
        return [
            pair
            for pair in pairs
            if all(tuple(output.shape[axis] for axis in pair) == sides for output in self.outputs)
        ]

    def acts_alone(self, place: Axes) -> bool:
        """Return whether the operation acts on every position separately."""
        changes = product(range(len(self.maps)), _SCALES)
        return (
            all(self._changes_one(place, number, scale) for number, scale in changes)
            and all(self._changes_others(place, scale) for scale in _SCALES)
            and self._shifts(place)
        )

    def _position(self) -> tuple[int, int]:
        height, width = (self.maps[0].shape[axis] for axis in self.axes[0])
        row, column = (
            int(torch.randint(side, (), generator=self.generator)) for side in (height, width)
        )
        return row, column

    def _changes_one(self, place: Axes, number: int, scale: float) -> bool:
        """Return whether a change at one position of a map changes only the outputs there."""
        position, changed = self._position(), [one.clone() for one in self.maps]
        spot = _at(changed[number], self.axes[number], position)
        drawn = torch.randn(spot.shape, generator=self.generator) * scale
        spot.copy_(~spot if spot.dtype == torch.bool else drawn)
        for before, after in zip(self.outputs, self.run(changed), strict=True):
            same = (before == after) | ((before != before) & (after != after))
            _at(same, place, position).fill_(True)
            if not bool(same.all()):
                return False
        return True

    def _changes_others(self, place: Axes, scale: float) -> bool:
        """Return whether outputs at one position are unaffected by changes at all others."""
        position, changed = self._position(), list[Tensor]()
        for one, own in zip(self.maps, self.axes, strict=True):
            drawn = torch.randn(one.shape, generator=self.generator) * scale + scale
            changed.append(_as_kind(drawn, one.dtype))
            _at(changed[-1], own, position).copy_(_at(one, own, position))
        return all(
            torch.equal(*(_at(output, place, position).nan_to_num() for output in pair))
            for pair in zip(self.outputs, self.run(changed), strict=True)
        )

    def _shifts(self, place: Axes) -> bool:
        """Return whether shifted maps give shifted outputs, and parts of maps parts of outputs."""
        given = list(zip(self.maps, self.axes, strict=True))
        rolled = self.run([one.roll((1, 2), own) for one, own in given])
        parts = self.run([_part(one, own) for one, own in given])
        pairs = [
            *zip(rolled, (output.roll((1, 2), place) for output in self.outputs), strict=True),
            *zip(parts, (_part(output, place) for output in self.outputs), strict=True),
        ]
        # The order of a sum may depend on a position's lane in a vector unit.
        return all(torch.allclose(one, other, 1e-5, 1e-6, equal_nan=True) for one, other in pairs)


def _runner(node: fx.Node, module: nn.Module | None, sources: Sequence[fx.Node]) -> Run:
    """Return a function that runs an operation on maps in place of its sources."""

    def run(maps: list[Tensor]) -> list[Tensor]:
        given = dict(zip(sources, maps, strict=True))

        def value(other: fx.Node) -> Any:
            if other in given:
                return given[other].clone()  # it may be overwritten
            if other.op != "get_attr":
                raise ValueError(f"{other.name} is computed")
            return attrgetter(str(other.target))(node.graph.owning_module)

        arguments: Any = map_arg(node.args, value)
        keywords: Any = map_arg(node.kwargs, value)
        if module is not None:
            found = module(*arguments, **keywords)
        elif node.op == "call_method":
            found = getattr(arguments[0], str(node.target))(*arguments[1:], **keywords)
        else:
            found = node.target(*arguments, **keywords)  # type: ignore[operator]
        return [leaf for leaf in tree_leaves(found) if isinstance(leaf, Tensor)]

    return run


def _as_kind(drawn: Tensor, kind: torch.dtype) -> Tensor:
    return drawn > 0 if kind == torch.bool else drawn.to(kind)


def _at(tensor: Tensor, axes: Axes, position: tuple[int, int]) -> Tensor:
    """Return the view of a tensor at one position."""
    return tensor.select(axes[1], position[1]).select(axes[0], position[0])


def _part(tensor: Tensor, axes: Axes) -> Tensor:
    """Return the central part of a map, of at least one position."""
    for axis in axes:
        side = tensor.shape[axis]
        tensor = tensor.narrow(axis, side // 4, max(1, side // 2))
    return tensor
