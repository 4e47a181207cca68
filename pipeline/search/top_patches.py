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
from pipeline.search.extremes import Extremes


@dataclass
class Found:
    """Extremes by layer name, top (+1) and bottom (-1), and the images that could not be read."""

    extremes: dict[str, dict[int, Extremes]]
    unreadable: dict[str, str] = field(default_factory=dict[str, str])


def search(
    network: LayerResponses,
    layers: Iterable[Layer],
    batches: Iterable[Batch],
    *,
    total: int,
    keep: int = 100,
    max_unreadable: float = 0.1,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] = lambda _: None,
) -> Found:
    """Return the top and bottom patches of every unit of some layers.

    Args:
        network: runs the layers.
        layers: the layers to record.
        batches: the images, each once.
        total: number of images, to judge how many may be unreadable.
        keep: patches kept per unit and sign.
        max_unreadable: the search stops when more than this share of all images (and more than
            one) cannot be read.
        device: where the network runs.
        progress: called with the number of images after each batch.

    Raises:
        ImageError: too many images cannot be read.
        NetworkError: a response is not finite.
    """
    found = Found(
        {
            layer.name: {sign: Extremes(layer.units, keep, sign) for sign in (1, -1)}
            for layer in layers
        }
    )
    with torch.inference_mode():
        for batch in batches:
            found.unreadable.update(batch.unreadable)
            _check_unreadable(found.unreadable, max(1.0, max_unreadable * total), total)
            if len(batch.indices):
                network.visit(batch.images.to(device), _taker(found, batch.indices))
            progress(len(batch.indices) + len(batch.unreadable))
    if len(found.unreadable) == total:
        _refuse(found.unreadable, total)
    return found


def _taker(found: Found, indices: Tensor) -> Callable[[Layer, Tensor], None]:
    def take(layer: Layer, responses: Tensor) -> None:
        for extremes in found.extremes[layer.name].values():
            extremes.add(indices, responses)

    return take


def _check_unreadable(unreadable: dict[str, str], allowed: float, total: int) -> None:
    if len(unreadable) > allowed:
        _refuse(unreadable, total)


def _refuse(unreadable: dict[str, str], total: int) -> None:
    name, reason = next(iter(unreadable.items()))
    raise ImageError(
        f"images: {len(unreadable)} of {total} images cannot be used, the first is '{name}', which"
        f" {reason}; mend or remove them, or raise search.max_unreadable"
    )
