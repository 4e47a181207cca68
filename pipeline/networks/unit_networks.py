"""The unit network: responses of chosen units of a layer, at one position, from an image.

This is the only place that knows how such a response is computed. Everything else hands over
images of exactly the receptive field's size and the units to read, and gets responses back.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, arange, nn

from pipeline.networks.graph import Graph
from pipeline.networks.layers import Layer
from pipeline.networks.receptive_fields import smallest_canvas


class UnitNetwork(nn.Module):
    """Responses of units of one layer to images of the size of their receptive field.

    The image is set on the layer's smallest canvas, where one unit sees all of it and no padding,
    and the network truncated at the layer is run on the canvas.

    Attributes:
        input_size: height and width of the receptive field, in pixels.
        canvas_size: height and width of the canvas, in pixels.
    """

    def __init__(self, graph: Graph, layer: Layer) -> None:
        super().__init__()
        plan = smallest_canvas(graph, layer.node)
        box = plan.box
        self.input_size = (box.height, box.width)
        self.canvas_size = plan.size
        self.position = plan.position
        self.margins = (
            box.left,
            plan.size[1] - box.right,
            box.top,
            plan.size[0] - box.bottom,
        )
        self.truncated = graph.truncated([layer.node])

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], units: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Return the response of ``units[i]`` to ``images[i]``, before any nonlinearity.

        Raises:
            ValueError: the images are not of the size of the receptive field.
        """
        if tuple(images.shape[2:]) != self.input_size:
            raise ValueError(f"images of {tuple(images.shape[2:])} pixels, not {self.input_size}")
        responses = self.truncated(F.pad(images, self.margins))
        rows = arange(len(units), device=units.device)
        if responses.ndim == 2:
            return responses[rows, units]
        return responses[rows, units, self.position[0], self.position[1]]


def unit_network(graph: Graph, layer: Layer) -> UnitNetwork:
    """Return the unit network of a layer.

    For a layer whose units do not all see the same (behind global pooling, attention, adaptive
    pooling) the unit is the one at the center of the map, for which the image set is searched too.
    """
    return UnitNetwork(graph, layer)
