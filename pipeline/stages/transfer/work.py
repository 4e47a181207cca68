"""Showing: the image set, images made for units, and changed ones, to every network."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.run.active_run import ActiveRun
from pipeline.search.transfer import perturbed_responses
from pipeline.stages.set_responses import SetWork
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
        work = SetWork(norms[0].seer.run, norms)
        results = [each.result for each in norms]
        yield WorkItems(results, [*work.blocks], work, "transfer: images of the set")
    shown: list[Seen] = run.missing([*plan.seen, *plan.changed])
    if shown:
        names = ", ".join(dict.fromkeys(each.source.layer.name for each in shown))
        log.info("transfer: showing images of %s", names)
        results = [each.result for each in shown]
        yield WorkItems(results, shown, ShowWork(shown), "transfer: layers")


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
