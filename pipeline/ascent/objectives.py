"""Objectives: what is climbed. An objective maps images and units to one score per image."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from pipeline.networks.graph import Graph
from pipeline.networks.layers import Layer
from pipeline.networks.unit_networks import UnitNetwork, unit_network


@runtime_checkable
class Objective(Protocol):
    """Scores to be maximized; image i is scored for unit i, and for nothing else in the batch.

    ``input_size`` is the height and width of the images.
    """

    input_size: tuple[int, int]

    def __call__(
        self, images: Float[Tensor, "batch 3 height width"], units: Int[Tensor, " batch"], /
    ) -> Float[Tensor, " batch"]:
        """Return one score per image."""
        ...


def unit_response(graph: Graph, layer: Layer) -> UnitNetwork:
    """Return the response of each unit to its own image, before any nonlinearity.

    Source: z in "Deep Dream at neuron level" (seed document 000): the response of one unit at one
    location, not the mean of its channel.
    """
    return unit_network(graph, layer)
