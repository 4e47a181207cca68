"""Computing: the responses of all units of a layer, set by set."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.run.active_run import ActiveRun
from pipeline.search.opponency import OpponencyPresentation
from pipeline.stages.opponency.results import LayerOpponency
from pipeline.stages.stage import WorkItems

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shown:
    """A work item: a set that is shown to a layer.

    Attributes:
        each: the layer.
        item: name of the set.
    """

    each: LayerOpponency
    item: str


def show_colors(run: ActiveRun, planned: Sequence[LayerOpponency]) -> Iterator[WorkItems[Shown]]:
    """Yield the layers to which hues, gray levels and gratings have not been shown."""
    missing = run.missing(planned)
    if missing:
        names = ", ".join(each.layer.name for each in missing)
        log.info("opponency: showing hues and gratings to %s", names)
        items = [Shown(each, item) for each in missing for item in each.result.items]
        results = [each.result for each in missing]
        yield WorkItems(results, items, OpponencyWork(run), "opponency: sets")


class OpponencyWork:
    """Sets of stimuli as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun) -> None:
        self.active = run
        self.presentations: dict[str, OpponencyPresentation] = {}
        self.building = threading.Lock()
        run.parts.runner.place(run.parts.network.module)

    def needed(self, shown: Shown) -> bool:
        """Say whether a set is missing."""
        return not shown.each.result.holds(shown.item)

    def size(self, _shown: Shown) -> int:
        """Return how much an item counts."""
        return 1

    def parts(self, shown: Shown) -> list[Shown]:
        """Return the item itself: it is done as a whole."""
        return [shown]

    def load(self, shown: Shown) -> Shown:
        """Read nothing: stimuli are drawn where they are shown."""
        return shown

    def run(self, shown: Shown) -> np.ndarray:
        """Return responses, [stages, stimuli, units]."""
        presentation = self._presentation(shown.each)
        responses = presentation.respond(shown.item, self.active.parts.runner.check)
        return responses[:, :, list(shown.each.units)]

    def _presentation(self, each: LayerOpponency) -> OpponencyPresentation:
        """Return the presentation to a layer, built once."""
        with self.building:
            if each.layer.name not in self.presentations:
                parts = self.active.parts
                self.presentations[each.layer.name] = OpponencyPresentation(
                    parts.graph,
                    each.layer,
                    parts.network.preprocessing,
                    each.protocol,
                    parts.runner.device,
                )
            return self.presentations[each.layer.name]

    def begin(self, shown: Shown) -> Written:
        """Return what writes an item."""
        return Written(shown)


@dataclass(frozen=True)
class Written:
    """The responses to one set."""

    shown: Shown
    arrays: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])

    def add(self, responses: np.ndarray) -> None:
        """Take in the responses."""
        self.arrays["responses"] = responses

    def write(self) -> None:
        """Write them."""
        self.shown.each.result.write(self.shown.item, self.arrays, {})
