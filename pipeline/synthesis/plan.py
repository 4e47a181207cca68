"""The plan of ascents: which units are climbed together, fixed before work is distributed.

A block is a work item and a file. Its contents depend only on counted operations, so that they are
the same on every machine. A CPU divides it into batches small enough for its caches; other devices
process it as one batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import fx

from pipeline.networks.cropping import Crop
from pipeline.networks.graph.counting import forward_operations
from pipeline.networks.graph.graph import Graph
from pipeline.networks.graph.nodes import traced_shape
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.networks.receptive_fields import smallest_canvas
from pipeline.synthesis.terms import Terms

BLOCK_UNITS = 256
BLOCK_OPERATIONS = 40e9  # per step: about a millisecond of a large GPU, 16 CPU seconds in 100 steps
BATCH_UNITS = 32
BATCH_NUMBERS = 2**25  # activations of one batch: bounds memory where receptive fields are large


@dataclass(frozen=True)
class WholeCosts:
    """The cost of one score of a whole image."""

    operations: int
    activations: int


Costs = Crop | WholeCosts  # per score of one image: operations, and activations in memory


def whole_costs(graph: Graph, nodes: Sequence[fx.Node]) -> WholeCosts:
    """Return the cost of computing some layers on a whole image."""
    needed = {ancestor for node in nodes for ancestor in graph.ancestors(node)}
    held = sum(math.prod(traced_shape(node)) for node in graph.operations if node in needed)
    return WholeCosts(forward_operations(graph, nodes), max(1, held))


def score_costs(network: Network, terms: Terms, layer: Layer) -> Costs:
    """Return the cost of one score of a layer, from which ascents are planned."""
    if terms.of_fields:
        canvas = smallest_canvas(network.graph, layer.node)
        return Crop(network.graph, layer.node, canvas.size, canvas.position)
    sized = network.sized(terms.size)
    read = sized.find_layers(terms.layer_names(layer))
    return whole_costs(sized.graph, [found.node for found in read])


def batch_units(costs: Costs, copies: int = 1) -> int:
    """Return the number of units per batch on a CPU."""
    images = min(BATCH_UNITS, BATCH_NUMBERS // costs.activations)
    return int(max(1, images // copies))


def block_units(costs: Costs, copies: int = 1) -> int:
    """Return the number of units per block: a whole number of batches."""
    batch = batch_units(costs, copies)
    step = 2 * max(1, costs.operations)  # forward and backward
    return batch * int(max(1, min(BLOCK_UNITS, BLOCK_OPERATIONS / step) // (batch * copies)))


def batches(
    units: Sequence[int], costs: Costs, device: str, copies: int = 1
) -> list[Sequence[int]]:
    """Return the batches into which a block's units are divided on a kind of device."""
    size = batch_units(costs, copies) if device == "cpu" else len(units)
    return [units[start : start + size] for start in range(0, len(units), size)]
