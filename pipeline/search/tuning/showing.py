"""Showing sets to a layer: each once, for all units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer
from pipeline.networks.nonlinearity import nonlinearity
from pipeline.search.presentation import Presentation
from pipeline.search.stimulus_responses import all_responses
from pipeline.search.tuning.measurement import LayerTuning, TuningOptions
from pipeline.search.tuning.optima import Optima, different_gratings, own_rows
from pipeline.search.tuning.sets import CONTRAST, PHASES, SETS, groups_of, sets_of
from pipeline.stimuli.degree_gratings import CONTRASTS, gratings
from pipeline.stimuli.field import Field
from pipeline.stimuli.stimulus_set import StimulusSet


@dataclass(frozen=True, eq=False)
class Showing:
    """A layer to which sets are shown.

    Attributes:
        graph: the traced network.
        layer: the layer.
        field: the canvas, with screen and colors.
        device: where the network is.
        check: called before every block of stimuli; raises an error to stop.
    """

    graph: Graph
    layer: Layer
    field: Field
    device: torch.device
    check: Callable[[], None] = lambda: None

    def responses(self, name: str, units: Sequence[int]) -> Float[np.ndarray, "units stimuli"]:
        """Return the responses to a set: of some units, or of all if the rate map needs them."""
        shown = SETS[name]
        every = range(self.layer.units) if shown.every else units
        presentation = Presentation(self.graph, self.layer, shown.build(self.field), self.device)
        return all_responses(presentation, every, self.check)

    def contrasts(
        self, optima: Mapping[str, Optima | None], units: Sequence[int]
    ) -> dict[str, Float[np.ndarray, "units stimuli"]]:
        """Return the responses of each unit to its own best grating, for every stage."""
        stimuli = contrast_gratings(self.field, optima)
        whole = np.zeros((len(units), 0), np.float32)
        if stimuli is not None:
            presentation = Presentation(self.graph, self.layer, stimuli, self.device)
            whole = all_responses(presentation, units, self.check)
        return own_contrasts(optima, whole)


def contrast_gratings(field: Field, optima: Mapping[str, Optima | None]) -> StimulusSet | None:
    """Return the gratings that are best of any unit at all contrasts; nothing if there is none."""
    known = {at: best for at, best in optima.items() if best is not None}
    table = different_gratings(known) if known else None
    if table is None or table.empty:
        return None
    return gratings(field, table, CONTRASTS.tolist(), PHASES)


def own_contrasts(
    optima: Mapping[str, Optima | None], responses: Float[np.ndarray, "units stimuli"]
) -> dict[str, Float[np.ndarray, "units contrasts_and_phases"]]:
    """Return the responses of each unit to its own best grating, by stage.

    They are NaN of a unit that has none.

    Args:
        optima: of the units, by stage.
        responses: of the units to all of ``contrast_gratings``.
    """
    known = {at: best for at, best in optima.items() if best is not None}
    shape = len(responses), len(CONTRASTS) * PHASES
    found = {at: np.full(shape, np.nan, np.float32) for at in known}
    if not responses.shape[1]:
        return found
    table = different_gratings(known)
    by_grating = responses.reshape(len(responses), len(table), -1)
    for at, best in known.items():
        rows = own_rows(best, table)
        has = np.flatnonzero(rows >= 0)
        found[at][has] = by_grating[has, rows[has]]
    return found


def show_layer(showing: Showing, units: Sequence[int], options: TuningOptions) -> LayerTuning:
    """Show to a layer what the properties need, and return what its units responded."""
    graph, layer, field = showing.graph, showing.layer, showing.field
    names = sets_of(groups_of(options.properties), field.colors.channels)
    plain = [name for name in names if name != CONTRAST]
    tuned = LayerTuning(
        layer,
        units,
        nonlinearity(graph, layer),
        {name: SETS[name].build(field).table for name in plain},
        {name: showing.responses(name, units) for name in plain},
        {},
        options,
    )
    if CONTRAST not in names:
        return tuned
    return replace(tuned, contrasts=showing.contrasts(tuned.optima, units))
