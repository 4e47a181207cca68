"""Presenting a stimulus set: the responses of all units of a layer, block by block.

Every unit has its receptive field at the center of the canvas, so one presentation answers for all
units of a layer.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.networks.graph.graph import Graph
from pipeline.networks.graph.nodes import traced_shape
from pipeline.networks.layers import Layer
from pipeline.networks.plane_networks import PlaneNetwork
from pipeline.networks.receptive_fields import receptive_fields, smallest_canvas, strides
from pipeline.stimuli.field import Colors, Field, Screen
from pipeline.stimuli.stimulus_set import StimulusSet

# Outputs of the first layer that are held at once, which fit into a cache, and the fewest figures
# that are drawn together. The last bits of responses depend on them: raise the versions of the
# stages that store responses if you change them.
NUMBERS, FEWEST = 1 << 18, 8


@dataclass(frozen=True, eq=False)
class _Look:
    """A background with weights of planes, and the stimuli that have them.

    Attributes:
        blank: output of the first layer for the background alone.
        weights: of each plane in each of its colors.
        rows: stimulus numbers by figure and position, -1 where there is none.
    """

    blank: Tensor
    weights: list[list[float]]
    rows: Tensor


def field_of(
    graph: Graph, layer: Layer, colors: Colors | None = None, screen: Screen | None = None
) -> Field:
    """Return the canvas on which stimuli for a layer are drawn: its units' receptive field.

    Args:
        graph: the traced network.
        layer: the layer.
        colors: black, white and gray; -1, 1 and 0 in every channel by default.
        screen: how the input is seen, for stimuli in degrees. If it has a center, they are placed
            as the unit of ``nearest_unit`` sees them; what its field holds beyond the screen is
            drawn as on a larger screen.
    """
    box, (down, across) = smallest_canvas(graph, layer.node).box, strides(graph, layer.node)
    # Where units do not all see the same field, positions that step by the stride are refused.
    stride = down if down and down == across else 1
    return Field(
        box.height,
        box.width,
        stride,
        colors or Colors.published(traced_shape(graph.image)[1]),
        screen,
        nearest_unit(graph, layer, screen)[1] if screen and screen.center else (0.0, 0.0),
    )


def nearest_unit(
    graph: Graph, layer: Layer, screen: Screen
) -> tuple[tuple[int, int], tuple[float, float]]:
    """Return the unit whose field's center is nearest to where a screen shows stimuli.

    Returns:
        Its row and column on the layer's map; and pixels right and down from the center of its
        field to that of the stimuli.
    """
    right, down = screen.center or (0.0, 0.0)
    places: list[int] = []
    shifts: list[float] = []
    for axis, degrees in enumerate((down, right)):
        only = layer.center[axis]
        units = np.arange(layer.map_size[axis]) if only is None else np.array([only])
        fields = receptive_fields(graph, layer.node, units, units)
        centers = (fields[axis] + fields[axis + 2] - 1) / 2
        shown = (graph.input_size[axis] - 1) / 2 + degrees * screen.pixels_per_degree
        nearest = int(np.abs(centers - shown).argmin())
        places.append(int(units[nearest]))
        shifts.append(float(shown - centers[nearest]))
    return (places[0], places[1]), (shifts[1], shifts[0])


class Presentation:
    """Presents the stimuli of a set to a layer; several threads may do so at the same time.

    Args:
        graph: the traced network.
        layer: the layer.
        stimuli: drawn on the receptive field of the layer.
        device: where the network is; stimuli are drawn there.

    Attributes:
        layer: name of the layer.
        blocks: geometries, or figures of a set that steps by the stride, in blocks that fit into
            memory; the blocks do not depend on the device, nor on what is done with the responses.

    Raises:
        ConfigError: the canvas of the set is not the receptive field.
    """

    def __init__(
        self,
        graph: Graph,
        layer: Layer,
        stimuli: StimulusSet,
        device: torch.device | str = "cpu",
    ) -> None:
        self.layer = layer.name
        self.stimuli, self.device, self.shifts = stimuli, torch.device(device), stimuli.shifts
        steps = self.shifts.steps if self.shifts else (0, 0)
        self.network = PlaneNetwork(graph, layer, steps).to(device)
        self.own = threading.local()  # a buffer for each thread
        self.margin = self.shifts.margin if self.shifts else (0, 0)
        sides = zip(self.network.input_size, self.margin, strict=True)
        height, width = (side - 2 * margin for side, margin in sides)
        if stimuli.size != (height, width):
            raise ConfigError(
                f"stimulus: {stimuli.name} is drawn for a receptive field of {stimuli.size[0]} x"
                f" {stimuli.size[1]} pixels, and that of {layer.name} has {height} x {width}; draw"
                " the set for this layer"
            )
        self.colors, weights = _colors(stimuli.weights)
        with torch.inference_mode():
            self.looks = list(self._looks(weights))
            numbers = self.looks[0].blank.numel() * self.colors.shape[:2].numel()
        self.figures = self.shifts.figures if self.shifts else torch.arange(stimuli.geometries)
        step = max(FEWEST, NUMBERS // numbers)
        starts = range(0, len(self.figures), step)
        self.blocks = [range(start, min(start + step, len(self.figures))) for start in starts]

    def respond(self, block: range) -> tuple[Int[Tensor, " rows"], Float[Tensor, "rows units"]]:
        """Return the stimulus numbers of a block, and the responses of all units to each.

        Responses are those of the layer, before any nonlinearity that follows it.
        """
        with torch.inference_mode():
            figures = self.figures[block.start : block.stop]
            planes = self.stimuli.planes(figures, self.device, self.margin)
            filtered = self.network.filtered(planes, self.colors.to(self.device))
            rows: list[Tensor] = []
            responses: list[Tensor] = []
            for look in self.looks:
                shown = look.rows[block.start : block.stop]
                places = (shown >= 0).nonzero(as_tuple=True)
                maps = self._weighted(look, filtered)
                answers = self.network(maps)[1:].permute(0, 2, 3, 1).to("cpu")
                rows.append(shown[places])
                responses.append(answers[places])
            return torch.cat(rows), torch.cat(responses)

    def _weighted(self, look: _Look, filtered: Tensor) -> Tensor:
        """Return the first layer's output for the background and for every figure in one look."""
        buffer = self._buffer((len(filtered) + 1, *look.blank.shape[1:]))
        buffer[:1], maps, before = look.blank, buffer[1:], look.blank
        for k, weights in enumerate(look.weights):
            for color, weight in enumerate(weights):
                if weight:
                    torch.add(before, filtered[:, k, color], alpha=weight, out=maps)
                    before = maps
        if before is not maps:  # nothing but background
            maps.copy_(look.blank.expand_as(maps))
        return buffer

    def _buffer(self, shape: tuple[int, ...]) -> Tensor:
        """Return memory of a shape, used again by the same thread: new memory costs more time."""
        kept: Tensor | None = getattr(self.own, "buffer", None)
        if kept is None or kept.shape != shape:
            empty = torch.empty(shape, device=self.device)
            # Pooling is fast where channels lie last.
            self.own.buffer = kept = empty.contiguous(memory_format=torch.channels_last)
        return kept

    def _looks(self, weights: Float[Tensor, "rows k colors"]) -> Iterator[_Look]:
        """Yield all different backgrounds with weights of planes."""
        stimuli = self.stimuli
        looks = torch.cat([stimuli.background, weights.flatten(1)], 1)
        different, number = torch.unique(looks, dim=0, return_inverse=True)
        if self.shifts:
            by_look = self.shifts.rows.unbind(1)
        else:
            by_look = []
            for look in range(len(different)):
                own = (number == look).nonzero()[:, 0]
                while len(own):  # again where stimuli are equal, such as phases 0 and 360
                    rows = torch.full((stimuli.geometries, 1, 1), -1)
                    rows[stimuli.geometry[own], 0, 0] = own
                    by_look.append(rows)
                    own = own[rows[stimuli.geometry[own], 0, 0] != own]
        for rows in by_look:
            first = int(rows[rows >= 0][0])
            blank = self.network.blank(stimuli.background[first].to(self.device))
            yield _Look(blank, weights[first].tolist(), rows)


def _colors(
    weights: Float[Tensor, "rows k c"],
) -> tuple[Float[Tensor, "k colors c"], Float[Tensor, "rows k colors"]]:
    """Return the fewest colors that each plane is shown in, up to a factor, and these factors."""
    channels = weights.shape[2]
    of_one = [_single(plane) for plane in weights.unbind(1)]
    found = [color for color in of_one if color is not None]
    if len(found) < len(of_one):  # each channel by itself
        return torch.eye(channels).expand(len(of_one), -1, -1), weights
    colors = torch.stack(found)
    strongest = colors.abs().argmax(1)
    factors = weights.gather(2, strongest.expand(len(weights), -1)[..., None])
    return colors[:, None], factors


def _single(plane: Float[Tensor, "rows c"]) -> Float[Tensor, " c"] | None:
    """Return the color that a plane always has, up to a factor, with 1 in its strongest channel."""
    strong = plane[plane.abs().amax(1).argmax()]
    channel = int(strong.abs().argmax())
    if not strong[channel]:
        return strong
    color = strong / strong[channel]
    alike = torch.allclose(plane, plane[:, channel, None] * color, rtol=1e-6, atol=0)
    return color if alike else None
