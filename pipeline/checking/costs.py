"""What a job would cost: operations, bytes on disk and bytes of memory, by counting alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.ascent.plan import batch_units, block_units
from pipeline.config.schema import SearchConfig
from pipeline.networks.counting import forward_operations, largest_held
from pipeline.networks.cropping import Crop
from pipeline.networks.graph import Graph
from pipeline.networks.layers import Layer
from pipeline.networks.receptive_fields import Box, smallest_canvas
from pipeline.search.extremes import WAITING
from pipeline.search.top_patches import block_images
from pipeline.session.climbed import FLOOR_UNITS

FLOAT = 4  # bytes
PATCH = 12  # bytes of a patch in the store: response, image and position
READ = 5 * FLOAT  # bytes of a number of an ascent that is drawn: start, end, difference, display
CORRELATED = 14 * FLOAT  # of two that are correlated: six in float32, and four in float64
IMPORTED = 1.1e9  # bytes of a process that has loaded its libraries, and draws figures
IMPORTED_CUDA = 3e9  # the same with CUDA's


@dataclass(frozen=True)
class LayerCost:
    """What one response of a layer takes.

    Attributes:
        layer: the layer.
        units: those asked for.
        box: their receptive field.
        crop: what a unit sees of every map.
        forward: operations of computing the whole layer for one image.
    """

    layer: Layer
    units: Sequence[int]
    box: Box
    crop: Crop
    forward: int

    @property
    def step(self) -> int:
        """Operations of one step of one ascent: the response, and its gradient, as many again."""
        return 2 * self.crop.operations

    @property
    def exact_units(self) -> int:
        """How many units are climbed in float64 too."""
        return min(FLOOR_UNITS, len(self.units))

    def together(self, device: str) -> int:
        """Return how many units are climbed together on a kind of device."""
        size = batch_units(self.crop) if device == "cpu" else block_units(self.crop)
        return min(size, len(self.units))

    def climb(self, steps: int) -> int:
        """Return the operations of all ascents from one init."""
        one = self.step * steps + self.crop.operations  # the last response has no gradient
        return (len(self.units) + self.exact_units) * one


def layer_cost(graph: Graph, layer: Layer, units: Sequence[int]) -> LayerCost:
    """Return what one response of a layer takes."""
    canvas = smallest_canvas(graph, layer.node)
    crop = Crop(graph, layer.node, canvas.size, canvas.position)
    return LayerCost(layer, units, canvas.box, crop, forward_operations(graph, [layer.node]))


# Disk.


def ascent_bytes(costs: Iterable[LayerCost], inits: int) -> int:
    """Return how much ascents store: two float32 images of every unit, a few in float64 too."""
    return sum(
        3 * cost.box.height * cost.box.width * inits
        * (2 * FLOAT * len(cost.units) + 3 * FLOAT * cost.exact_units)
        for cost in costs
    )  # fmt: skip


def search_bytes(units: Iterable[int], images: int, config: SearchConfig) -> int:
    """Return how much a search stores.

    Args:
        units: all units of every layer, asked for or not.
        images: of the image set.
        config: how it is searched.
    """
    return sum(units) * _unit_bytes(images, config)


def _unit_bytes(images: int, config: SearchConfig) -> int:
    if not images:
        return 0
    block = block_images(images, config.batch_size)
    blocks = -(-images // block)
    return 2 * blocks * min(config.keep, block, images) * PATCH


# Memory.


def network_bytes(graph: Graph) -> int:
    """Return what the weights of a network take."""
    return sum(tensor.nbytes for tensor in graph.module.state_dict().values())


def search_memory(
    graph: Graph, costs: Sequence[LayerCost], images: int, config: SearchConfig, lanes: int
) -> int:
    """Return what a search takes besides the weights: batches, and what is kept of every unit."""
    held = largest_held(graph, [cost.layer.node for cost in costs])
    units = [cost.layer.units for cost in costs]
    kept = 2 * sum(units) * 16 * (config.keep + 2 * WAITING)
    merged = 2 * max(units) * _unit_bytes(images, config)
    return lanes * config.batch_size * held * FLOAT + max(kept, merged)


def ascent_memory(costs: Sequence[LayerCost], device: str, lanes: int) -> int:
    """Return what ascents take besides the weights: batches with their gradients."""
    batch = max(cost.together(device) * cost.crop.activations for cost in costs)
    return lanes * 2 * batch * FLOAT


def result_memory(costs: Sequence[LayerCost], inits: int) -> int:
    """Return what it takes to read the ascents of a layer and to correlate those from two inits."""
    numbers = max(len(cost.units) * 3 * cost.box.height * cost.box.width for cost in costs)
    return numbers * (CORRELATED if inits > 1 else READ)
