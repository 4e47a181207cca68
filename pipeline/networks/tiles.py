"""Tiles: a layer's map computed in parts, so that large images fit into memory.

Gradients are additive: the gradient of a sum over a layer's responses is the sum of the gradients
of all tiles, each placed where the tile reads the image. Neighboring tiles share some pixels and
intermediate values, but no response is computed twice or with a border that the whole network does
not have.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import product

from torch import fx

from pipeline.errors import ConfigError
from pipeline.networks.cropping import Crop, UncroppableError, crop_network
from pipeline.networks.graph.geometry import EVERYTHING, Interval
from pipeline.networks.graph.graph import Graph
from pipeline.networks.receptive_fields import Box, is_shift_invariant

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tile:
    """A region of a layer's map and the network that computes it.

    Attributes:
        region: rows and columns of the layer's map, half-open.
        box: pixels of the image that are read; it lies within the image.
        network: from these pixels, ``[batch, channels, height, width]``, to the layer's responses
            on the region, ``[batch, units, rows, columns]``, or to its whole output if that is not
            a map. Tiles of equal geometry share a network.
    """

    region: tuple[Interval, Interval]
    box: Box
    network: fx.GraphModule


def tiles(graph: Graph, node: fx.Node, size: tuple[int, int], tile: int) -> list[Tile]:
    """Return tiles whose regions partition a layer's map, row by row.

    A box is at most about ``tile`` pixels and a receptive field wide. If all positions reach a unit
    (attention, squeeze-and-excitation, global pooling), or if a tile would see nothing but padding
    on some intermediate map, there is a single tile for the whole map. The networks are on the
    device of the weights, and are not lowered: on maps of this size ``lowering`` is no faster, and
    its rounding affects deep networks more than tiles do (VGG-16's seventh convolution, by the
    gradient of a sum of squares in float32: 2e-3 off instead of 9e-5, as the whole network).

    Args:
        graph: the traced network.
        node: the layer's node.
        size: height and width of the image; the traced size, unless the fields of all units of the
            layer are shifted copies.
        tile: side of a tile in pixels.

    Raises:
        ConfigError: the tile is not a positive number of pixels.
        ValueError: the network must be traced at this size.
    """
    if tile < 1:
        raise ConfigError(f"dream.tile: {tile} is not a positive number of pixels; use 256 or more")
    shifted = [is_shift_invariant(graph, node, axis) for axis in (0, 1)]
    if size != graph.input_size and not all(shifted):
        raise ValueError(f"{node.name} on {size} pixels was traced on {graph.input_size}")
    regions = [_regions(graph, node, size[axis], axis, tile) for axis in (0, 1)]
    networks: dict[Hashable, fx.GraphModule] = {}
    found: list[Tile] = []
    for rows, columns in product(*regions):
        crop = _crop(graph, node, size, rows, columns)
        geometry = tuple(
            _geometry(crop, axis) if shifted[axis] else crop.region[axis] for axis in (0, 1)
        )
        if geometry not in networks:
            try:
                networks[geometry] = crop_network(crop)
            except UncroppableError as error:
                log.info("%s: computed as one tile, as %s", node.name, error)
                return [_whole(graph, node, size)]
        found.append(Tile(crop.region, Box.of(*crop.part(graph.image)), networks[geometry]))
    return found


def _regions(graph: Graph, node: fx.Node, size: int, axis: int, tile: int) -> list[Interval]:
    """Return almost equal intervals that partition the layer's positions along one axis."""
    count = graph.sizes(size, axis)[node]
    first, last = (
        graph.reach(node, Interval(place, place + 1), size, axis) for place in (0, count - 1)
    )
    if EVERYTHING in (first, last) or first.start == last.start:
        return [Interval(0, count)]
    stride = (last.start - first.start) / (count - 1)
    most = max(1, int(tile / stride))
    length = -(-count // -(-count // most))
    return [Interval(start, min(start + length, count)) for start in range(0, count, length)]


def _crop(
    graph: Graph, node: fx.Node, size: tuple[int, int], rows: Interval, columns: Interval
) -> Crop:
    position = (int(rows.start), int(columns.start))
    extent = (int(rows.stop - rows.start), int(columns.stop - columns.start))
    return Crop(graph, node, size, position, extent)


def _geometry(crop: Crop, axis: int) -> Hashable:
    """Return what determines a crop's network along an axis on which units only differ by shifts.

    For every input, this is its position in the available part, and how far it extends beyond the
    edges of the whole map.
    """
    demand, nothing = crop.demands[axis], Interval(0, 0)
    edges: list[Hashable] = []
    for (node, source), wanted in demand.edges.items():
        part, there = wanted.clip(demand.lengths[source]), demand.needed.get(source, nothing)
        over = (part.start - wanted.start, wanted.stop - part.stop)
        edges.append((node, source, over, part.start - there.start, part.stop - there.start))
    return tuple(edges)


def _whole(graph: Graph, node: fx.Node, size: tuple[int, int]) -> Tile:
    rows, columns = (Interval(0, graph.sizes(size[axis], axis)[node]) for axis in (0, 1))
    return Tile((rows, columns), Box(0, 0, *size), graph.truncated([node]))
