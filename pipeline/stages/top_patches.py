"""Stage: search the image set for every unit's top and bottom patches."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.images.batches import Batch, load_batch, split
from pipeline.networks.layers import Layer
from pipeline.networks.responses import LayerResponses
from pipeline.search.top_patches import Found, Peaks, find_peaks
from pipeline.session.known_images import remember_images
from pipeline.session.searched import (
    SIGNS,
    check_unreadable,
    extremes_result,
    image_blocks,
    read_extremes,
    read_unreadable,
    top_patches,
)
from pipeline.session.session import Session
from pipeline.store.results import Result

log = logging.getLogger(__name__)


def work(session: Session) -> None:
    """Search, with all processes, for the layers that have not been searched."""
    runner, layers = session.parts.runner, session.parts.layers
    missing = [x.name for x in layers if session.leads and extremes_result(session, x).missing()]
    named = runner.ranks.tell(", ".join(missing))
    if named:
        log.info("top_patches: searching %d images for %s", len(session.images), named)
        search = Search(session, [layer for layer in layers if layer.name in named.split(", ")])
        results = [*search.results.values()]
        session.make(results, [*search.blocks], search, "top_patches: images")


def run(session: Session) -> None:
    """Write the table of what was found."""
    session.unreadable.update(read_unreadable(session))
    for name, reason in session.unreadable.items():
        log.warning("images: '%s' is set aside, as it %s", name, reason)
    digests = read_extremes(session, session.parts.layers[0]).digests
    remember_images(session.layout, session.parts.images, digests)
    session.table("top_patches", top_patches(session))


class Search:
    """Blocks of images as work for the runner (``runner.Work``)."""

    def __init__(self, session: Session, layers: Sequence[Layer]) -> None:
        self.session = session
        self.layers = layers
        self.blocks = image_blocks(session)
        self.results = {layer.name: extremes_result(session, layer) for layer in layers}
        session.parts.runner.place(session.parts.network.module)
        self.network = LayerResponses(session.parts.graph, layers)
        self.unreadable: dict[str, str] = {}

    def needed(self, block: str) -> bool:
        """Say whether a layer lacks a block."""
        return any(not result.holds(block) for result in self.results.values())

    def size(self, block: str) -> int:
        """Return how many images there are in a block."""
        return len(self.blocks[block])

    def parts(self, block: str) -> list[range]:
        """Return the batches of a block."""
        indices = self.blocks[block]
        batch_size = self.session.parts.config.search.batch_size
        return [indices[part.start : part.stop] for part in split(len(indices), batch_size)]

    def load(self, indices: range) -> Batch:
        """Read a batch of images."""
        return load_batch(self.session.images, indices)

    def run(self, batch: Batch) -> Peaks:
        """Run the network on a batch."""
        runner = self.session.parts.runner
        return find_peaks(self.network, batch, runner.device, runner.check)

    def begin(self, block: str) -> Block:
        """Return what gathers a block."""
        config, device = self.session.parts.config.search, self.session.parts.runner.device
        return Block(self, block, Found(self.layers, config.keep, device))


@dataclass(frozen=True)
class Block:
    """What was found in one block of images."""

    search: Search
    name: str
    found: Found

    def add(self, peaks: Peaks) -> None:
        """Take in a batch; stop if too much of the image set cannot be read."""
        self.found.add(peaks)
        if peaks.unreadable:
            self.search.unreadable.update(peaks.unreadable)
            check_unreadable(self.search.session, self.search.unreadable)

    def write(self) -> None:
        """Write the block of every layer that lacks it."""
        for layer, result in self.search.results.items():
            if not result.holds(self.name):
                self._write(layer, result)

    def _write(self, layer: str, result: Result) -> None:
        arrays = {"digests": np.array(self.found.digests, dtype=np.int64)}
        for sign, extremes in self.found.extremes[layer].items():
            kept = extremes.kept()
            arrays |= {
                f"{SIGNS[sign]}_responses": kept.responses.cpu().numpy(),
                f"{SIGNS[sign]}_images": kept.images.int().cpu().numpy(),
                f"{SIGNS[sign]}_positions": kept.positions.int().cpu().numpy(),
            }
        result.write(self.name, arrays, {"unreadable": self.found.unreadable})
