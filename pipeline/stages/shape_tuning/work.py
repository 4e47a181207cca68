"""Computing: the responses of all units of a layer to shapes, by position, and fits to them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.run.active_run import ActiveRun
from pipeline.search.shape_responses import ShapePresentation
from pipeline.stages.shape_tuning.results import BLANK, LayerShapes, ShapePlan
from pipeline.stages.stage import WorkItems
from pipeline.stages.stored_tables import TableBlock, TableWork

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shown:
    """A work item: all shapes at one position, or the blank.

    Attributes:
        each: the layer.
        item: name of the item.
    """

    each: LayerShapes
    item: str


def show_shapes(run: ActiveRun, plan: ShapePlan) -> Iterator[WorkItems[Any]]:
    """Yield the layers to which shapes have not been shown, and then the fits that are missing."""
    missing = run.missing(plan.shapes)
    if missing:
        names = ", ".join(each.layer.name for each in missing)
        log.info("shape_tuning: showing shapes to %s", names)
        items = [Shown(each, item) for each in missing for item in each.result.items]
        results = [each.result for each in missing]
        yield WorkItems(results, items, ShapeWork(run), "shape_tuning: positions")
    fits = run.missing(plan.fits)
    if fits:
        log.info("shape_tuning: fitting %s", ", ".join(each.layer.name for each in fits))
        blocks = [TableBlock(each, item) for each in fits for item in each.result.items]
        results = [each.result for each in fits]
        yield WorkItems(results, blocks, TableWork(), "shape_tuning: units")


class ShapeWork:
    """Positions as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun) -> None:
        self.active = run
        self.presentations: dict[str, ShapePresentation] = {}
        self.building = threading.Lock()
        run.parts.runner.place(run.parts.network.module)

    def needed(self, shown: Shown) -> bool:
        """Say whether a position is missing."""
        return not shown.each.result.holds(shown.item)

    def size(self, _shown: Shown) -> int:
        """Return how much an item counts."""
        return 1

    def parts(self, shown: Shown) -> list[Shown]:
        """Return the item itself: it is done as a whole."""
        return [shown]

    def load(self, shown: Shown) -> Shown:
        """Read nothing: shapes are drawn where they are shown."""
        return shown

    def run(self, shown: Shown) -> np.ndarray:
        """Return responses, [shapes, units]; of the blank a single row."""
        runner = self.active.parts.runner
        presentation = self._presentation(shown.each)
        if shown.item == BLANK:
            responses = presentation.blank()[None]
        else:
            number = list(shown.each.positions).index(shown.item)
            responses = presentation.at(number, runner.check)
        return responses[:, list(shown.each.units)].float().numpy()

    def _presentation(self, layer: LayerShapes) -> ShapePresentation:
        """Return the presentation to a layer, built once."""
        with self.building:
            if layer.layer.name not in self.presentations:
                parts = self.active.parts
                self.presentations[layer.layer.name] = ShapePresentation(
                    parts.graph,
                    layer.layer,
                    parts.network.preprocessing,
                    layer.protocol,
                    parts.runner.device,
                )
            return self.presentations[layer.layer.name]

    def begin(self, shown: Shown) -> Written:
        """Return what writes an item."""
        return Written(shown)


@dataclass(frozen=True)
class Written:
    """The responses of one item."""

    shown: Shown
    arrays: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])

    def add(self, responses: np.ndarray) -> None:
        """Take in the responses."""
        self.arrays["responses"] = responses

    def write(self) -> None:
        """Write them, with the position."""
        x = self.shown.each.positions.get(self.shown.item)
        notes = {} if x is None else {"x": x}
        self.shown.each.result.write(self.shown.item, self.arrays, notes)
