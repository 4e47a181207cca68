"""One pass over an image set: top and bottom patches of every unit of every layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pipeline.errors import ImageError
from pipeline.images.batches import Batch
from pipeline.networks.layer_responses import LayerResponses
from pipeline.networks.layers import Layer
from pipeline.search.extremes import Extremes, peaks


@dataclass(frozen=True)
class Peaks:
    """What one batch of images gives: responses and positions by layer name and sign."""

    indices: Tensor
    by_layer: dict[str, dict[int, tuple[Tensor, Tensor]]]
    unreadable: dict[str, str]


@dataclass
class Found:
    """Extremes by layer name, top (+1) and bottom (-1), and the images that could not be read."""

    extremes: dict[str, dict[int, Extremes]]
    unreadable: dict[str, str] = field(default_factory=dict[str, str])


def find_peaks(
    network: LayerResponses,
    batch: Batch,
    device: torch.device | str = "cpu",
    check: Callable[[], None] = lambda: None,
) -> Peaks:
    """Return the strongest and weakest responses of every unit to every image of a batch.

    One layer is in memory at a time, and nothing waits for the device.

    Args:
        network: runs the layers.
        batch: the images.
        device: where the network runs.
        check: called before every layer; raises to stop.
    """
    by_layer: dict[str, dict[int, tuple[Tensor, Tensor]]] = {}

    def take(layer: Layer, responses: Tensor) -> None:
        check()
        by_layer[layer.name] = {sign: peaks(responses, sign) for sign in (1, -1)}

    if len(batch.indices):
        with torch.inference_mode():
            images = batch.images.to(device, non_blocking=True)
            network.visit(images.contiguous(memory_format=torch.channels_last), take)
    return Peaks(batch.indices, by_layer, batch.unreadable)


def search(
    found: Iterable[Peaks],
    layers: Iterable[Layer],
    *,
    total: int,
    keep: int = 100,
    max_unreadable: float = 0.1,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] = lambda _: None,
) -> Found:
    """Return the top and bottom patches of every unit of some layers.

    Args:
        found: what ``find_peaks`` found in each batch, in any order.
        layers: the layers to record.
        total: number of images, to judge how many may be unreadable.
        keep: patches kept per unit and sign.
        max_unreadable: the search stops when more than this share of all images (and more than
            one) cannot be read.
        device: where the extremes are kept.
        progress: called with the number of images after each batch.

    Raises:
        ImageError: too many images cannot be read.
        NetworkError: a response is not finite.
    """
    result = Found(
        {
            layer.name: {sign: Extremes(layer.units, keep, sign, device) for sign in (1, -1)}
            for layer in layers
        }
    )
    for batch in found:
        result.unreadable.update(batch.unreadable)
        if len(result.unreadable) > max(1.0, max_unreadable * total):
            _refuse(result.unreadable, total)
        for name, by_sign in batch.by_layer.items():
            for sign, (responses, positions) in by_sign.items():
                result.extremes[name][sign].add(batch.indices, responses, positions)
        progress(len(batch.indices) + len(batch.unreadable))
    if len(result.unreadable) == total:
        _refuse(result.unreadable, total)
    return result


def _refuse(unreadable: dict[str, str], total: int) -> None:
    name, reason = next(iter(unreadable.items()))
    raise ImageError(
        f"images: {len(unreadable)} of {total} images cannot be used, the first is '{name}', which"
        f" {reason}; mend or remove them, or raise search.max_unreadable"
    )
