"""Images made for the units of one network, scored by the units of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.analysis.transfer import UnitNorms, layer_matrix, matched
from pipeline.errors import ConfigError, ImageError
from pipeline.images.image_sets import ImageSet
from pipeline.images.photographs import photographs
from pipeline.images.preprocessing import Preprocessing
from pipeline.library.arguments import chosen_layers, own_names, whole_number
from pipeline.library.made_images import MadeImages, made_images
from pipeline.library.responses import responses
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.search.transfer import Viewer, Viewing
from pipeline.synthesis.evolution.contrast import at_contrast

CELL = ["layer", "kind", "init", "layer_b"]


@dataclass(frozen=True)
class Transfer:
    """What units of network B make of images for units of network A.

    Attributes:
        table: one row per image and unit of B: ``layer``, ``unit`` and ``copy`` of the image,
            ``kind`` (``ascent``, ``top_patch`` or ``given``), ``init``; ``layer_b``, ``unit_b``;
            ``rank`` of the unit among those of its layer by ``z`` (0 is the first); ``response``,
            in the network's own units; ``z``, the response in standard deviations of the unit's
            responses to the image set from their mean; ``percentile`` of the response among these;
            ``drop``, 1 - ``z`` / the z of the unit that the image was made for, in A (NaN if that
            is unknown); ``above_others``, the percentage of the other images of the same layer and
            kind that drive the unit less.
        norms: responses of B's units to the image set, by layer.
    """

    table: pd.DataFrame
    norms: Mapping[str, UnitNorms]

    @property
    def best(self) -> pd.DataFrame:
        """The unit of each layer of B that responds most to each image: the rows of rank 0."""
        return self.table.loc[self.table["rank"] == 0].reset_index(drop=True)

    @property
    def layers(self) -> pd.DataFrame:
        """Layers of A by layers of B: quartiles over images of what the best unit reaches."""
        return layer_matrix(self.table, CELL)


def transfer(
    images: Any,
    net_b: Network,
    layers: str | Sequence[str] = "all",
    *,
    source: Network | None = None,
    init: str | None = None,
    at: str = "center",
    scale: str = "pixels",
    contrast: float | None = 1.0,
    image_set: Any = None,
    keep: int | None = None,
) -> Transfer:
    """Show images made for units of one network, seed or checkpoint to the units of another.

    An image is brought to pixels and to B's network-input space (gray becomes color, and color
    gray, if need be) and shown at the center of the receptive field of B's units, in the same size
    in pixels: on gray (zeros) if it is smaller, cut to the field if it is larger.

    Units of a layer have responses of different scale. They are compared by z: how many standard
    deviations, over the responses of the same unit at the same place to a set of images, the
    response lies above their mean.

    Args:
        images: what ``pipeline.ascend`` or ``pipeline.top_patches`` returns (the strongest patch of
            each unit), an opened run (its ascents), a float array ``[images, channels, height,
            width]`` in the network-input space of ``source``, or a list of these.
        net_b: the network that sees them.
        layers: its layers, or ``all`` for all convolutions.
        source: the network that the images were made for, where they do not say it.
        init: of a run; all by default.
        at: ``center``, or ``max``: the largest response anywhere on B's map, to the image on B's
            whole input.
        scale: ``pixels``, or ``field``: the image is resized to the field of B's units.
        contrast: root mean square of every image about gray, to which it is scaled within pixels
            of 0..1, in the network-input space of its own network, where photographs have about 1.
            ``None`` shows images as they are: those of ascents may have any contrast, far beyond
            black and white, and strong ones drive every unit.
        image_set: images to which responses are compared: anything that
            ``pipeline.images.any_images.as_image_set`` takes; by default crops of the bundled
            photographs.
        keep: matches per image and layer; all units by default.

    Raises:
        ConfigError: the images are in no such form, or there is no such layer.
        ImageError: channels do not fit, or fewer than two images of the set can be read.

    >>> import pipeline
    >>> from pipeline.synthesis.optimizers import sgd
    >>> net = pipeline.network("miniature")
    >>> found = pipeline.ascend(net, "conv1", [5, 7], optimizer=sgd(steps=20))
    >>> pipeline.transfer(found, net, "conv1").best["unit_b"].tolist()
    [5, 7]
    """
    with own_names():
        viewing = Viewing(at, scale, contrast)
        count = None if keep is None else whole_number("keep", keep)
        shown = made_images(images, source, init)
        wanted = layers_of(net_b, layers)
        norms = unit_norms(net_b, wanted, image_set, at)
        owners = _Owners(viewing, image_set, net_b.preprocessing)
        rows: list[pd.DataFrame] = []
        for each in shown:
            for layer in wanted:
                seen = view(each, net_b, layer, viewing)
                own = matched(seen, norms[layer.name], owners.z(each), count)
                rows.append(labeled(each, layer, own))
    return Transfer(pd.concat(rows, ignore_index=True), norms)


def unit_norms(
    network: Network, layers: Sequence[Layer], image_set: Any, at: str
) -> dict[str, UnitNorms]:
    """Return the responses of all units of some layers to an image set, by layer.

    Raises:
        ImageError: fewer than two images can be read.
    """
    images = photographs(network.preprocessing) if image_set is None else image_set
    names = [layer.name for layer in layers]
    found = responses(network, images, names, at=at)
    read = int(np.isfinite(found[names[0]]).all(axis=1).sum())
    if read < 2:
        raise ImageError(
            f"image_set: {read} image has no spread to compare responses with; give 2 or more"
        )
    return {name: UnitNorms(found[name]) for name in names}


class _Owners:
    """The z of the units that images were made for, in their own network."""

    def __init__(self, viewing: Viewing, image_set: Any, target: Preprocessing) -> None:
        self.viewing, self.image_set, self.target = viewing, image_set, target
        self.known: dict[int, np.ndarray] = {}

    def z(self, made: MadeImages) -> np.ndarray:
        """Return one number per image; NaN where it cannot be known."""
        if id(made) not in self.known:
            self.known[id(made)] = self._z(made)
        return self.known[id(made)]

    def _z(self, made: MadeImages) -> np.ndarray:
        network = made.network
        if network is None or not made.of_units or not self._shows(network.preprocessing):
            return np.full(len(made.images), np.nan)
        (layer,) = layers_of(network, made.layer)
        norms = unit_norms(network, [layer], self.image_set, self.viewing.at)[layer.name]
        z = norms.z(view(made, network, layer, self.viewing))
        return z[np.arange(len(z)), made.units]

    def _shows(self, own: Preprocessing) -> bool:
        """Return whether the image set can be shown to another network, too.

        What is network input already is that of B, and pixels may have channels of B alone.
        """
        given = self.image_set
        if isinstance(given, torch.Tensor | np.ndarray) and given.shape[-1:] != (len(own.mean),):
            return (own.mean, own.std) == (self.target.mean, self.target.std)
        floats = isinstance(given, torch.Tensor | np.ndarray) and "float" in str(given.dtype)
        fixed = isinstance(given, ImageSet | list | tuple) or floats
        alike = (own.mean, own.std) == (self.target.mean, self.target.std)
        return alike or not fixed


def layers_of(network: Any, layers: Any) -> list[Layer]:
    """Return layers of what must be a network, by name."""
    if not isinstance(network, Network):
        raise ConfigError(
            f"net_b: {type(network).__name__} is not what pipeline.network returns; call it first"
        )
    network.refuse_changes()
    return chosen_layers(network, layers)


def view(made: MadeImages, network: Network, layer: Layer, viewing: Viewing) -> np.ndarray:
    """Return the responses of all units of a layer to images, ``[images, units]``."""
    viewer = Viewer(network, layer, made.preprocessing, viewing, network.device)
    return viewer(at_contrast(made.images, viewing.contrast, made.preprocessing)).numpy()


def labeled(made: MadeImages, layer: Layer, rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the columns of their images, by the number in ``row``."""
    at = rows["row"].to_numpy()
    image = pd.DataFrame(
        {
            "layer": made.layer,
            "unit": made.units[at],
            "copy": made.copies[at],
            "kind": made.kind,
            "init": made.init,
            "layer_b": layer.name,
        }
    )
    return pd.concat([image, rows.drop(columns="row").reset_index(drop=True)], axis=1)
