"""Computing: the responses of all units of a layer, set by set."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.run.active_run import ActiveRun
from pipeline.search.opponency import SETS, OpponencyPresentation
from pipeline.stages.opponency.results import LayerOpponency, grouped, stimuli_of
from pipeline.stages.stage import WorkItems

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shown:
    """A work item: a set that is shown to the layers of a group.

    Attributes:
        group: the layers.
        item: name of the set.
    """

    group: Sequence[LayerOpponency]
    item: str


@dataclass(frozen=True)
class Block:
    """Some stimuli of a set."""

    shown: Shown
    rows: range


def show_colors(run: ActiveRun, planned: Sequence[LayerOpponency]) -> Iterator[WorkItems[Shown]]:
    """Yield the layers to which hues, gray levels and gratings have not been shown."""
    missing = run.missing(planned)
    if missing:
        names = ", ".join(each.layer.name for each in missing)
        log.info("opponency: showing hues and gratings to %s", names)
        items = [Shown(group, item) for group in grouped(run, missing) for item in SETS]
        results = [each.result for each in missing]
        yield WorkItems(results, items, OpponencyWork(run, missing), "opponency: stimuli")


class OpponencyWork:
    """Sets of stimuli as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun, planned: Sequence[LayerOpponency]) -> None:
        self.active = run
        self.presentations: dict[str, OpponencyPresentation] = {}
        self.building = threading.Lock()
        shown = stimuli_of(run, planned[0].layer, planned[0].protocol)
        self.sizes = {name: len(stimuli) for name, stimuli in shown.items()}
        run.parts.runner.place(run.parts.network.module)

    def needed(self, shown: Shown) -> bool:
        """Say whether a set is missing of any layer."""
        return not all(each.result.holds(shown.item) for each in shown.group)

    def size(self, shown: Shown) -> int:
        """Return how many stimuli a set has."""
        return self.sizes[shown.item]

    def parts(self, shown: Shown) -> list[Block]:
        """Return a set in blocks."""
        return [Block(shown, rows) for rows in self._presentation(shown.group).blocks(shown.item)]

    def load(self, block: Block) -> Block:
        """Read nothing: stimuli are drawn where they are shown."""
        return block

    def run(self, block: Block) -> dict[str, np.ndarray]:
        """Return responses by layer, [stages, rows, units]."""
        self.active.parts.runner.check()
        group, item = block.shown.group, block.shown.item
        found = self._presentation(group).show(item, block.rows)
        return {each.layer.name: found[each.layer.name][:, :, list(each.units)] for each in group}

    def _presentation(self, group: Sequence[LayerOpponency]) -> OpponencyPresentation:
        """Return the presentation to a group, built once."""
        first = group[0]
        with self.building:
            if first.layer.name not in self.presentations:
                parts = self.active.parts
                self.presentations[first.layer.name] = OpponencyPresentation(
                    parts.graph,
                    [each.layer for each in group],
                    parts.network.preprocessing,
                    first.protocol,
                    parts.runner.device,
                )
            return self.presentations[first.layer.name]

    def begin(self, shown: Shown) -> Written:
        """Return what writes an item."""
        return Written(shown)


@dataclass(frozen=True)
class Written:
    """The responses to one set."""

    shown: Shown
    blocks: list[dict[str, np.ndarray]] = field(default_factory=list[dict[str, np.ndarray]])

    def add(self, responses: dict[str, np.ndarray]) -> None:
        """Take in the responses to a block."""
        self.blocks.append(responses)

    def write(self) -> None:
        """Write them for every layer that lacks them."""
        for each in self.shown.group:
            if not each.result.holds(self.shown.item):
                whole = np.concatenate([block[each.layer.name] for block in self.blocks], axis=1)
                each.result.write(self.shown.item, {"responses": whole}, {})
