"""Responses to hues, gray levels and gratings, and the classes computed from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from pipeline.analysis import opponency_fractions as fractions
from pipeline.analysis.opponency_table import (
    KINDS,
    STAGES,
    OpponencyResponses,
    OpponencyRules,
    opponency_table,
)
from pipeline.networks.layers import Layer
from pipeline.networks.nonlinearity import nonlinearity
from pipeline.run.active_run import ActiveRun
from pipeline.run.identity import network_settings
from pipeline.search.opponency import (
    SETS,
    OpponencyProtocol,
    groups,
    opponency_stimuli,
    stimulus_colors,
)
from pipeline.stages.opponency import FRACTIONS, STAGE, UNITS
from pipeline.stages.stage import Plan
from pipeline.stimuli.stimulus_set import StimulusSet
from pipeline.store.results import Result


@dataclass(frozen=True)
class LayerOpponency:
    """The responses of some units of a layer.

    Attributes:
        layer: the layer.
        units: the columns of every array, in order.
        protocol: what is shown, and where responses are read.
        reason: why there are no responses after a nonlinearity, or an empty string.
        gratings: parameters of the gratings.
        seed: of the choice among hues with equal responses.
        result: an item of each set of stimuli.
    """

    layer: Layer
    units: Sequence[int]
    protocol: OpponencyProtocol
    reason: str
    gratings: pd.DataFrame
    seed: int
    result: Result

    @property
    def stages(self) -> int:
        """How many stages responses have: before and, if there is one, after a nonlinearity."""
        return 1 if self.reason else len(STAGES)

    @cached_property
    def responses(self) -> OpponencyResponses:
        """The responses, read once in a run."""
        read = {name: self.result.read(name)[0]["responses"] for name in SETS}
        return OpponencyResponses(**read, reason=self.reason)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The class of every unit by every rule, computed once in a run."""
        rules = OpponencyRules.every()
        number = str(self.layer.identity)
        return opponency_table(self.responses, self.gratings, self.units, rules, self.seed, number)


def plan_opponency(run: ActiveRun) -> Plan[LayerOpponency]:
    """Return the responses of a run, one result for each of its layers."""
    config = run.parts.config.opponency
    protocol = OpponencyProtocol(config.where, config.gray_hues)
    if _channels(run) != 3:
        return Plan()
    layers = [layer for layer in run.parts.layers if run.parts.units[layer.name]]
    return Plan(_layer(run, layer, protocol) for layer in layers)


def _layer(run: ActiveRun, layer: Layer, protocol: OpponencyProtocol) -> LayerOpponency:
    parts, units = run.parts, run.parts.units[layer.name]
    colors = stimulus_colors(parts.network.preprocessing)
    settings = {
        **network_settings(run),
        "layer": layer.identity,
        "units": list(units),
        "stimuli": list(SETS),  # raise the stage's version when they are drawn otherwise
        "where": protocol.where,
        "gray_hues": protocol.gray,
        "screen": list(parts.graph.input_size),
        "black": list(colors.black),
        "white": list(colors.white),
    }
    result = run.result(STAGE, layer.name, layer.name, settings, list(SETS))
    return LayerOpponency(
        layer,
        units,
        protocol,
        nonlinearity(parts.graph, layer).reason,
        stimuli_of(run, layer, protocol)["gratings"].table,
        parts.config.seed,
        result,
    )


def stimuli_of(run: ActiveRun, layer: Layer, protocol: OpponencyProtocol) -> dict[str, StimulusSet]:
    """Return the stimuli that are shown to a layer."""
    return opponency_stimuli(run.parts.graph, layer, run.parts.network.preprocessing, protocol)


def grouped(run: ActiveRun, planned: Sequence[LayerOpponency]) -> list[list[LayerOpponency]]:
    """Return layers in groups that are seen together."""
    by_name = {each.layer.name: each for each in planned}
    layers = [each.layer for each in planned]
    found = groups(run.parts.graph, layers, planned[0].protocol) if planned else []
    return [[by_name[layer.name] for layer in group] for group in found]


def _channels(run: ActiveRun) -> int:
    return len(run.parts.network.preprocessing.mean)


def channel_faults(run: ActiveRun, _planned: Sequence[LayerOpponency]) -> Iterator[str]:
    """Yield that a network does not see colors."""
    if _channels(run) != 3:
        yield (
            "stages: opponency is measured with colors and needs a network of 3 channels, and"
            f" {run.parts.network.name} has {_channels(run)}; leave it out"
        )


def opponency(run: ActiveRun, planned: Sequence[LayerOpponency]) -> pd.DataFrame:
    """Return the class of every unit by every rule."""
    tables = [
        each.table.assign(model=run.parts.network.name, layer=each.layer.name) for each in planned
    ]
    if not tables:
        return pd.DataFrame(columns=list(UNITS.columns))
    return pd.DataFrame(pd.concat(tables, ignore_index=True), columns=list(UNITS.columns))


def opponency_fractions(run: ActiveRun, planned: Sequence[LayerOpponency]) -> pd.DataFrame:
    """Return the fraction of units of each class in every layer, by every rule."""
    table = opponency(run, planned)
    found = fractions.opponency_fractions(table) if len(table) else pd.DataFrame()
    return pd.DataFrame(found.assign(model=run.parts.network.name), columns=list(FRACTIONS.columns))


def summary(run: ActiveRun, planned: Sequence[LayerOpponency]) -> list[str]:
    """Return a line for each layer: opponent units as published."""
    table = fractions.published(opponency_fractions(run, planned))
    opponent = table.loc[table["class"] == "opponent"]
    return [
        _line(each.layer.name, opponent.loc[opponent["layer"] == each.layer.name])
        for each in planned
    ]


def _line(layer: str, rows: pd.DataFrame) -> str:
    """Return the line of one layer."""
    by_kind = {str(row["kind"]): row for row in rows.to_dict("records")}
    parts = [
        f"{kind} {by_kind[kind]['fraction']:.0%}"
        f" [{by_kind[kind]['low']:.0%}, {by_kind[kind]['high']:.0%}]"
        if kind in by_kind
        else f"{kind} undefined"
        for kind in KINDS
    ]
    return f"opponency: {layer}: opponent (black baseline above 0): {', '.join(parts)}"
