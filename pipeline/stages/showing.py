"""A stimulus set that is shown to a layer in equal shares, which any thread or process may take."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.search.presentation import Presentation
from pipeline.stimuli.stimulus_set import StimulusSet


class Showing:
    """A stimulus set shown to a layer; the parts of one work item share it.

    Args:
        run: the run.
        layer: the layer.
        units: whose responses are wanted, in order.
        build: returns the set; nothing if it is empty.
    """

    def __init__(
        self,
        run: ActiveRun,
        layer: Layer,
        units: Sequence[int],
        build: Callable[[], StimulusSet | None],
    ) -> None:
        self.active, self.layer, self.units, self.build = run, layer, list(units), build
        self.building = threading.Lock()

    @cached_property
    def _presentation(self) -> Presentation | None:
        parts, stimuli = self.active.parts, self.build()
        if stimuli is None:
            return None
        return Presentation(parts.graph, self.layer, stimuli, parts.runner.device)

    @property
    def presentation(self) -> Presentation | None:
        """The presentation, built once, in the thread of a worker, as the last bits need it."""
        with self.building:
            return self._presentation

    def parts(self, stimuli: int, together: int) -> list[Part]:
        """Return shares of the set, at least one, which do not depend on the machine.

        Args:
            stimuli: how many there are.
            together: how many make a share, about.
        """
        count = max(1, -(-stimuli // together))
        return [Part(self, number, count) for number in range(count)]


@dataclass(frozen=True)
class Part:
    """Some stimuli of a set: one of several equal shares of them."""

    showing: Showing
    number: int
    of: int

    def respond(self) -> Answers:
        """Show the stimuli, block by block."""
        showing, check = self.showing, self.showing.active.parts.runner.check
        rows: list[np.ndarray] = [np.zeros(0, np.int64)]
        responses = [np.zeros((0, len(showing.units)), np.float32)]
        if (presentation := showing.presentation) is not None:
            blocks = presentation.blocks
            first, last = (len(blocks) * n // self.of for n in (self.number, self.number + 1))
            for block in blocks[first:last]:
                check()
                numbers, answers = presentation.respond(block)
                rows.append(numbers.numpy())
                responses.append(answers[:, showing.units].float().numpy())
        return Answers(self, np.concatenate(rows), np.concatenate(responses))


@dataclass(frozen=True)
class Answers:
    """Responses to the stimuli of one part.

    Attributes:
        part: the part.
        rows: numbers of the stimuli.
        responses: of the units.
    """

    part: Part
    rows: Int[np.ndarray, " n"]
    responses: Float[np.ndarray, "n units"]
