"""Responses of all units of a layer to hues, gray levels and gratings, for their opponency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError, nearest
from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.cropping import Crop
from pipeline.networks.graph.counting import forward_operations
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer
from pipeline.networks.nonlinearity import nonlinearity
from pipeline.networks.receptive_fields import Box, Canvas, smallest_canvas
from pipeline.networks.responses import LayerResponses, read_map
from pipeline.networks.unit_networks import LayerNetwork
from pipeline.stimuli.color_gratings import spatial_opponency
from pipeline.stimuli.field import Colors, Field
from pipeline.stimuli.stimulus_set import StimulusSet
from pipeline.stimuli.uniform_colors import full_field_colors, gray_levels, hues, needs_three

WHERE = ("image", "field")
SETS = ("gray_levels", "hues", "gratings")
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue pixels (ITU-R BT.601)
# Stimuli that are shown together. The last bits of responses depend on them: raise the version of
# the stage if you change them.
PIXELS, MOST = 1 << 20, 64
WHOLE = 0.25  # share of the operations of a layer on which its center depends


@dataclass(frozen=True)
class OpponencyProtocol:
    """What is shown, and where responses are read.

    Attributes:
        where: ``image``: stimuli fill the network's whole input, zero padding around it is that of
            the network, and the unit is the one at index n // 2 of the map, as published; or
            ``field``: they fill the receptive field, which is free of padding.
        gray: whether hues are shown in gray of the same luminance, as a null: what is then called
            spectral opponency is due to luminance alone.

    Raises:
        ConfigError: ``where`` is neither.
    """

    where: str = "image"
    gray: bool = False

    def __post_init__(self) -> None:
        if self.where not in WHERE:
            raise ConfigError(
                f"where: {self.where!r} is not one of {', '.join(WHERE)}"
                f"{nearest(str(self.where), WHERE)}"
            )

    def canvas(self, graph: Graph, layer: Layer) -> Canvas:
        """Return the input that is filled, and the unit that is read."""
        if self.where == "field":
            return smallest_canvas(graph, layer.node)
        rows, columns = layer.map_size
        return Canvas(graph.input_size, (rows // 2, columns // 2), Box(0, 0, *graph.input_size))


def opponency_stimuli(
    graph: Graph, layer: Layer, preprocessing: Preprocessing, protocol: OpponencyProtocol
) -> dict[str, StimulusSet]:
    """Return black, gray and white; 360 hues; and 960 achromatic gratings, by the names of SETS.

    Pixels are from 0 to 1 and pass the network's preprocessing. Gratings have 1 to 16 cycles in
    the width of the network's input.

    Raises:
        ConfigError: the network does not have 3 channels.
    """
    box = protocol.canvas(graph, layer).box
    field = Field(box.height, box.width, colors=stimulus_colors(preprocessing))
    needs_three("hues", field)
    colored = hues(field)
    if protocol.gray:
        luminance = colored.table[["red", "green", "blue"]].to_numpy() @ np.array(LUMINANCE)
        colored = full_field_colors(field, np.repeat(luminance[:, None], 3, axis=1).tolist())
    return {
        "gray_levels": gray_levels(field),
        "hues": colored,
        "gratings": spatial_opponency(field, image=float(graph.input_size[1])),
    }


def stimulus_colors(preprocessing: Preprocessing) -> Colors:
    """Return the colors of pixels 0, 1 and .5 after a network's preprocessing."""
    return Colors.bounds(preprocessing.mean, preprocessing.std, gray=0.5)


class OpponencyPresentation:
    """Shows the stimuli to some layers that are seen together (``groups``).

    Args:
        graph: the traced network.
        layers: a group of layers.
        preprocessing: of the network.
        protocol: what is shown, and where responses are read.
        device: where the network is; stimuli are drawn there.

    Attributes:
        stimuli: by the names of ``SETS``.
        step: stimuli that are shown together.
    """

    def __init__(
        self,
        graph: Graph,
        layers: Sequence[Layer],
        preprocessing: Preprocessing,
        protocol: OpponencyProtocol,
        device: torch.device | str = "cpu",
    ) -> None:
        first, canvas = layers[0], protocol.canvas(graph, layers[0])
        self.stimuli = opponency_stimuli(graph, first, preprocessing, protocol)
        self.device, self.first = torch.device(device), first
        self.after = {layer.name: nonlinearity(graph, layer) for layer in layers}
        whole = is_whole(graph, first, protocol)
        self.whole = LayerResponses(graph, layers) if whole else None
        self.cropped = None if whole else LayerNetwork(graph, first.node, canvas)
        self.step = int(min(MOST, max(1, PIXELS // (canvas.box.height * canvas.box.width))))

    def blocks(self, name: str) -> list[range]:
        """Return the stimuli of a set that are shown together."""
        count = len(self.stimuli[name])
        return [range(at, min(at + self.step, count)) for at in range(0, count, self.step)]

    def respond(
        self, name: str, check: Callable[[], None] = lambda: None
    ) -> dict[str, Float[np.ndarray, "stages stimuli units"]]:
        """Return the responses of all units to a set: before and, if any, after the nonlinearity.

        Args:
            name: of the set.
            check: called before every block of stimuli; raises an error to stop.
        """
        found: dict[str, list[np.ndarray]] = {layer: [] for layer in self.after}
        for block in self.blocks(name):
            check()
            for layer, responses in self.show(name, block).items():
                found[layer].append(responses)
        return {layer: np.concatenate(parts, axis=1) for layer, parts in found.items()}

    def show(self, name: str, rows: range) -> dict[str, Float[np.ndarray, "stages rows units"]]:
        """Return the responses of all units to some stimuli of a set, by layer."""
        found: dict[str, np.ndarray] = {}

        def take(layer: Layer, responses: Float[Tensor, "rows units"]) -> None:
            after = self.after[layer.name]
            both = [responses] if after.reason else [responses, after(responses)]
            found[layer.name] = torch.stack(both).float().cpu().numpy()

        with torch.inference_mode():
            images = self.stimuli[name].draw(rows, self.device)
            if self.cropped is not None:
                take(self.first, self.cropped(images))
            elif self.whole is not None:
                self.whole.visit(images, lambda layer, maps: take(layer, read_map(maps, "center")))
        return found


def groups(graph: Graph, layers: Sequence[Layer], protocol: OpponencyProtocol) -> list[list[Layer]]:
    """Return layers in groups that are seen together: those that depend on most of an image."""
    whole = [layer for layer in layers if is_whole(graph, layer, protocol)]
    return [*([layer] for layer in layers if layer not in whole), *([whole] if whole else [])]


def is_whole(graph: Graph, layer: Layer, protocol: OpponencyProtocol) -> bool:
    """Return whether a layer is computed on the whole image, together with others.

    One unit at the center of a shallow layer depends on little of it, so that less is computed if
    that is cut out. What is chosen for a layer does not depend on the other layers, as the last
    bits of responses depend on it.
    """
    if protocol.where == "field":
        return False
    canvas = protocol.canvas(graph, layer)
    cropped = Crop(graph, layer.node, canvas.size, canvas.position).operations
    return cropped > WHOLE * forward_operations(graph, [layer.node])
