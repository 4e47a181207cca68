"""Top and bottom patches of every unit of every layer, batch by batch of an image set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from pipeline.images.batches import Batch
from pipeline.networks.layers import Layer
from pipeline.networks.responses import LayerResponses
from pipeline.search.extremes import Extremes, peaks


@dataclass(frozen=True)
class Peaks:
    """The search results of one batch, without its images.

    Attributes:
        indices: indices in the set of the images that could be read.
        digests: digests of all images of the batch, readable or not.
        unreadable: images that could not be read, with reasons.
        by_layer: responses and row-major positions, [units, images] each, by layer name and sign.
    """

    indices: Int[Tensor, " images"]
    digests: Int[Tensor, " asked"]
    unreadable: dict[str, str]
    by_layer: dict[str, dict[int, tuple[Tensor, Tensor]]]


def find_peaks(
    network: LayerResponses,
    batch: Batch,
    device: torch.device | str = "cpu",
    check: Callable[[], None] = lambda: None,
) -> Peaks:
    """Return the strongest and weakest responses of every unit to every image of a batch.

    One layer is in memory at a time, without synchronizing with the device.

    Args:
        network: runs the layers.
        batch: the images.
        device: where the network runs.
        check: called before every layer; raises an error to stop.
    """
    by_layer: dict[str, dict[int, tuple[Tensor, Tensor]]] = {}

    def take(layer: Layer, responses: Tensor) -> None:
        check()
        by_layer[layer.name] = {sign: peaks(responses, sign) for sign in (1, -1)}

    if len(batch.indices):
        with torch.inference_mode():
            images = batch.images.to(device, non_blocking=True)
            network.visit(images.contiguous(memory_format=torch.channels_last), take)
    return Peaks(batch.indices, batch.digests, batch.unreadable, by_layer)


class Found:
    """The findings of a search so far.

    Args:
        layers: the layers to record.
        keep: patches kept per unit and sign.
        device: device of the extremes.

    Attributes:
        extremes: by layer name, top (+1) and bottom (-1).
        digests: digests of all images, in order.
        unreadable: images that could not be read, with reasons.
    """

    def __init__(
        self, layers: Iterable[Layer], keep: int, device: torch.device | str = "cpu"
    ) -> None:
        self.extremes = {
            layer.name: {sign: Extremes(layer.units, keep, sign, device) for sign in (1, -1)}
            for layer in layers
        }
        self.digests: list[int] = []
        self.unreadable: dict[str, str] = {}

    def add(self, found: Peaks) -> None:
        """Add one batch.

        Raises:
            NetworkError: a response is not finite; this may be reported only by a later call.
        """
        self.digests += found.digests.tolist()
        self.unreadable.update(found.unreadable)
        for name, by_sign in found.by_layer.items():
            for sign, (responses, positions) in by_sign.items():
                self.extremes[name][sign].add(found.indices, responses, positions)
