"""The cost of the ascents of one layer: operations, disk and memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from pipeline.networks.layers import Layer
from pipeline.run.parts import Parts
from pipeline.stages.ascent.results import EXACT_UNITS
from pipeline.synthesis.plan import Costs, batch_units, block_units

FLOAT = 4  # bytes
READ = 5 * FLOAT  # bytes per pixel value of a plotted ascent: start, end, difference, display
CORRELATED = 14 * FLOAT  # of two correlated ascents: six values in float32 and four in float64


@dataclass(frozen=True)
class LayerCost:
    """The cost of the ascents of one layer.

    Attributes:
        layer: the layer.
        unit: one of the units, for timing.
        score: cost of scoring one image, from which batches are planned.
        climbed: number of units; 1 for a layer as a whole.
        copies: images per unit.
        image: channels, height and width of the images.
        exact: whether a sample of units is also climbed in float64.
    """

    layer: Layer
    unit: int
    score: Costs
    climbed: int
    copies: int
    image: tuple[int, int, int]
    exact: bool

    @property
    def step(self) -> int:
        """Operations of one step of an ascent: the response, and as many for its gradient."""
        return 2 * self.score.operations

    @property
    def images(self) -> int:
        """Number of images per init."""
        return self.climbed * self.copies

    @property
    def exact_images(self) -> int:
        """Number of images per init that are also climbed in float64."""
        return min(EXACT_UNITS, self.climbed) * self.copies if self.exact else 0

    def together(self, device: str) -> int:
        """Return the batch size on a kind of device."""
        size = batch_units if device == "cpu" else block_units
        return min(size(self.score, self.copies), self.climbed) * self.copies

    def climb(self, steps: int) -> int:
        """Return the number of operations for all ascents from one init."""
        one = self.step * steps + self.score.operations  # no last gradient
        return (self.images + self.exact_images) * one


def layer_cost(parts: Parts, layer: Layer, *, exact: bool) -> LayerCost:
    """Return the cost of the ascents of one layer."""
    units, score = parts.climbed_units(layer), parts.costs(layer)
    size = (parts.network.preprocessing.channels, *parts.image_size(layer))
    return LayerCost(layer, units[-1], score, len(units), parts.copies, size, exact)


def stored_bytes(costs: Iterable[LayerCost], inits: int) -> int:
    """Return the stored bytes: two float32 images per unit, and a few in float64."""
    return sum(
        prod(cost.image) * inits
        * (2 * FLOAT * cost.images + 3 * FLOAT * cost.exact_images)
        for cost in costs
    )  # fmt: skip


def ascent_memory(costs: Sequence[LayerCost], device: str, workers: int) -> int:
    """Return the memory of ascents besides the weights: batches and their gradients."""
    batch = max(cost.together(device) * cost.score.activations for cost in costs)
    return workers * 2 * batch * FLOAT


def result_memory(costs: Sequence[LayerCost], inits: int) -> int:
    """Return the memory for reading a layer's ascents and correlating those from two inits."""
    numbers = max(cost.images * prod(cost.image) for cost in costs)
    return numbers * (CORRELATED if inits > 1 else READ)
