"""Responses of all units of a layer to images of the size of their receptive field."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float

from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer
from pipeline.networks.receptive_fields import smallest_canvas
from pipeline.networks.unit_networks import LayerNetwork

# Values of images that are run at once. The last bits of responses depend on it: raise the versions
# of the stages that store what follows from them if you change it.
VALUES, MOST = 1 << 19, 64


class FieldResponses:
    """Responses of all units of one layer, at the position that ascents use.

    Args:
        graph: the traced network.
        layer: the layer.
        device: where images are run; the network must be there.
        check: called between batches; raises an error to stop.
    """

    def __init__(
        self,
        graph: Graph,
        layer: Layer,
        device: torch.device | str = "cpu",
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.network = LayerNetwork(graph, layer.node, smallest_canvas(graph, layer.node))
        self.network.to(device).eval()
        self.device, self.check = torch.device(device), check
        height, width = self.network.input_size
        self.at_once = max(1, min(MOST, VALUES // (height * width * self.network.channels)))

    def __call__(
        self, images: Float[np.ndarray, "images channels height width"]
    ) -> Float[np.ndarray, "images units"]:
        """Return the responses, as output by the layer, in float32.

        Images that are not finite give NaN. The last batch is filled up, so that responses do not
        depend on how many images there are.

        Raises:
            ValueError: the images do not have the size of the receptive field.
        """
        if images.shape[2:] != self.network.input_size:
            raise ValueError(f"images of {images.shape[2:]}, not {self.network.input_size} pixels")
        found: list[np.ndarray] = []
        with torch.inference_mode():
            for start in range(0, len(images), self.at_once):
                self.check()
                some = images[start : start + self.at_once].astype(np.float32)
                lacking = self.at_once - len(some)
                whole = np.concatenate([some, np.zeros((lacking, *some.shape[1:]), np.float32)])
                responses = self.network(torch.from_numpy(whole).to(self.device))
                found.append(responses[: len(some)].float().cpu().numpy())
        return np.concatenate(found) if found else np.empty((0, 0), np.float32)
