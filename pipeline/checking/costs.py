"""What a job would cost: operations, bytes on disk and bytes of memory, by counting alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.config.parts import Parts
from pipeline.config.schema import SearchConfig
from pipeline.networks.cropping import Crop
from pipeline.networks.graph.counting import forward_operations, largest_held
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer
from pipeline.networks.receptive_fields import Box, smallest_canvas
from pipeline.search.extremes import WAITING
from pipeline.search.top_patches import block_images
from pipeline.session.climbed import FLOOR_UNITS
from pipeline.synthesis.plan import Costs, batch_units, block_units

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
        score: what one score of one image takes, by which ascents are planned.
        forward: operations of computing the whole layer for one image.
        climbed: how many units have images of their own; 1 for a layer as a whole.
        copies: images of each.
        image: height and width of the images that are climbed.
    """

    layer: Layer
    units: Sequence[int]
    box: Box
    score: Costs
    forward: int
    climbed: int
    copies: int
    image: tuple[int, int]

    @property
    def step(self) -> int:
        """Operations of one step of one ascent: the response, and its gradient, as many again."""
        return 2 * self.score.operations

    @property
    def exact_units(self) -> int:
        """How many units are climbed in float64 too."""
        return min(FLOOR_UNITS, self.climbed)

    @property
    def images(self) -> int:
        """How many images are climbed from one init."""
        return self.climbed * self.copies

    @property
    def exact_images(self) -> int:
        """How many of them are climbed in float64 too."""
        return self.exact_units * self.copies

    def together(self, device: str) -> int:
        """Return how many images are climbed together on a kind of device."""
        size = batch_units if device == "cpu" else block_units
        return min(size(self.score, self.copies), self.climbed) * self.copies

    def climb(self, steps: int) -> int:
        """Return the operations of all ascents from one init."""
        one = self.step * steps + self.score.operations  # the last response has no gradient
        return (self.images + self.exact_images) * one


def layer_cost(
    graph: Graph, layer: Layer, units: Sequence[int], parts: Parts | None = None
) -> LayerCost:
    """Return what one response of a layer takes.

    Args:
        graph: the traced network.
        layer: one of its layers.
        units: those asked for.
        parts: what is climbed; the responses of single units if it is not known.
    """
    canvas = smallest_canvas(graph, layer.node)
    forward = forward_operations(graph, [layer.node])
    if parts is None:
        crop = Crop(graph, layer.node, canvas.size, canvas.position)
        field = (canvas.box.height, canvas.box.width)
        return LayerCost(layer, units, canvas.box, crop, forward, len(units), 1, field)
    climbed, copies = len(parts.climbed_units(layer)), parts.copies
    score, image = parts.costs(layer), parts.image_size(layer)
    return LayerCost(layer, units, canvas.box, score, forward, climbed, copies, image)


# Disk.


def ascent_bytes(costs: Iterable[LayerCost], inits: int) -> int:
    """Return how much ascents store: two float32 images of every unit, a few in float64 too."""
    return sum(
        3 * cost.image[0] * cost.image[1] * inits
        * (2 * FLOAT * cost.images + 3 * FLOAT * cost.exact_images)
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
    batch = max(cost.together(device) * cost.score.activations for cost in costs)
    return lanes * 2 * batch * FLOAT


def result_memory(costs: Sequence[LayerCost], inits: int) -> int:
    """Return what it takes to read the ascents of a layer and to correlate those from two inits."""
    numbers = max(cost.images * 3 * cost.image[0] * cost.image[1] for cost in costs)
    return numbers * (CORRELATED if inits > 1 else READ)
