"""Computing: grids of Gabors shown to layers, of which every unit keeps the five best."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from pipeline.analysis.gabor_index import NO_CONTRAST, TOO_SMALL
from pipeline.run.active_run import ActiveRun
from pipeline.search.presentation import Presentation
from pipeline.search.stimulus_responses import is_constant
from pipeline.stages.best_gabor.results import GRID, GridStarts
from pipeline.synthesis.gabors import best_of_grid

TOGETHER = 2048  # Gabors of a part of a grid, about


class Showing:
    """A grid shown to a layer; the parts of an item share it.

    Args:
        run: the run.
        each: the grid that is shown.
    """

    def __init__(self, run: ActiveRun, each: GridStarts) -> None:
        self.active, self.each = run, each
        self.building = threading.Lock()

    @cached_property
    def contrasts(self) -> Float[np.ndarray, " units"]:
        """The contrasts of all units of the layer."""
        return self.each.of.contrasts()

    @property
    def shows(self) -> bool:
        """Whether there is anything to show."""
        with self.building:
            return not self.each.of.too_small and bool(np.isfinite(self.contrasts).any())

    @property
    def presentation(self) -> Presentation:
        """The presentation, built once, in the thread of a worker, as the last bits need it."""
        with self.building:
            return self._presentation

    @cached_property
    def _presentation(self) -> Presentation:
        parts, of = self.active.parts, self.each.of
        grid = of.search.grid(self.contrasts)
        return Presentation(parts.graph, of.layer, grid, parts.runner.device)


@dataclass(frozen=True)
class Part:
    """Some Gabors of a grid: one of several equal shares of them."""

    showing: Showing
    number: int
    of: int

    def blocks(self) -> list[range]:
        """Return the blocks of stimuli of the presentation."""
        if not self.showing.shows:
            return []
        whole = self.showing.presentation.blocks
        first, last = (len(whole) * n // self.of for n in (self.number, self.number + 1))
        return whole[first:last]


@dataclass(frozen=True)
class Answers:
    """Responses to the Gabors of one part, by their numbers."""

    showing: Showing
    rows: Int[np.ndarray, " n"]
    responses: Float[np.ndarray, "n units"]


class GridWork:
    """Grids as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun) -> None:
        self.active = run
        run.parts.runner.place(run.parts.network.module)

    def needed(self, each: GridStarts) -> bool:
        """Say whether a grid has not been shown."""
        return not each.result.holds(GRID)

    def size(self, _each: GridStarts) -> int:
        """Return how much an item counts."""
        return 1

    def parts(self, each: GridStarts) -> list[Part]:
        """Return shares of the Gabors, which do not depend on the machine."""
        showing, of = Showing(self.active, each), each.of
        gabors = 0 if of.too_small else len(of.search.grid(np.ones(1)))
        count = max(1, -(-gabors // TOGETHER))
        return [Part(showing, number, count) for number in range(count)]

    def load(self, part: Part) -> Part:
        """Read nothing: Gabors are drawn where they are shown."""
        return part

    def run(self, part: Part) -> Answers:
        """Show the Gabors of a part."""
        units, runner = list(part.showing.each.of.units), self.active.parts.runner
        rows: list[np.ndarray] = [np.zeros(0, np.int64)]
        responses = [np.zeros((0, len(units)), np.float32)]
        for some in part.blocks():
            runner.check()
            numbers, answers = part.showing.presentation.respond(some)
            rows.append(numbers.numpy())
            responses.append(answers[:, units].float().numpy())
        return Answers(part.showing, np.concatenate(rows), np.concatenate(responses))

    def begin(self, each: GridStarts) -> Gathered:
        """Return what collects the responses."""
        return Gathered(each)


@dataclass(frozen=True)
class Gathered:
    """The responses to one grid."""

    each: GridStarts
    answers: list[Answers] = field(default_factory=list[Answers])

    def add(self, answers: Answers) -> None:
        """Take in the responses of a part."""
        self.answers.append(answers)

    def write(self) -> None:
        """Write the five best Gabors of every unit."""
        units, showing = list(self.each.of.units), self.answers[0].showing
        count = sum(len(part.rows) for part in self.answers)
        responses = np.empty((len(units), count), np.float32)
        for part in self.answers:
            responses[:, part.rows] = part.responses.T
        channels, reason = self.each.of.search.field.colors.channels, ""
        gabors, colors = np.zeros((0, 7)), np.zeros((0, channels))
        dead = np.zeros(len(units), bool)
        if count:
            best = best_of_grid(showing.presentation.stimuli, responses)
            gabors, colors = (part.numpy() for part in best)
            dead = is_constant(responses)
        else:
            reason = TOO_SMALL if self.each.of.too_small else NO_CONTRAST
        rms = showing.contrasts[units]
        arrays = {"gabors": gabors, "colors": colors, "dead": dead, "rms": rms}
        self.each.result.write(GRID, arrays, {"reason": reason})
