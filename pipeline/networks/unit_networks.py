"""The unit network: responses of chosen units of a layer, at one position, from their field.

Only this module knows how such a response is computed. All others pass images of exactly the
receptive field's size and the units, and get responses.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, fx, nn

from pipeline.networks.cropping import Crop, UncroppableError, crop_network
from pipeline.networks.gradient_rules import PLAIN, GradientRule, apply_rule
from pipeline.networks.graph.graph import Graph
from pipeline.networks.graph.nodes import traced_shape
from pipeline.networks.layers import Layer
from pipeline.networks.lowering import lower
from pipeline.networks.receptive_fields import Box, Canvas, smallest_canvas

log = logging.getLogger(__name__)


class UnitNetwork(nn.Module):
    """Responses of units of one layer to images of the size of their receptive field.

    Only the unit's field is computed (``cropping``), in a fast form (``lowering``), and in the
    layer itself only the sample's own unit: a dot product with its kernel.

    Args:
        graph: the traced network.
        node: the layer's node.
        canvas: the whole input and the position of the unit on the layer's map.
        rule: gradient rule of ReLU and max pooling.

    Attributes:
        input_size: height and width of the receptive field, in pixels.
    """

    def __init__(
        self, graph: Graph, node: fx.Node, canvas: Canvas, *, rule: GradientRule = PLAIN
    ) -> None:
        super().__init__()
        self.canvas = canvas
        self.input_size = (canvas.box.height, canvas.box.width)
        seen = see_field(graph, node, canvas)
        own = None if seen.whole else own_unit(seen.network)
        if not rule.is_plain:
            apply_rule(seen.network, rule)
        self.margins = seen.margins
        self.network = seen.network if seen.whole else lower(seen.network)
        self.own = own or OwnChannel(seen.position)

    def forward(
        self, images: Float[Tensor, "batch c height width"], units: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Return the response of ``units[i]`` to ``images[i]``, as output by the layer.

        Raises:
            ValueError: the images do not have the size of the receptive field.
        """
        if tuple(images.shape[2:]) != self.input_size:
            raise ValueError(f"images of {tuple(images.shape[2:])} pixels, not {self.input_size}")
        if any(self.margins):
            images = F.pad(images, self.margins)
        return self.own(self.network(images), units)


class LayerNetwork(nn.Module):
    """Responses of all units of one layer, at one position, to images of the field's size.

    Args:
        graph: the traced network.
        node: the layer's node.
        canvas: the whole input and the position of the units on the layer's map.

    Attributes:
        input_size: height and width of the receptive field, in pixels.
        channels: number of channels of an image.
    """

    def __init__(self, graph: Graph, node: fx.Node, canvas: Canvas) -> None:
        super().__init__()
        self.input_size = (canvas.box.height, canvas.box.width)
        self.channels = traced_shape(graph.image)[1]
        seen = see_field(graph, node, canvas)
        self.network, self.margins, self.position = seen.network, seen.margins, seen.position

    def forward(
        self, images: Float[Tensor, "batch c height width"]
    ) -> Float[Tensor, "batch units"]:
        """Return the responses, as output by the layer."""
        if any(self.margins):
            images = F.pad(images, self.margins)
        responses = self.network(images)
        return responses if responses.ndim == 2 else responses[:, :, *self.position]


@dataclass(frozen=True)
class FieldNetwork:
    """The part of a network that computes a layer's units at one position.

    Attributes:
        network: maps images of the field with margins to responses [batch, units] or a map.
        position: position of the units on that map.
        margins: pixels around the field (left, right, top, bottom); negative where the field
            extends beyond the input, whose pixels are ignored.
        whole: whether this is the whole network up to the layer, as it cannot be cropped.
    """

    network: fx.GraphModule
    position: tuple[int, int]
    margins: tuple[int, int, int, int]
    whole: bool


def see_field(graph: Graph, node: fx.Node, canvas: Canvas) -> FieldNetwork:
    """Return the part of a network that computes a layer's units at the position of a canvas."""
    crop = Crop(graph, node, canvas.size, canvas.position)
    try:
        network = crop_network(crop)
        seen = Box.of(*crop.part(graph.image))
        position, whole = (0, 0), False
    except UncroppableError as error:
        log.info("%s: computed with the whole network, as %s", node.name, error)
        network = graph.truncated([node])  # shares the network's modules
        position, seen, whole = canvas.position, Box(0, 0, *canvas.size), True
    box = canvas.box
    margins = (
        box.left - seen.left,
        seen.right - box.right,
        box.top - seen.top,
        seen.bottom - box.bottom,
    )
    return FieldNetwork(network, position, margins, whole)


class OwnKernel(nn.Module):
    """The last convolution or linear map, as one dot product per sample with its unit's weights."""

    def __init__(self, layer: nn.Conv2d | nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach()
        self.bias = layer.bias
        self.groups = 1
        self.margins: tuple[int, ...] = ()
        self.taps: tuple[slice, ...] = ()
        if isinstance(layer, nn.Conv2d):
            self.groups = layer.groups
            above, beside = (int(n) for n in layer.padding)
            self.margins = (beside, beside, above, above)
            self.taps = tuple(
                slice(0, dilation * (kernel - 1) + 1, dilation)
                for kernel, dilation in zip(layer.kernel_size, layer.dilation, strict=True)
            )
            weight = weight.permute(0, 2, 3, 1)  # channels last, like the previous map
        self.size = tuple(weight.shape[1:])
        self.kernels = nn.Buffer(weight.reshape(len(weight), -1).contiguous())

    def forward(
        self, seen: Float[Tensor, "batch *features"], units: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Return the response of each sample's unit to its part of the previous map."""
        if any(self.margins):
            seen = F.pad(seen, self.margins)
        seen = seen[..., *self.taps]
        if self.groups > 1:
            group = units // (len(self.kernels) // self.groups)
            rows = torch.arange(len(units), device=units.device)
            seen = seen.unflatten(1, (self.groups, -1))[rows, group]
        own = self.kernels[units].view(-1, *self.size)
        if own.ndim == 4:
            own = own.permute(0, 3, 1, 2)
        response = (seen * own).sum(tuple(range(1, own.ndim)))
        return response if self.bias is None else response + self.bias[units]


class OwnChannel(nn.Module):
    """The sample's own unit, selected from the responses of all units."""

    def __init__(self, position: tuple[int, int]) -> None:
        super().__init__()
        self.position = position

    def forward(
        self, responses: Float[Tensor, "batch units *map"], units: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Return the response of each sample's unit."""
        own = responses[torch.arange(len(units), device=units.device), units]
        return own if own.ndim == 1 else own[:, *self.position]


def own_unit(network: fx.GraphModule) -> OwnKernel | None:
    """Remove the last convolution or linear map from a network with one response per unit.

    Returns:
        The module that computes single units instead, or ``None`` if the last operation is another.
    """
    output = network.graph.output_node()
    last = output.args[0]
    if not isinstance(last, fx.Node) or last.op != "call_module" or len(last.users) > 1:
        return None
    module = network.get_submodule(str(last.target))
    if not isinstance(module, nn.Conv2d | nn.Linear):
        return None
    if isinstance(module, nn.Conv2d) and module.padding_mode != "zeros":
        return None
    output.args = (last.all_input_nodes[0],)
    network.graph.erase_node(last)
    network.recompile()
    return OwnKernel(module)


def layer_network(graph: Graph, layer: Layer) -> LayerNetwork:
    """Return the network of all units of a layer, at the position used by ascents."""
    return LayerNetwork(graph, layer.node, smallest_canvas(graph, layer.node))


def unit_network(graph: Graph, layer: Layer, rule: GradientRule = PLAIN) -> UnitNetwork:
    """Return the unit network of a layer, with a gradient rule for ReLU and max pooling.

    For a layer whose fields differ between positions (after global pooling, attention or adaptive
    pooling), the unit is the one at the center of the map, which the search also uses.
    """
    return UnitNetwork(graph, layer.node, smallest_canvas(graph, layer.node), rule=rule)
