"""Computing: sets shown to layers, then each unit's best grating, and then properties."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.run.active_run import ActiveRun
from pipeline.search.tuning.measurement import Measures
from pipeline.stages.showing import Answers, Part, Showing
from pipeline.stages.stage import WorkItems
from pipeline.stages.tuning.plan import TuningPlan
from pipeline.stages.tuning.results import RESPONSES, LayerMeasures, SetResponses

log = logging.getLogger(__name__)
TOGETHER = 2048  # stimuli of a part of an item, about
LABEL = "tuning: "


def measure_tuning(run: ActiveRun, plan: TuningPlan) -> Iterator[WorkItems[Any]]:
    """Yield the sets that have not been shown, then contrasts, then what is not measured yet."""
    for several, what in ((plan.shown, "sets"), (plan.contrasts, "contrasts")):
        missing: list[SetResponses] = run.missing(several)
        if missing:
            names = ", ".join(dict.fromkeys(each.layer.name for each in missing))
            log.info("tuning: showing %s to %s", what, names)
            results = [each.result for each in missing]
            yield WorkItems(results, missing, SetWork(run), f"{LABEL}sets")
    measures: list[LayerMeasures] = run.missing(plan.measures)
    if measures:
        log.info("tuning: measuring %s", ", ".join(each.layer.name for each in measures))
        items = [Block(each, item) for each in measures for item in each.result.items]
        yield WorkItems(
            [each.result for each in measures], items, MeasureWork(run), f"{LABEL}units"
        )


class SetWork:
    """Sets as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun) -> None:
        self.active = run
        run.parts.runner.place(run.parts.network.module)

    def needed(self, each: SetResponses) -> bool:
        """Say whether a set has not been shown."""
        return not each.result.holds(RESPONSES)

    def size(self, _each: SetResponses) -> int:
        """Return how much an item counts."""
        return 1

    def parts(self, each: SetResponses) -> list[Part]:
        """Return shares of the stimuli, which do not depend on the machine."""
        stimuli = each.build()
        showing = Showing(self.active, each.layer, each.units, lambda: stimuli)
        return showing.parts(0 if stimuli is None else len(stimuli), TOGETHER)

    def load(self, part: Part) -> Part:
        """Read nothing: stimuli are drawn where they are shown."""
        return part

    def run(self, part: Part) -> Answers:
        """Show the stimuli of a part."""
        return part.respond()

    def begin(self, each: SetResponses) -> Gathered:
        """Return what collects the responses."""
        return Gathered(each)


@dataclass(frozen=True)
class Gathered:
    """The responses of one item."""

    each: SetResponses
    answers: list[Answers] = field(default_factory=list[Answers])

    def add(self, answers: Answers) -> None:
        """Take in the responses of a part."""
        self.answers.append(answers)

    def write(self) -> None:
        """Write the responses to all stimuli."""
        count = sum(len(part.rows) for part in self.answers)
        responses = np.empty((len(self.each.units), count), np.float32)
        for part in self.answers:
            responses[:, part.rows] = part.responses.T
        self.each.result.write(RESPONSES, self.each.arrays(responses))


@dataclass(frozen=True)
class Block:
    """A work item: some units of one layer."""

    of: LayerMeasures
    item: str


class MeasureWork:
    """Blocks of units as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun) -> None:
        run.parts.runner.place(run.parts.network.module)
        self.reading = threading.Lock()

    def needed(self, block: Block) -> bool:
        """Say whether a block is missing."""
        return not block.of.result.holds(block.item)

    def size(self, block: Block) -> int:
        """Return the number of units."""
        rows = block.of.rows(block.item)
        return rows.stop - rows.start

    def parts(self, block: Block) -> list[Block]:
        """Return the block itself: it is done as a whole."""
        return [block]

    def load(self, block: Block) -> Block:
        """Read nothing yet."""
        return block

    def run(self, block: Block) -> list[Measures]:
        """Return the measures of a block; responses are read once for all blocks of a layer."""
        with self.reading:
            _ = block.of.tuned
        return block.of.make(block.item)

    def begin(self, block: Block) -> Written:
        """Return what writes them."""
        return Written(block, [])


@dataclass(frozen=True)
class Written:
    """The measures of one block."""

    block: Block
    found: list[Measures]

    def add(self, found: Sequence[Measures]) -> None:
        """Take in the measures."""
        self.found.extend(found)

    def write(self) -> None:
        """Write them."""
        self.block.of.write(self.block.item, self.found)
