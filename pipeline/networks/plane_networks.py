"""Responses of all units of a layer to images made of a few colored planes.

Drawn stimuli are a background and planes of coverage times colors: bars in black and white,
gratings in four phases. The first convolution is linear, so it is computed once for a plane, and
its output is then weighted for every stimulus that the plane occurs in. What follows is computed on
the receptive field alone.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, fx, nn

from pipeline.errors import ConfigError
from pipeline.networks.cropping import Crop, UncroppableError, crop_network
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer
from pipeline.networks.lowering import ImageConvolution, lower
from pipeline.networks.receptive_fields import Box, Canvas, smallest_canvas, strides
from pipeline.networks.sparse_convolution import (
    ChangedConvolution,
    convolve_changes,
    is_plain,
)


class PlaneNetwork(nn.Module):
    """From weighted planes to the responses of all units of a layer, at one or more positions.

    Args:
        graph: the traced network.
        layer: the layer.
        steps: how many units beside the center one are read as well, on either side: rows and
            columns. The images are wider by as many strides on every side.

    Attributes:
        input_size: height and width of the planes in pixels: the receptive field and the steps.
        positions: rows and columns of the units that are read.

    Raises:
        ConfigError: there are steps, and units do not all see the same field, only shifted.
    """

    def __init__(self, graph: Graph, layer: Layer, steps: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        canvas = smallest_canvas(graph, layer.node)
        if steps != (0, 0):
            canvas = _widened(graph, layer, canvas, steps)
        self.positions = (2 * steps[0] + 1, 2 * steps[1] + 1)
        self.input_size = (canvas.box.height, canvas.box.width)
        network, self.margins, self.corner = _seeing(graph, layer, canvas, self.positions)
        self.first, self.rest = _split(network)
        _convolve_changes(self.rest)

    def filtered(
        self,
        planes: Float[Tensor, "n k height width"],
        colors: Float[Tensor, "k colors c"],
    ) -> Float[Tensor, "n k colors f rows columns"]:
        """Return what the linear first part makes of every plane in its colors, without bias."""
        planes = F.pad(planes, self.margins)
        if self.first is None:
            return planes[:, :, None, None] * colors[..., None, None]
        kernels = torch.einsum("ocyx,kdc->kdoyx", self.first.weight, colors)
        number, each = kernels.shape[:2]
        kernels = kernels.flatten(0, 2).unsqueeze(1)
        if self.first.sparse:
            maps = convolve_changes(planes, None, kernels, self.first.stride, number)
        else:
            stride, padding, dilation = self.first.rest
            maps = F.conv2d(planes, kernels, None, stride, padding, dilation, number)
        return maps.unflatten(1, (number, each, -1))

    def blank(self, background: Float[Tensor, " c"]) -> Float[Tensor, "1 f rows columns"]:
        """Return what the first part makes of an image of one color, with bias."""
        image = background.view(1, -1, 1, 1).expand(1, -1, *self.input_size)
        image = F.pad(image, self.margins)
        return image if self.first is None else self.first(image)

    def forward(
        self, maps: Float[Tensor, "batch f rows columns"]
    ) -> Float[Tensor, "batch units below beside"]:
        """Return the responses of all units at all positions to outputs of the first part.

        The first of the batch must be that to the background alone.
        """
        responses = self.rest(maps)
        if responses.ndim == 2:
            return responses[:, :, None, None]
        (top, left), (rows, columns) = self.corner, self.positions
        return responses[:, :, top : top + rows, left : left + columns]


class FirstConvolution(nn.Module):
    """The convolution that alone reads the image."""

    def __init__(self, conv: nn.Conv2d | ImageConvolution) -> None:
        super().__init__()
        self.weight, self.bias = nn.Buffer(conv.weight.detach()), conv.bias
        self.sparse = isinstance(conv, ImageConvolution) or is_plain(conv)
        plain = isinstance(conv, nn.Conv2d)
        self.stride = conv.stride[0] if plain else conv.stride
        # Stride, padding and dilation.
        self.rest: Any = (
            (conv.stride, conv.padding, conv.dilation) if plain else (conv.stride, 0, 1)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the convolution's output."""
        return F.conv2d(images, self.weight, self.bias, *self.rest)


def _widened(graph: Graph, layer: Layer, canvas: Canvas, steps: tuple[int, int]) -> Canvas:
    """Return a canvas that is wider by some strides on every side."""
    down, across = strides(graph, layer.node)
    if down is None or across is None:
        raise ConfigError(
            f"layers: a set that steps by the stride, as bars_on_stride does, cannot be shown to"
            f" {layer.name}, whose units do not see fields at a regular distance (behind global"
            " pooling or attention, all of them see the whole image); use another set, such as"
            " bars_4a"
        )
    more, box = (2 * steps[0] * down, 2 * steps[1] * across), canvas.box
    return Canvas(
        (canvas.size[0] + more[0], canvas.size[1] + more[1]),
        canvas.position,
        Box(box.top, box.left, box.bottom + more[0], box.right + more[1]),
    )


def _seeing(
    graph: Graph, layer: Layer, canvas: Canvas, positions: tuple[int, int]
) -> tuple[fx.GraphModule, tuple[int, int, int, int], tuple[int, int]]:
    """Return a lowered network of what units see, the margins of images, and where units lie."""
    crop = Crop(graph, layer.node, canvas.size, canvas.position, positions)
    try:
        network = lower(crop_network(crop))
        seen, corner = Box.of(*crop.part(graph.image)), (0, 0)
    except UncroppableError:
        if positions != (1, 1):
            raise
        network, seen = graph.truncated([layer.node]), Box(0, 0, *canvas.size)
        corner = canvas.position
    box = canvas.box
    sides = (box.left - seen.left, seen.right - box.right, box.top - seen.top)
    return network, (*sides, seen.bottom - box.bottom), corner


def _split(network: fx.GraphModule) -> tuple[FirstConvolution | None, fx.GraphModule]:
    """Take the first convolution off a network, where nothing else reads the image."""
    (image,) = (node for node in network.graph.nodes if node.op == "placeholder")
    readers = list(image.users)
    conv = network.get_submodule(str(readers[0].target)) if _calls(readers) else None
    if not isinstance(conv, nn.Conv2d | ImageConvolution):
        return None, network
    if isinstance(conv, nn.Conv2d) and (conv.padding_mode != "zeros" or conv.groups > 1):
        return None, network
    readers[0].replace_all_uses_with(image)
    network.graph.erase_node(readers[0])
    network.recompile()
    return FirstConvolution(conv), network


def _calls(readers: list[fx.Node]) -> bool:
    return len(readers) == 1 and readers[0].op == "call_module"


def _convolve_changes(network: fx.GraphModule) -> None:
    """Let the first convolution of a network compute only what differs from the blank image."""
    for node in network.graph.nodes:
        conv = network.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(conv, nn.Conv2d):
            if is_plain(conv) and conv.kernel_size != (1, 1):
                network.add_submodule("changed", ChangedConvolution(conv))
                node.target = "changed"
                network.recompile()
            return
