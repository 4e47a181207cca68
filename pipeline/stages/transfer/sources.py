"""The images of a run that are shown: its ascents, and the strongest patches of its units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.stages.ascent.results import find_climb
from pipeline.stages.top_patches.results import find_search, read_patches
from pipeline.store.results import Result
from pipeline.store.runs import read_images

ASCENT, TOP_PATCH = "ascent", "top_patch"


class Shown(NamedTuple):
    """Images that are shown.

    Attributes:
        units: unit of each; -1 is the layer as a whole.
        copies: number of each among those of its unit.
        images: in network-input space.
    """

    units: Int[np.ndarray, " n"]
    copies: Int[np.ndarray, " n"]
    images: Float[Tensor, "n c height width"]


@dataclass(frozen=True, eq=False)
class Source:
    """Images of one layer of one kind, from one init.

    Attributes:
        layer: the layer.
        kind: ``ascent`` or ``top_patch``.
        init: name of the init; empty for top patches.
        count: number of images, at most: ascents that failed are left out.
        size: height and width.
        result: the stored result that holds them, or says where they are.
        read: returns them, anew every time: those of all layers would not fit into memory.
    """

    layer: Layer
    kind: str
    init: str
    count: int
    size: tuple[int, int]
    result: Result
    read: Callable[[], Shown]

    @property
    def name(self) -> str:
        """A name that is unique in the run."""
        return "/".join(filter(None, (self.layer.name, self.kind, self.init)))

    @property
    def settings(self) -> dict[str, object]:
        """What determines the images, as plain data."""
        return {"kind": self.kind, "of": self.result.key, "layer": self.layer.number}


def sources(run: ActiveRun) -> Iterator[Source]:
    """Yield all images of a run, by layer, kind and init."""
    kinds, parts = run.parts.config.transfer.kinds, run.parts
    for layer in parts.layers:
        units = parts.units[layer.name]
        if ASCENT in kinds and parts.climbed_units(layer):
            for init in parts.inits:
                climb = find_climb(run, layer, init)
                count = len(climb.units) * parts.copies
                read = _reader(climb.result)
                size = parts.image_size(layer)
                yield Source(layer, ASCENT, init, count, size, climb.result, read)
        if TOP_PATCH in kinds and units:
            box = parts.canvas(layer).box
            result = find_search(run, layer).result
            read = _patches(run, layer, units)
            size = (box.height, box.width)
            yield Source(layer, TOP_PATCH, "", len(units), size, result, read)


def _reader(result: Result) -> Callable[[], Shown]:
    def read() -> Shown:
        found = read_images(result)
        good = np.array([status == "ok" for status in found.status], dtype=bool)
        image = torch.from_numpy(found.image[good])
        return Shown(found.units[good].astype(np.int64), found.copies[good], image)

    return read


def _patches(run: ActiveRun, layer: Layer, units: list[int]) -> Callable[[], Shown]:
    def read() -> Shown:
        patches = read_patches(run, layer, units, 0, 1)
        return Shown(np.array(units, np.int64), np.zeros(len(units), np.int64), patches)

    return read
