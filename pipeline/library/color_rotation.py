"""How much the responses of units depend on which color channel is which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.analysis import indices
from pipeline.analysis.indices import COLOR_ORDERS
from pipeline.errors import ConfigError, ImageError
from pipeline.images.any_images import as_image_set
from pipeline.images.files import Loaded
from pipeline.images.image_sets import ImageSet
from pipeline.library.arguments import chosen_layers, chosen_units, of_network, whole_number
from pipeline.library.responses import responses
from pipeline.networks.loading.network import Network

BATCH = 3 * len(COLOR_ORDERS)  # all orders of an image are in the same batch
ALIKE = "responds to all images alike"


@of_network
def color_rotation_index(
    net: Network,
    images: Any,
    layers: str | Sequence[str],
    *,
    units: Any = "all",
    limit: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how much units depend on which color channel is which, from photographs.

    The response of the unit at the center of each map (row n // 2, column m // 2), before any
    nonlinearity, is taken to every image with its channels in all six orders. The index is the
    standard deviation over the six orders, averaged over images, divided by the standard deviation
    over images of the response to the images as they are: 0 for a unit that is blind to color, and
    about 1 for one that cares for nothing else.

    The pixels of an image change places before the network's preprocessing, so that a gray image
    stays as it is. The source lets the channels of what its network receives change places; that
    differs where preprocessing treats channels differently. It also draws 1000 images with
    replacement, and this function without.

    Source: tonyfu97/RF-Mapping (MIT), cri/color_rotation_index.py.

    Args:
        net: the network, of three channels.
        images: anything that ``pipeline.images.any_images.as_image_set`` takes, at least two.
        layers: names of layers, or ``all`` for those of ``net.layers``.
        units: ``all``, a number, a list of numbers, or a range such as ``0:64``.
        limit: of more images, so many are drawn at random.
        seed: of the draw.

    Returns:
        One row per layer and unit: ``layer``, ``unit``, ``color_rotation_index`` (0 or more),
        ``images`` (how many could be read) and ``reason``: why the index is missing, or an empty
        string.

    Raises:
        ConfigError: the network has not three channels, there is no such layer or unit, or
            ``limit`` is below 2.
        ImageError: fewer than two images can be read, or it is not known how they are turned back
            into pixels.

    >>> import pipeline, torch
    >>> colors = torch.eye(3)[:, :, None, None].expand(-1, -1, 96, 96)
    >>> found = pipeline.color_rotation_index(pipeline.network("miniature"), colors, "conv1")
    >>> found[["layer", "unit", "images"]][:2].to_numpy().tolist()
    [['conv1', 0, 3], ['conv1', 1, 3]]
    """
    if (channels := len(net.preprocessing.mean)) != 3:
        raise ConfigError(
            f"net: {net.name} takes images of {channels} channels, and a color rotation index needs"
            " red, green and blue; use a network of 3 channels"
        )
    image_set = as_image_set(images, net.preprocessing)
    chosen = _some(len(image_set), whole_number("limit", limit, 2), whole_number("seed", seed, 0))
    shown = responses(
        net, rotated(image_set, chosen), layers, at="center", units=units, batch_size=BATCH
    )
    tables = [
        _table(layer.name, chosen_units(units, layer), shown[layer.name])
        for layer in chosen_layers(net, layers)
    ]
    return pd.concat(tables, ignore_index=True)


def rotated(images: ImageSet, chosen: Sequence[int]) -> ImageSet:
    """Return some images of a set, each with the channels of its pixels in all ``COLOR_ORDERS``.

    Raises:
        ImageError: there are fewer than two, or it is not known how they are turned into pixels.
    """
    if len(chosen) < 2:
        raise ImageError(f"images: at least 2 are needed for an index, and there is {len(chosen)}")
    if images.pixel_scale is None:
        raise ImageError(
            "images: it is not known by which mean and standard deviation this set is turned back"
            " into pixels, whose channels are to change places; give pictures, or a set with a"
            " pixel_scale"
        )
    mean, std = (torch.tensor(each)[:, None, None] for each in images.pixel_scale)
    names = [images.names[index] for index in chosen for _ in COLOR_ORDERS]
    load = _Rotated(images, chosen, mean, std, {})
    return replace(images, names=names, load=load, digest=load.digest)


@dataclass(frozen=True, eq=False)
class _Rotated:
    """Loads images in all orders of their channels; one after the other, each is decoded once."""

    images: ImageSet
    chosen: Sequence[int]
    mean: Float[Tensor, "3 1 1"]
    std: Float[Tensor, "3 1 1"]
    last: dict[int, Loaded]

    def digest(self, index: int) -> int:
        return self.images.digest(self.chosen[index // len(COLOR_ORDERS)])

    def __call__(self, index: int) -> Loaded:
        image, order = self.chosen[index // len(COLOR_ORDERS)], index % len(COLOR_ORDERS)
        if image not in self.last:
            self.last.clear()
            self.last[image] = self.images.load(image)
        loaded = self.last[image]
        if order == 0:
            return loaded
        pixels = (loaded.image * self.std + self.mean)[list(COLOR_ORDERS[order])]
        return Loaded((pixels - self.mean) / self.std, loaded.digest)


def _some(count: int, limit: int, seed: int) -> list[int]:
    """Return the numbers of all images, or of as many as allowed, drawn at random, in order."""
    if count <= limit:
        return list(range(count))
    return sorted(np.random.default_rng(seed).choice(count, limit, replace=False).tolist())


def _table(layer: str, units: list[int], shown: Float[np.ndarray, "rows units"]) -> pd.DataFrame:
    by_order = shown.reshape(-1, len(COLOR_ORDERS), len(units)).transpose(2, 0, 1)
    finite = np.isfinite(by_order)
    read = finite.any(axis=(0, 2))  # of images that cannot be read, nothing is
    if read.sum() < 2:
        raise ImageError(
            f"images: at least 2 are needed for an index, and {read.sum()} can be read"
        )
    known = finite[:, read].all(axis=(1, 2))
    index = np.full(len(units), np.nan)
    index[known] = indices.color_rotation_index(by_order[known][:, read])
    rows = {"layer": layer, "unit": units, "color_rotation_index": index, "images": read.sum()}
    reason = np.where(known, np.where(np.isnan(index), ALIKE, ""), "responses are not finite")
    return pd.DataFrame(rows).assign(reason=reason)
