"""Search the image set, block by block, for the layers that are not in the store."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.images.batches import Batch
from pipeline.networks.responses import LayerResponses
from pipeline.run.active_run import ActiveRun
from pipeline.run.image_blocks import ImageBlocks, check_unreadable
from pipeline.run.image_lists import remember_images
from pipeline.search.top_patches import Found, Peaks, find_peaks
from pipeline.stages.stage import WorkItems
from pipeline.stages.top_patches.results import (
    SIGNS,
    Search,
    read_unreadable,
)
from pipeline.store.results import Result

log = logging.getLogger(__name__)


def search(run: ActiveRun, searches: Sequence[Search]) -> Iterator[WorkItems[str]]:
    """Yield the search for the layers that are not in the store."""
    missing = run.missing(searches)
    if missing:
        names = ", ".join(search.layer.name for search in missing)
        log.info("top_patches: searching %d images for %s", len(run.images), names)
        work = SearchWork(run, missing)
        results = [search.result for search in missing]
        yield WorkItems(results, [*work.blocks], work, "top_patches: images")


def remember(run: ActiveRun, searches: Sequence[Search]) -> None:
    """Record which images could not be read, and the contents of the image set."""
    run.unreadable.update(read_unreadable(run))
    for name, reason in run.unreadable.items():
        log.warning("images: '%s' is left out, as it %s", name, reason)
    remember_images(run.layout, run.parts.images, searches[0].extremes.digests)


class SearchWork(ImageBlocks):
    """Blocks of images as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun, searches: Sequence[Search]) -> None:
        super().__init__(run, [search.result for search in searches])
        self.layers = [search.layer for search in searches]
        self.results = {search.layer.name: search.result for search in searches}
        self.network = LayerResponses(run.parts.graph, self.layers)
        self.unreadable: dict[str, str] = {}

    def run(self, batch: Batch) -> Peaks:
        """Run the network on a batch."""
        runner = self.active.parts.runner
        return find_peaks(self.network, batch, runner.device, runner.check)

    def begin(self, block: str) -> Block:
        """Return the collector for a block."""
        config, device = self.active.parts.config.search, self.active.parts.runner.device
        return Block(self, block, Found(self.layers, config.keep, device))


@dataclass(frozen=True)
class Block:
    """The extremes found in one block of images."""

    work: SearchWork
    name: str
    found: Found

    def add(self, peaks: Peaks) -> None:
        """Add a batch; stop if too many images cannot be read."""
        self.found.add(peaks)
        if peaks.unreadable:
            self.work.unreadable.update(peaks.unreadable)
            check_unreadable(self.work.active, self.work.unreadable)

    def write(self) -> None:
        """Write the block for every layer that lacks it."""
        for layer, result in self.work.results.items():
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
