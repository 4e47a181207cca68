"""What the ascents of one layer take: operations, bytes on disk and bytes of memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.networks.layers import Layer
from pipeline.run.parts import Parts
from pipeline.stages.ascent.results import EXACT_UNITS
from pipeline.synthesis.plan import Costs, batch_units, block_units

FLOAT = 4  # bytes
READ = 5 * FLOAT  # bytes of a number of an ascent that is drawn: start, end, difference, display
CORRELATED = 14 * FLOAT  # of two that are correlated: six in float32, and four in float64


@dataclass(frozen=True)
class LayerCost:
    """What the ascents of one layer take.

    Attributes:
        layer: the layer.
        unit: one of the units that are climbed, for timing.
        score: what one score of one image takes, by which ascents are planned.
        climbed: how many units have images of their own; 1 for a layer as a whole.
        copies: images of each.
        image: height and width of the images that are climbed.
        exact: whether a sample of units is climbed in float64 too.
    """

    layer: Layer
    unit: int
    score: Costs
    climbed: int
    copies: int
    image: tuple[int, int]
    exact: bool

    @property
    def step(self) -> int:
        """Operations of one step of one ascent: the response, and its gradient, as many again."""
        return 2 * self.score.operations

    @property
    def images(self) -> int:
        """How many images are climbed from one init."""
        return self.climbed * self.copies

    @property
    def exact_images(self) -> int:
        """How many of them are climbed in float64 too."""
        return min(EXACT_UNITS, self.climbed) * self.copies if self.exact else 0

    def together(self, device: str) -> int:
        """Return how many images are climbed together on a kind of device."""
        size = batch_units if device == "cpu" else block_units
        return min(size(self.score, self.copies), self.climbed) * self.copies

    def climb(self, steps: int) -> int:
        """Return the operations of all ascents from one init."""
        one = self.step * steps + self.score.operations  # the last response has no gradient
        return (self.images + self.exact_images) * one


def layer_cost(parts: Parts, layer: Layer, *, exact: bool) -> LayerCost:
    """Return what the ascents of one layer take."""
    units, score = parts.climbed_units(layer), parts.costs(layer)
    size = parts.image_size(layer)
    return LayerCost(layer, units[-1], score, len(units), parts.copies, size, exact)


def stored_bytes(costs: Iterable[LayerCost], inits: int) -> int:
    """Return how much ascents store: two float32 images of every unit, a few in float64 too."""
    return sum(
        3 * cost.image[0] * cost.image[1] * inits
        * (2 * FLOAT * cost.images + 3 * FLOAT * cost.exact_images)
        for cost in costs
    )  # fmt: skip


def ascent_memory(costs: Sequence[LayerCost], device: str, workers: int) -> int:
    """Return what ascents take besides the weights: batches with their gradients."""
    batch = max(cost.together(device) * cost.score.activations for cost in costs)
    return workers * 2 * batch * FLOAT


def result_memory(costs: Sequence[LayerCost], inits: int) -> int:
    """Return what it takes to read the ascents of a layer and to correlate those from two inits."""
    numbers = max(cost.images * 3 * cost.image[0] * cost.image[1] for cost in costs)
    return numbers * (CORRELATED if inits > 1 else READ)
