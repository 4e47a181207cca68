"""Images made for units of one network, in any form in which a notebook holds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import ConfigError, ImageError, StoreError
from pipeline.images.any_images import finite_floats, plain_tensor
from pipeline.images.preprocessing import Preprocessing
from pipeline.library.ascent import Ascents
from pipeline.library.patches import TopPatches
from pipeline.library.runs import OpenedRun
from pipeline.networks.loading.network import Network
from pipeline.store.results import WHOLE_LAYER

ASCENT, TOP_PATCH, GIVEN = "ascent", "top_patch", "given"
FORMS = (
    "give what pipeline.ascend or pipeline.top_patches returns, an opened run, or a float array"
    " [images, channels, height, width] with source=NETWORK"
)


@dataclass(frozen=True, eq=False)
class MadeImages:
    """Images of some units of one layer of a network.

    Attributes:
        layer: name of the layer; empty if it is not known.
        units: unit of each image; -1 if it is not known, or the layer as a whole.
        copies: number of each image among those of its unit.
        kind: ``ascent``, ``top_patch`` or ``given``.
        init: name of the init; empty if there is none, or it is not known.
        images: in network-input space.
        preprocessing: of their network.
        network: the network, if it is at hand.
    """

    layer: str
    units: Int[np.ndarray, " n"]
    copies: Int[np.ndarray, " n"]
    kind: str
    init: str
    images: Float[Tensor, "n c height width"]
    preprocessing: Preprocessing
    network: Network | None

    @property
    def of_units(self) -> bool:
        """Whether the unit of each image is known."""
        return bool(self.layer) and not bool((self.units == WHOLE_LAYER).any())


def made_images(images: Any, source: Network | None, init: str | None) -> list[MadeImages]:
    """Return images in any form, layer by layer; those that are not ``ok`` are left out.

    Args:
        images: of one form of ``FORMS``, or a list of them.
        source: the network that they are for; needed for arrays, and for a run to know the
            responses of its units.
        init: of a run; all by default.

    Raises:
        ConfigError: they are in none of these forms, or ``source`` is missing.
        ImageError: they are no images for ``source``.
        StoreError: the run has no ascents from that init.
    """
    given: Sequence[Any] = images if isinstance(images, list | tuple) else [images]
    found = [each for one in given for each in _of_one(one, source, init)]
    if not any(len(each.images) for each in found):
        raise ConfigError("images: there are none; every ascent failed, or the list is empty")
    return [each for each in found if len(each.images)]


def _of_one(one: Any, source: Network | None, init: str | None) -> Iterator[MadeImages]:
    if isinstance(one, Ascents):
        network = source or one.network
        good = [n for n, status in enumerate(one.status) if status == "ok"]
        own = (one.units[good], one.copies[good], ASCENT, "", one.images[good])
        yield MadeImages(one.layer, *own, network.preprocessing, network)
    elif isinstance(one, TopPatches):
        yield from _of_patches(one)
    elif isinstance(one, OpenedRun):
        yield from _of_run(one, source, init)
    elif isinstance(one, Tensor | np.ndarray):
        yield _of_array(plain_tensor("images", one), source)
    else:
        raise ConfigError(f"images: {type(one).__name__} is no images made for units; {FORMS}")


def _of_patches(found: TopPatches) -> Iterator[MadeImages]:
    for layer, rows in found.table.groupby("layer", sort=False):
        units = rows["unit"].drop_duplicates().to_numpy()
        patches = found.patches(str(layer), units)
        own = (units, np.zeros_like(units), TOP_PATCH, "", patches)
        yield MadeImages(str(layer), *own, found.network.preprocessing, found.network)


def _of_run(run: OpenedRun, source: Network | None, init: str | None) -> Iterator[MadeImages]:
    known = run.record.get("images", {}).get("preprocessing")
    if source is None and known is None:
        raise ConfigError(
            f"source: {run!r} does not say how its images were normalized; give its network, as in"
            " source=pipeline.network(...)"
        )
    preprocessing = source.preprocessing if source else Preprocessing.of(known)
    names = list(run.record["results"].get("ascent", {}))
    chosen = [name for name in names if init in (None, name.partition("/")[2])]
    if not chosen:
        raise StoreError(
            f"{run!r} has no ascents{f' from {init}' if init else ''}; it has"
            f" {', '.join(names) or 'none'}"
        )
    for name in chosen:
        layer, _, start = name.partition("/")
        climbed = run.images(layer, start)
        good = np.array([status == "ok" for status in climbed.status])
        images = torch.from_numpy(climbed.image[good])
        own = (climbed.units[good], climbed.copies[good], ASCENT, start, images)
        yield MadeImages(layer, *own, preprocessing, source)


def _of_array(images: Tensor, source: Network | None) -> MadeImages:
    if source is None:
        raise ConfigError(
            "source: must be given for an array: the network whose input the images are, as in"
            " source=net_a"
        )
    channels = len(source.preprocessing.mean)
    if images.ndim != 4 or not images.is_floating_point() or images.shape[1] != channels:
        raise ImageError(
            f"images: {images.dtype} of shape {tuple(images.shape)} is no network input"
            f" [images, {channels}, height, width] of {source.name}"
        )
    numbers = np.arange(len(images))
    unknown = np.full(len(images), WHOLE_LAYER)
    whole = finite_floats("images", images)
    return MadeImages("", unknown, numbers, GIVEN, "", whole, source.preprocessing, source)
