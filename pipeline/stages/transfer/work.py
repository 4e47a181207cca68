"""Showing: the image set, images made for units, and changed ones, to every network."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.images.batches import Batch
from pipeline.networks.layers import Layer
from pipeline.networks.responses import LayerResponses, read_map
from pipeline.run.active_run import ActiveRun
from pipeline.run.image_blocks import ImageBlocks, check_unreadable
from pipeline.search.transfer import perturbed_responses
from pipeline.stages.stage import WorkItems
from pipeline.stages.transfer.plan import TransferPlan
from pipeline.stages.transfer.results import ITEM, Changed, Norms, Seen
from pipeline.stages.transfer.sources import Shown, Source
from pipeline.store.results import Arrays
from pipeline.synthesis.evolution.contrast import at_contrast

log = logging.getLogger(__name__)
RECENT = 2  # sources whose images are held in memory


def show(run: ActiveRun, plan: TransferPlan) -> Iterator[WorkItems[Any]]:
    """Yield what is not in the store: the image set by network, then images of units."""
    by_network: dict[str, list[Norms]] = {}
    for each in run.missing(plan.norms):
        by_network.setdefault(each.seer.name, []).append(each)
    for name, norms in by_network.items():
        layers = ", ".join(each.layer.name for each in norms)
        log.info("transfer: showing the image set to %s of %s", layers, name)
        work = NormWork(norms)
        results = [each.result for each in norms]
        yield WorkItems(results, [*work.blocks], work, "transfer: images of the set")
    shown: list[Seen] = run.missing([*plan.seen, *plan.changed])
    if shown:
        names = ", ".join(dict.fromkeys(each.source.layer.name for each in shown))
        log.info("transfer: showing images of %s", names)
        results = [each.result for each in shown]
        yield WorkItems(results, shown, ShowWork(shown), "transfer: layers")


class NormWork(ImageBlocks):
    """Blocks of the image set, as seen by one network, as work (``runner.Work``)."""

    def __init__(self, norms: Sequence[Norms]) -> None:
        self.norms = norms
        run = norms[0].seer.run
        super().__init__(run, [each.result for each in norms])
        self.network = LayerResponses(run.parts.graph, [each.layer for each in norms])

    def run(self, batch: Batch) -> NormAnswers:
        """Run the network on a batch."""
        parts = self.active.parts
        by_layer: dict[str, np.ndarray] = {}

        def take(layer: Layer, maps: Tensor) -> None:
            parts.runner.check()
            own = read_map(maps, parts.config.responses.at)
            by_layer[layer.name] = own.float().cpu().numpy()

        if len(batch.indices):
            with torch.inference_mode():
                images = batch.images.to(parts.runner.device, non_blocking=True)
                self.network.visit(images.contiguous(memory_format=torch.channels_last), take)
        return NormAnswers(batch.indices.numpy(), by_layer, batch.unreadable)

    def begin(self, block: str) -> NormBlock:
        """Return the collector for a block."""
        return NormBlock(self, block)


@dataclass(frozen=True)
class NormAnswers:
    """The responses to the readable images of one batch, by layer."""

    indices: np.ndarray
    by_layer: dict[str, np.ndarray]
    unreadable: dict[str, str]


@dataclass(frozen=True)
class NormBlock:
    """The responses to one block of images; NaN where an image could not be read."""

    work: NormWork
    name: str
    answers: list[NormAnswers] = field(default_factory=list[NormAnswers])

    def add(self, answers: NormAnswers) -> None:
        """Add a batch."""
        self.answers.append(answers)

    def write(self) -> None:
        """Write the block for every layer that lacks it."""
        indices = self.work.blocks[self.name]
        unreadable = {k: v for answers in self.answers for k, v in answers.unreadable.items()}
        if unreadable:
            check_unreadable(self.work.active, unreadable)
        for each in self.work.norms:
            if not each.result.holds(self.name):
                whole = np.full((len(indices), each.layer.units), np.nan, np.float32)
                for answers in self.answers:
                    if answers.by_layer:
                        rows = answers.indices - indices.start
                        whole[rows] = answers.by_layer[each.layer.name]
                each.result.write(self.name, {"responses": whole}, {"unreadable": unreadable})


class ShowWork:
    """Images of a source, as seen by one layer, as work for the runner (``runner.Work``)."""

    def __init__(self, shown: Sequence[Seen]) -> None:
        self.reading = threading.Lock()
        self.recent: dict[str, Shown] = {}
        networks = {each.norms.seer.name: each.norms.seer.run.parts for each in shown}
        for parts in networks.values():
            parts.runner.place(parts.network.module)

    def needed(self, seen: Seen) -> bool:
        """Say whether responses are missing."""
        return not seen.result.holds(ITEM)

    def size(self, seen: Seen) -> int:
        """Return how much an item counts."""
        return max(1, seen.source.count)

    def parts(self, seen: Seen) -> list[Seen]:
        """Return the item itself: it is done as a whole."""
        return [seen]

    def load(self, seen: Seen) -> Seen:
        """Read nothing yet."""
        return seen

    def run(self, seen: Seen) -> Arrays:
        """Show images of a source to a layer."""
        respond = changed_responses if isinstance(seen, Changed) else seen_responses
        return respond(seen, self._images(seen.source))  # type: ignore[arg-type]

    def _images(self, source: Source) -> Shown:
        """Return the images of a source; those of the last two are kept for the next layer."""
        with self.reading:
            if source.name not in self.recent:
                if len(self.recent) == RECENT:
                    del self.recent[next(iter(self.recent))]
                self.recent[source.name] = source.read()
            return self.recent[source.name]

    def begin(self, seen: Seen) -> Written:
        """Return what writes the responses."""
        return Written(seen)


def seen_responses(seen: Seen, shown: Shown) -> Arrays:
    """Return the responses of all units of a layer to the images of a source."""
    images = at_contrast(shown.images, seen.viewing.contrast, seen.made_in)
    responses = seen.viewer()(images).numpy()
    return {"responses": responses, "units": shown.units, "copies": shown.copies}


def changed_responses(seen: Changed, shown: Shown) -> Arrays:
    """Return the responses of all units of a layer to changed images, ``[n, changes, units]``."""
    viewer = seen.viewer()
    check = seen.norms.seer.run.parts.runner.check
    rows = np.flatnonzero(np.isin(shown.units, seen.units))
    images = at_contrast(shown.images[rows], seen.viewing.contrast, seen.made_in)
    found = [np.zeros((0, len(seen.changes), seen.norms.layer.units), np.float32)]
    for number, row in enumerate(rows.tolist()):
        check()
        image = (int(shown.units[row]), int(shown.copies[row]))
        identity = (seen.seed, seen.source.layer.name, *image)
        changed = perturbed_responses(viewer, images[number], seen.changes, identity)
        found.append(changed.numpy()[None])
    return {
        "responses": np.concatenate(found),
        "units": shown.units[rows],
        "copies": shown.copies[rows],
    }


@dataclass(frozen=True)
class Written:
    """The responses of one layer to the images of one source."""

    seen: Seen
    arrays: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])

    def add(self, arrays: Arrays) -> None:
        """Take in the responses."""
        self.arrays.update(arrays)

    def write(self) -> None:
        """Write them."""
        self.seen.result.write(ITEM, self.arrays)
