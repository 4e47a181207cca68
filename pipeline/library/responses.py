"""Responses of units to images, as arrays."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pipeline.images.any_images import as_image_set
from pipeline.images.batches import load_batch, none_usable, split
from pipeline.images.columns import with_image_columns
from pipeline.images.image_sets import ImageSet
from pipeline.library.arguments import chosen_layers, chosen_units, of_network, whole_number
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.networks.responses import LayerResponses, read_map
from pipeline.store.summaries import shape

log = logging.getLogger(__name__)


class ImageResponses(dict[str, np.ndarray]):
    """Responses to images, an array by the name of each layer.

    Attributes:
        images: names of the rows: of files their paths, below the folder if one was given; of
            others their numbers.
        table: one row per row of the arrays: ``image``, its name, and ``image_NAME`` for each
            column of the images.
    """

    def __init__(self, by_layer: Mapping[str, np.ndarray], images: ImageSet) -> None:
        super().__init__(by_layer)
        self.images = list(images.names)
        self.table = with_image_columns(pd.DataFrame({"image": self.images}), images)

    def __repr__(self) -> str:
        lines = [f"  {name}: {shape(array)}" for name, array in self.items()]
        return "\n".join([f"Responses to {len(self.images)} images", *lines])


@of_network
def responses(
    net: Network,
    images: Any,
    layers: str | Sequence[str],
    *,
    at: str = "max",
    units: Any = "all",
    batch_size: int = 16,
) -> ImageResponses:
    """Return the responses of units of some layers to images.

    The response of a unit is the output of its layer, before any nonlinearity that follows it.

    Args:
        net: the network.
        images: anything that ``pipeline.images.any_images.as_image_set`` takes.
        layers: names of layers, or ``all`` for those of ``net.layers``.
        at: part of a unit's map: its ``max``, its ``mean``, its ``center``, or ``all`` positions.
        units: ``all``, a number, a list of numbers, or a range such as ``0:64``.
        batch_size: images per forward pass, on the device of the network.

    Returns:
        Float32 arrays by layer, ``[images, units]``, or ``[images, units, rows, columns]`` of all
        positions; ``images`` are the names of the rows. Rows of images that cannot be read are NaN,
        which is logged.

    Raises:
        ConfigError: there is no such layer, unit or value of ``at``.
        ImageError: no image can be read.

    >>> import pipeline, torch
    >>> black = torch.zeros(2, 3, 96, 96)
    >>> pipeline.responses(pipeline.network("miniature"), black, "conv1")["conv1"].shape
    (2, 24)
    """
    image_set = as_image_set(images, net.preprocessing)
    sized = net.sized(image_set.size)
    found = chosen_layers(sized, layers)
    chosen = {layer.name: chosen_units(units, layer) for layer in found}
    network = LayerResponses(sized.graph, found, whole=True)
    taken: dict[str, list[Tensor]] = {layer.name: [] for layer in found}

    def take(layer: Layer, responses: Tensor) -> None:
        taken[layer.name].append(read_map(responses[:, chosen[layer.name]], at).cpu())

    rows: list[int] = []
    unreadable: dict[str, str] = {}
    for indices in split(len(image_set), whole_number("batch_size", batch_size)):
        batch = load_batch(image_set, indices)
        for name, reason in batch.unreadable.items():
            log.warning("images: '%s' %s", name, reason)
        unreadable |= batch.unreadable
        if len(batch.indices):
            rows += batch.indices.tolist()
            with torch.inference_mode():
                network.module.to(net.device)
                network.visit(batch.images.to(net.device), take)
    if not rows:
        raise none_usable(unreadable)
    count = len(image_set)
    by_layer = {name: _whole(parts, rows, count) for name, parts in taken.items()}
    return ImageResponses(by_layer, image_set)


def _whole(parts: Sequence[Tensor], rows: Sequence[int], count: int) -> np.ndarray:
    """Return all rows; those of unreadable images are NaN."""
    read = torch.cat([*parts]).numpy()
    whole = np.full((count, *read.shape[1:]), np.nan, np.float32)
    whole[list(rows)] = read
    return whole
