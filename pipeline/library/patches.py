"""Top and bottom patches of units, found in images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ImageError
from pipeline.images.any_images import as_image_set
from pipeline.images.batches import load_batch, none_usable, split
from pipeline.images.columns import with_image_columns
from pipeline.images.image_sets import ImageSet
from pipeline.library.arguments import chosen_layers, chosen_units, of_network, whole_number
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.networks.responses import LayerResponses
from pipeline.search.extremes import Kept, at_rank
from pipeline.search.patches import cut_patches, patch_table
from pipeline.search.top_patches import Found, find_peaks
from pipeline.store.summaries import short_repr


@dataclass(frozen=True)
class TopPatches:
    """The patches with the strongest and weakest responses of units in some images.

    Attributes:
        table: one row per layer, unit, sign (1 or -1) and rank, with image, position, response, the
            box of the receptive field in pixels, and ``image_NAME`` for each column of the images.
        network: the network, traced at the size of the images.
        images: the searched images.
        unreadable: images that could not be read, with the reasons.
    """

    table: pd.DataFrame
    network: Network
    images: ImageSet
    unreadable: dict[str, str]
    kept: dict[str, tuple[Layer, dict[int, Kept]]]

    __repr__ = short_repr

    def patches(
        self, layer: str, units: Any = "all", *, rank: int = 0, sign: int = 1
    ) -> Float[Tensor, "units c height width"]:
        """Return patches as network input, with zeros outside of the image.

        Args:
            layer: name of the layer.
            units: whose patches: ``all``, a number, a list, or a range such as ``0:64``.
            rank: 0 is the most extreme.
            sign: 1 for the top, -1 for the bottom.

        Raises:
            ConfigError: there is no such unit or rank.
            ImageError: that was not searched or kept, or an image cannot be read any more.
        """
        if str(layer) not in self.kept or sign not in (1, -1):
            raise ImageError(
                f"patches: '{layer}' with sign {sign} was not searched; layers are"
                f" {', '.join(self.kept)}, and signs 1 and -1"
            )
        found, by_sign = self.kept[layer]
        if whole_number("rank", rank, 0) >= by_sign[sign].images.shape[1]:
            raise ImageError(f"rank: {rank} is beyond the {by_sign[sign].images.shape[1]} kept")
        graph = self.network.graph
        kept = at_rank(by_sign[sign], chosen_units(units, found), rank)
        return cut_patches(self.images.read, graph, found, kept)

    def pixels(
        self, layer: str, units: Any = "all", *, rank: int = 0, sign: int = 1
    ) -> Float[Tensor, "units c height width"]:
        """Return patches as pixels in 0..1; errors as in ``patches``."""
        return self.network.preprocessing.pixels(self.patches(layer, units, rank=rank, sign=sign))


@of_network
def top_patches(
    net: Network,
    images: Any,
    layers: str | Sequence[str],
    *,
    keep: int = 9,
    units: Any = "all",
    batch_size: int = 16,
) -> TopPatches:
    """Search images for the patches with the strongest and weakest responses of units.

    Args:
        net: the network.
        images: anything that ``pipeline.images.any_images.as_image_set`` takes.
        layers: names of layers, or ``all`` for those of ``net.layers``.
        keep: patches per unit and sign, each from a different image.
        units: ``all``, a number, a list of numbers, or a range such as ``0:64``.
        batch_size: images per forward pass, on the device of the network.

    Raises:
        ConfigError: there is no such layer or unit.
        ImageError: no image can be read.

    >>> import pipeline, torch
    >>> photographs = torch.rand(3, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    >>> found = pipeline.top_patches(pipeline.network("miniature"), photographs, "conv1", keep=2)
    >>> len(found.table), tuple(found.patches("conv1", [5, 7]).shape)
    (96, (2, 3, 9, 9))
    """
    image_set = as_image_set(images, net.preprocessing)
    sized = net.sized(image_set.size)
    wanted = chosen_layers(sized, layers)
    chosen = {layer.name: chosen_units(units, layer) for layer in wanted}
    found = Found(wanted, whole_number("keep", keep), net.device)
    network = LayerResponses(sized.graph, wanted)
    for indices in split(len(image_set), whole_number("batch_size", batch_size)):
        found.add(find_peaks(network, load_batch(image_set, indices), net.device))
    if len(found.unreadable) == len(image_set):
        raise none_usable(found.unreadable)
    kept: dict[str, tuple[Layer, dict[int, Kept]]] = {}
    for layer in wanted:
        by_sign = found.extremes[layer.name]
        kept[layer.name] = (layer, {sign: _on_cpu(by_sign[sign].kept()) for sign in by_sign})
    tables = [
        patch_table(net.name, sized.graph, layer, chosen[layer.name], by_sign, image_set)
        for layer, by_sign in kept.values()
    ]
    table = with_image_columns(pd.concat(tables, ignore_index=True), image_set)
    return TopPatches(table, sized, image_set, found.unreadable, kept)


def _on_cpu(kept: Kept) -> Kept:
    return Kept(*(field.cpu() for field in kept))
