"""Mapping: stimuli shown to layers and patches traced back, block by block of units."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from pipeline.run.active_run import ActiveRun
from pipeline.search.field_mapping import map_responses
from pipeline.search.stimulus_responses import check_finite
from pipeline.stages.receptive_fields.measures import Measures
from pipeline.stages.receptive_fields.methods import MethodBlock, MethodWork
from pipeline.stages.receptive_fields.plan import FieldPlan
from pipeline.stages.receptive_fields.results import RESPONSES, SetMaps, arrays_of
from pipeline.stages.showing import Answers, Part, Showing
from pipeline.stages.stage import WorkItems
from pipeline.stages.stored_tables import TableBlock, TableWork

log = logging.getLogger(__name__)
TOGETHER = 4096  # stimuli of a part of an item, about


def map_fields(run: ActiveRun, plan: FieldPlan) -> Iterator[WorkItems[Any]]:
    """Yield the maps that are not in the store, and then the measures of all maps."""
    label = "receptive_fields: units"
    maps = run.missing(plan.maps)
    if maps:
        names = ", ".join(f"{each.layer.name} by {each.method}" for each in maps)
        log.info("receptive_fields: mapping %s", names)
    shown = [each for each in maps if isinstance(each, SetMaps)]
    if shown:
        sets = [SetBlock(each, item) for each in shown for item in each.blocks]
        sets.sort(key=lambda block: block.of.shown.passes * prod(block.of.field), reverse=True)
        yield WorkItems([each.result for each in shown], sets, SetWork(run), label)
    others = [each for each in maps if not isinstance(each, SetMaps)]
    if others:
        blocks = [MethodBlock(each, item) for each in others for item in each.blocks]
        yield WorkItems([each.result for each in others], blocks, MethodWork(run), label)
    measures: list[Measures] = run.missing([*plan.summaries, *plan.agreements])
    if measures:
        log.info("receptive_fields: measuring and comparing maps")
        items = [TableBlock(each, item) for each in measures for item in each.result.items]
        yield WorkItems([each.result for each in measures], items, TableWork(), label)


@dataclass(frozen=True)
class SetBlock:
    """A work item: a stimulus set shown to some units of a layer.

    Attributes:
        of: the maps.
        item: name of the item.
    """

    of: SetMaps
    item: str


class SetWork:
    """Stimulus sets as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun) -> None:
        self.active = run
        run.parts.runner.place(run.parts.network.module)

    def needed(self, block: SetBlock) -> bool:
        """Say whether an item is missing."""
        return not block.of.result.holds(block.item)

    def size(self, block: SetBlock) -> int:
        """Return the number of units."""
        return len(block.of.blocks[block.item])

    def parts(self, block: SetBlock) -> list[Part]:
        """Return shares of the stimuli, which do not depend on the machine."""
        shown, units = block.of.shown, block.of.blocks[block.item]
        showing = Showing(self.active, block.of.layer, units, shown.build)
        return showing.parts(shown.count, TOGETHER)

    def load(self, part: Part) -> Part:
        """Read nothing: stimuli are drawn where they are shown."""
        return part

    def run(self, part: Part) -> Answers:
        """Show the stimuli of a part."""
        return part.respond()

    def begin(self, block: SetBlock) -> Gathered:
        """Return what collects responses and maps by them."""
        return Gathered(self.active, block)


class Gathered:
    """The responses of the units of one item to a whole set, and the maps that follow."""

    def __init__(self, run: ActiveRun, block: SetBlock) -> None:
        self.active, self.block = run, block
        shape = len(block.of.blocks[block.item]), block.of.shown.count
        self.responses = np.empty(shape, np.float32)
        self.arrays: dict[str, np.ndarray] = {}

    def add(self, answers: Answers) -> None:
        """Take in the responses of a part, and map receptive fields once all are there."""
        self.responses[:, answers.rows] = answers.responses.T
        part, shown = answers.part, answers.part.showing.presentation
        if shown is not None and part.number == part.of - 1:
            check, of = self.active.parts.runner.ranks.check, self.block.of
            check_finite(self.responses, of.blocks[self.block.item], of.layer.name)
            mapped = map_responses(shown.stimuli, self.responses, check)
            self.arrays = arrays_of(mapped)
            if self.block.of.keeps_responses:
                self.arrays[RESPONSES] = self.responses

    def write(self) -> None:
        """Write the maps."""
        self.block.of.result.write(self.block.item, self.arrays)
