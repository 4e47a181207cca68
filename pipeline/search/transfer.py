"""Images made for one network, as the units of another see them: at the center of their field.

An image is shown with the same pixels on gray, or rescaled so that it fills the field of the units
that see it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError, nearest
from pipeline.images.batches import split
from pipeline.images.conversion import converted, on_gray, rescaled
from pipeline.images.perturbations import Perturbation, perturbed
from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.networks.receptive_fields import Box, receptive_field, smallest_canvas
from pipeline.networks.responses import LayerResponses, read_map
from pipeline.networks.unit_networks import LayerNetwork

# Images of a forward pass. The last bits of responses depend on it: raise the version of the stage
# that stores them if you change it.
TOGETHER = 16
POSITIONS = ("center", "max")
SCALES = ("pixels", "field")


@dataclass(frozen=True)
class Viewing:
    """How images are shown.

    Attributes:
        at: ``center``: the response of the units whose field has the image at its center; ``max``:
            the largest response anywhere on the map, with that image on the whole input.
        contrast: RMS contrast to which whoever shows images brings them before, by
            ``synthesis.evolution.contrast.at_contrast``; ``None`` leaves them as they are.
        scale: ``pixels`` shows the same pixels, on gray or cut to the field; ``field`` rescales the
            image to the field of the units that see it (bilinear, antialiased).
        prefix: of the names of these, in messages.

    Raises:
        ConfigError: one of them is none of these.
    """

    at: str = "center"
    scale: str = "pixels"
    contrast: float | None = 1.0
    prefix: str = ""

    def __post_init__(self) -> None:
        for name, known in (("at", POSITIONS), ("scale", SCALES)):
            given = str(getattr(self, name))
            if given not in known:
                raise ConfigError(
                    f"{self.prefix}{name}: '{given}' is not one of {', '.join(known)}"
                    f"{nearest(given, known)}"
                )
        given: Any = self.contrast
        number = isinstance(given, int | float) and not isinstance(given, bool)
        if given is not None and not (number and 0 < given < math.inf):
            raise ConfigError(
                f"{self.prefix}contrast: {given!r} is not a positive number; photographs have about"
                " 1, and None shows images as they are"
            )


class Viewer:
    """The units of one layer, who respond to images made for any network.

    Args:
        network: that the layer is of, traced at the size of its images.
        layer: the layer.
        source: preprocessing of the network that the images are for.
        viewing: how they are shown.
        device: where responses are computed.

    Attributes:
        field: height and width of the units' receptive field.
    """

    def __init__(
        self,
        network: Network,
        layer: Layer,
        source: Preprocessing,
        viewing: Viewing,
        device: torch.device | str = "cpu",
    ) -> None:
        self.layer, self.source, self.viewing, self.device = layer, source, viewing, device
        self.target, graph = network.preprocessing, network.graph
        box = smallest_canvas(graph, layer.node).box
        self.field = (box.height, box.width)
        network.module.to(device)
        if viewing.at == "center":
            canvas = smallest_canvas(graph, layer.node)
            self.network = LayerNetwork(graph, layer.node, canvas).to(device).eval()
        else:
            seen = receptive_field(graph, layer.node, central_position(layer))
            self.size = graph.input_size
            self.center = ((seen.top + seen.bottom) / 2, (seen.left + seen.right) / 2)
            self.whole = LayerResponses(graph, [layer])

    def __call__(self, images: Float[Tensor, "n given height width"]) -> Float[Tensor, "n units"]:
        """Return the responses of all units of the layer, on the CPU."""
        shown = converted(images, self.source, self.target)
        if self.viewing.scale == "field":
            shown = rescaled(shown, self.field)
        parts = [self._respond(shown[n.start : n.stop]) for n in split(len(shown), TOGETHER)]
        return torch.cat(parts) if parts else torch.zeros(0, self.layer.units)

    def _respond(self, shown: Tensor) -> Tensor:
        with torch.inference_mode():
            if self.viewing.at == "center":
                return self.network(on_gray(shown, self.field).to(self.device)).float().cpu()
            taken: list[Tensor] = []
            images = on_gray(shown, self.size, self.center).to(self.device)
            self.whole.visit(images, lambda _, maps: taken.append(read_map(maps, "max").cpu()))
            return taken[0].float()


def central_position(layer: Layer) -> tuple[int, int]:
    """Return row and column of the units whose responses count as those at the center."""
    row, column = layer.center
    rows, columns = layer.map_size
    return (rows // 2 if row is None else row, columns // 2 if column is None else column)


def central_field(network: Network, layer: Layer) -> Box:
    """Return the receptive field of the units at the center of an input."""
    return receptive_field(network.graph, layer.node, central_position(layer))


def perturbed_responses(
    viewer: Viewer,
    image: Float[Tensor, "c height width"],
    changes: list[Perturbation],
    identity: tuple[object, ...],
) -> Float[Tensor, "changes units"]:
    """Return the responses of all units to an image after each change; means of its versions.

    Args:
        viewer: the units.
        image: made for the network of ``viewer.source``, in which it is changed.
        changes: in order.
        identity: what noise is drawn from: each kind and level draws its own.
    """
    versions = [
        perturbed(image, change, viewer.source, (*identity, change.kind, change.level))
        for change in changes
    ]
    answers = viewer(torch.cat(versions)).split([len(each) for each in versions])
    return torch.stack([each.mean(0) for each in answers])
