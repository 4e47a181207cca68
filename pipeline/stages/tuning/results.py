"""Responses of a layer to each set, and the measures made of them, in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer
from pipeline.networks.nonlinearity import nonlinearity
from pipeline.search.tuning.measurement import STAGES, UNITS, LayerTuning, Measures, TuningOptions
from pipeline.search.tuning.optima import Optima
from pipeline.search.tuning.sets import CONTRAST_SETTINGS, SETS
from pipeline.search.tuning.showing import contrast_gratings, own_contrasts
from pipeline.stages.tuning.stored_measures import arrays_of, measures_of
from pipeline.stimuli.field import Field
from pipeline.stimuli.stimulus_set import StimulusSet
from pipeline.store.results import Result

RESPONSES = "responses"  # the item of a set, and its array


@dataclass(frozen=True, eq=False)
class SetResponses:
    """The responses of a layer to one set.

    Attributes:
        layer: the layer.
        name: of the set.
        field: the canvas.
        units: the rows of the array.
        result: the stored responses.
    """

    layer: Layer
    name: str
    field: Field
    units: Sequence[int]
    result: Result

    def build(self) -> StimulusSet | None:
        """Return the set."""
        return SETS[self.name].build(self.field)

    @cached_property
    def count(self) -> int:
        """The number of stimuli, at most, for which the set is built once.

        Raises:
            ArtiphysError: it cannot be drawn.
        """
        return len(SETS[self.name].build(self.field))

    def arrays(self, responses: np.ndarray) -> dict[str, np.ndarray]:
        """Return what is stored of the responses of the units to all stimuli."""
        return {RESPONSES: responses}

    def read(self) -> np.ndarray:
        """Read the responses."""
        return self.result.read(RESPONSES)[0][RESPONSES]


@dataclass(frozen=True, eq=False)
class ContrastResponses(SetResponses):
    """The responses of each unit of a layer to its own best grating at all contrasts.

    Attributes:
        tuned: returns what is known of the layer's units once other sets were shown.
    """

    tuned: Callable[[], LayerTuning]

    @cached_property
    def _optima(self) -> dict[str, Optima | None]:
        return self.tuned().optima

    def build(self) -> StimulusSet | None:
        """Return the gratings that are best of any unit; nothing if there is none."""
        return contrast_gratings(self.field, self._optima)

    @cached_property
    def count(self) -> int:
        """How many there are at most: a grating for each unit and stage, each once."""
        each = len(CONTRAST_SETTINGS["contrasts"]) * CONTRAST_SETTINGS["phases"]
        shown = SETS["orientation"].build(self.field).geometries
        return each * min(shown, len(STAGES) * len(self.units))

    def arrays(self, responses: np.ndarray) -> dict[str, np.ndarray]:
        """Return the responses of each unit to its own grating, by stage."""
        return own_contrasts(self._optima, responses)

    def read_stages(self) -> dict[str, np.ndarray]:
        """Read the responses by stage."""
        return self.result.read(RESPONSES)[0]


@dataclass(frozen=True, eq=False)
class LayerMeasures:
    """The properties and curves of the units of a layer.

    Attributes:
        graph: the traced network.
        layer: the layer.
        units: that are measured.
        field: the canvas.
        sets: the responses, of which those to contrasts are the last if there are any.
        options: what is measured.
        result: the stored measures, an item for each block of units.
    """

    graph: Graph
    layer: Layer
    units: Sequence[int]
    field: Field
    sets: Sequence[SetResponses]
    options: TuningOptions
    result: Result

    @cached_property
    def tuned(self) -> LayerTuning:
        """What the units responded, read from the store."""
        shown = tuned_by(self.graph, self.layer, self.units, self.sets, self.options)
        last = self.sets[-1]
        if isinstance(last, ContrastResponses):
            return replace(shown, contrasts=last.read_stages())
        return shown

    def rows(self, item: str) -> slice:
        """Return which of the units an item is made of."""
        first = self.result.items.index(item) * UNITS
        return slice(first, min(first + UNITS, len(self.units)))

    def make(self, item: str) -> list[Measures]:
        """Compute the measures of an item."""
        return list(self.tuned.measured(self.rows(item)))

    def write(self, item: str, found: list[Measures]) -> None:
        """Store the measures of an item."""
        arrays, notes = arrays_of(found)
        self.result.write(item, arrays, notes)

    def read(self) -> Iterator[tuple[list[int], list[Measures]]]:
        """Yield the units and the measures of every item."""
        for item in self.result.items:
            yield list(self.units[self.rows(item)]), measures_of(*self.result.read(item))


def tuned_by(
    graph: Graph,
    layer: Layer,
    units: Sequence[int],
    sets: Sequence[SetResponses],
    options: TuningOptions,
) -> LayerTuning:
    """Return what units responded to stored sets, but for contrasts."""
    plain = [each for each in sets if not isinstance(each, ContrastResponses)]
    tables: dict[str, pd.DataFrame] = {
        each.name: SETS[each.name].build(each.field).table for each in plain
    }
    responses = {each.name: each.read() for each in plain}
    after = nonlinearity(graph, layer)
    return LayerTuning(layer, units, after, tables, responses, {}, options)
