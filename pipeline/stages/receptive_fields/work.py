"""Mapping: stimuli shown to layers and patches traced back, block by block of units."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pipeline.run.active_run import ActiveRun
from pipeline.search.field_mapping import map_responses
from pipeline.search.presentation import Presentation
from pipeline.search.stimulus_responses import check_finite
from pipeline.stages.receptive_fields.measures import Measures
from pipeline.stages.receptive_fields.methods import MethodBlock, MethodWork
from pipeline.stages.receptive_fields.plan import FieldPlan
from pipeline.stages.receptive_fields.results import RESPONSES, SetMaps, arrays_of
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


class Showing:
    """A stimulus set shown to a layer; parts of one item share it.

    Args:
        run: the run.
        block: the item.
    """

    def __init__(self, run: ActiveRun, block: SetBlock) -> None:
        self.active, self.block = run, block
        self.building = threading.Lock()

    @cached_property
    def _presentation(self) -> Presentation:
        parts, maps = self.active.parts, self.block.of
        return Presentation(parts.graph, maps.layer, maps.shown.build(), parts.runner.device)

    @property
    def presentation(self) -> Presentation:
        """The presentation, built once, in the thread of a worker, as the last bits need it."""
        with self.building:
            return self._presentation


@dataclass(frozen=True)
class Part:
    """Some stimuli of an item: one of several equal shares of them."""

    showing: Showing
    number: int
    of: int

    def blocks(self) -> list[range]:
        """Return the blocks of stimuli of the presentation."""
        whole = self.showing.presentation.blocks
        first, last = (len(whole) * n // self.of for n in (self.number, self.number + 1))
        return whole[first:last]


@dataclass(frozen=True)
class Answers:
    """Responses to the stimuli of one part.

    Attributes:
        part: the part.
        rows: numbers of the stimuli.
        responses: of the units of the item.
    """

    part: Part
    rows: Int[np.ndarray, " n"]
    responses: Float[np.ndarray, "n units"]


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
        showing, count = Showing(self.active, block), -(-block.of.shown.count // TOGETHER)
        return [Part(showing, number, count) for number in range(count)]

    def load(self, part: Part) -> Part:
        """Read nothing: stimuli are drawn where they are shown."""
        return part

    def run(self, part: Part) -> Answers:
        """Show the stimuli of a part."""
        block, runner = part.showing.block, self.active.parts.runner
        units = block.of.blocks[block.item]
        rows: list[np.ndarray] = [np.zeros(0, np.int64)]
        responses = [np.zeros((0, len(units)), np.float32)]
        for some in part.blocks():
            runner.check()
            numbers, answers = part.showing.presentation.respond(some)
            rows.append(numbers.numpy())
            responses.append(answers[:, units].float().numpy())
        return Answers(part, np.concatenate(rows), np.concatenate(responses))

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
        part = answers.part
        if part.number == part.of - 1:
            check, of = self.active.parts.runner.ranks.check, self.block.of
            check_finite(self.responses, of.blocks[self.block.item], of.layer.name)
            mapped = map_responses(part.showing.presentation.stimuli, self.responses, check)
            self.arrays = arrays_of(mapped)
            if self.block.of.keeps_responses:
                self.arrays[RESPONSES] = self.responses

    def write(self) -> None:
        """Write the maps."""
        self.block.of.result.write(self.block.item, self.arrays)
