"""Operations that are not known, tried: do they act on every position of a map by itself?

An operation is run as it was traced, on random maps. It acts on every position by itself if a
change at one position, or at all others, changes its output there alone, if shifted maps give
shifted outputs, and if a part of a map gives that part of the output.
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

from pipeline.networks.nodes import traced_shape
from pipeline.networks.opaque import Opaque

Axes = tuple[int, int]
Run = Callable[[list[Tensor]], list[Tensor]]

_SCALES = (1.0, 1e3, -1e3, 1e6)  # of changes: a maximum or a mean over the map is sure to move


def probed_axes(
    node: fx.Node, module: nn.Module | None, axes_of: Mapping[fx.Node, Axes | None]
) -> Axes | None:
    """Return the spatial axes of the output of an operation that acts on every position by itself.

    Args:
        node: the operation, with traced shapes.
        module: the module it calls, if it calls one.
        axes_of: the spatial axes of each of its inputs that depends on the image.

    Returns:
        ``None`` where it does not, or where it cannot be tried.
    """
    sources = list(axes_of)
    sides = {
        tuple(traced_shape(source)[axis] for axis in axes)
        for source, axes in axes_of.items()
        if axes is not None and traced_shape(source)
    }
    if isinstance(module, Opaque) or len(sides) != 1 or None in axes_of.values():
        return None
    run = _runner(node, module, sources)
    axes = [found for found in axes_of.values() if found is not None]
    generator = torch.Generator().manual_seed(0)
    try:
        maps = [_drawn(source, generator) for source in sources]
        with torch.no_grad():
            outputs = run(maps)
            rank = {output.ndim for output in outputs}
            places = combinations(range(rank.pop()), 2) if len(rank) == 1 else ()
            # The other dimensions may have moved, or be gone.
            candidates = [
                place
                for place in places
                if all(tuple(output.shape[axis] for axis in place) in sides for output in outputs)
            ]
            return next(
                (
                    place
                    for place in candidates
                    if _apart(run, maps, axes, outputs, place, generator)
                    and _shifts(run, maps, axes, outputs, place)
                ),
                None,
            )
    except Exception:  # noqa: BLE001 - whatever an operation raises for maps that it was not made for
        return None


def _runner(node: fx.Node, module: nn.Module | None, sources: Sequence[fx.Node]) -> Run:
    """Return what runs an operation on maps in place of its sources."""

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


def _drawn(source: fx.Node, generator: torch.Generator) -> Tensor:
    kind = source.meta["tensor_meta"].dtype
    drawn = torch.randn(traced_shape(source), generator=generator)
    return drawn > 0 if kind == torch.bool else drawn.to(kind)


def _apart(
    run: Run,
    maps: list[Tensor],
    axes: Sequence[Axes],
    outputs: list[Tensor],
    place: Axes,
    generator: torch.Generator,
) -> bool:
    """Say whether changes at one position of each map change the outputs there alone."""
    height, width = (maps[0].shape[axis] for axis in axes[0])
    for number, scale in product(range(len(maps)), _SCALES):
        row, column = (
            int(torch.randint(side, (), generator=generator)) for side in (height, width)
        )
        changed = [one.clone() for one in maps]
        spot = _at(changed[number], axes[number], (row, column))
        drawn = torch.randn(spot.shape, generator=generator) * scale
        spot.copy_(~spot if spot.dtype == torch.bool else drawn)
        for before, after in zip(outputs, run(changed), strict=True):
            same = (before == after) | ((before != before) & (after != after))
            _at(same, place, (row, column)).fill_(True)
            if before.shape != after.shape or not bool(same.all()):
                return False
    return all(_keeps(run, maps, axes, outputs, place, generator, scale) for scale in _SCALES)


def _keeps(
    run: Run,
    maps: list[Tensor],
    axes: Sequence[Axes],
    outputs: list[Tensor],
    place: Axes,
    generator: torch.Generator,
    scale: float,
) -> bool:
    """Say whether outputs at one position stay while all others of the maps are changed."""
    sides = (maps[0].shape[axis] for axis in axes[0])
    position = tuple(int(torch.randint(side, (), generator=generator)) for side in sides)
    at = (position[0], position[1])
    changed = []
    for one, own in zip(maps, axes, strict=True):
        drawn = torch.randn(one.shape, generator=generator) * scale + scale
        other = drawn > 0 if one.dtype == torch.bool else drawn.to(one.dtype)
        _at(other, own, at).copy_(_at(one, own, at))
        changed.append(other)
    pairs = zip(outputs, run(changed), strict=True)
    return all(
        torch.equal(_at(before, place, at).nan_to_num(), _at(after, place, at).nan_to_num())
        for before, after in pairs
    )


def _at(tensor: Tensor, axes: Axes, position: tuple[int, int]) -> Tensor:
    """Return the view of a tensor at one position."""
    return tensor.select(axes[1], position[1]).select(axes[0], position[0])


def _shifts(
    run: Run, maps: list[Tensor], axes: Sequence[Axes], outputs: list[Tensor], place: Axes
) -> bool:
    """Say whether shifted maps give shifted outputs, and a part of the maps that of the outputs."""
    rolled = run([one.roll((1, 2), own) for one, own in zip(maps, axes, strict=True)])
    expected = [output.roll((1, 2), place) for output in outputs]
    parts = run([_part(one, own) for one, own in zip(maps, axes, strict=True)])
    pairs = [*zip(rolled, expected, strict=True)]
    pairs += zip(parts, (_part(output, place) for output in outputs), strict=True)
    # Which lane of a vector unit a position falls into may decide the order of a sum.
    return all(torch.allclose(one, other, 1e-5, 1e-6, equal_nan=True) for one, other in pairs)


def _part(tensor: Tensor, axes: Axes) -> Tensor:
    """Return the middle of a map, of at least one position."""
    for axis in axes:
        side = tensor.shape[axis]
        tensor = tensor.narrow(axis, side // 4, max(1, side // 2))
    return tensor
