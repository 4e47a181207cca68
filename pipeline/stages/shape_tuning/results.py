"""Responses to shapes at every position, and the tuning computed from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.analysis.boundary_curvature import Elements
from pipeline.analysis.shape_summary import shape_summary
from pipeline.analysis.shape_tuning import ShapeResponses, tuning
from pipeline.errors import ConfigError
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.identity import network_settings
from pipeline.search.shape_responses import (
    ShapeProtocol,
    as_color,
    read_elements,
    shape_elements,
    shape_field,
)
from pipeline.stages.shape_tuning import STAGE, STIMULI, SUMMARY, TUNING
from pipeline.stages.stage import Plan
from pipeline.stimuli.field import Field
from pipeline.stimuli.shapes import named_shapes, rotations
from pipeline.store.results import Result

BLANK = "blank"  # the item of the responses to the background alone


@dataclass(frozen=True)
class LayerShapes:
    """The responses of some units of a layer to shapes.

    Attributes:
        layer: the layer.
        units: the columns of every array, in order.
        protocol: what is shown.
        field: the canvas.
        elements: boundary elements of the shapes.
        source: SHA-256 of the file that they were read from; empty for those of the outlines.
        shuffles: how often responses are shuffled for the null.
        seed: of the shuffles.
        result: an item of each position, and one of the blank.
    """

    layer: Layer
    units: Sequence[int]
    protocol: ShapeProtocol
    field: Field
    elements: Elements
    source: str
    shuffles: int
    seed: int
    result: Result

    @property
    def positions(self) -> dict[str, float]:
        """The positions by the names of their items, in pixels to the right of the center."""
        return item_positions(self.protocol, self.field)

    def shown(self) -> ShapeResponses:
        """Read the responses."""
        read = {item: self.result.read(item)[0]["responses"] for item in self.result.items}
        blank = read.pop(BLANK)[0]
        places = np.array(list(self.positions.values()))
        responses = np.stack(list(read.values()))
        return ShapeResponses(responses, blank, places, self.protocol.width, self.field.width)

    def central(self) -> Float[np.ndarray, "shapes units"]:
        """Read the responses to the shapes at the center."""
        items = {x: item for item, x in self.positions.items()}
        return self.result.read(items[0.0])[0]["responses"]

    @cached_property
    def tuning(self) -> pd.DataFrame:
        """One row per unit, computed from the responses once in a run."""
        return tuning(self.shown(), self.elements, self.units, self.shuffles, self.seed)


def item_positions(protocol: ShapeProtocol, field: Field) -> dict[str, float]:
    """Return the positions by the names of their items."""
    return {f"position-{n:03d}": x for n, x in enumerate(protocol.places(field))}


def plan_shapes(run: ActiveRun) -> Plan[LayerShapes]:
    """Return the responses of a run, one result for each of its layers."""
    config = run.parts.config.shape_tuning
    protocol = ShapeProtocol(
        config.width,
        None if config.positions is None else tuple(map(float, config.positions)),
        as_color("shape_tuning.figure", config.figure),
        as_color("shape_tuning.background", config.background),
    )
    elements = _elements(config.elements)
    layers = [layer for layer in run.parts.layers if run.parts.units[layer.name]]
    return Plan(_layer(run, layer, protocol, elements) for layer in layers)


def _elements(path: str | None) -> tuple[Elements, str]:
    try:
        return (shape_elements(), "") if path is None else read_elements(path)
    except ConfigError as error:
        raise ConfigError(f"shape_tuning.{error}") from error


def _layer(
    run: ActiveRun, layer: Layer, protocol: ShapeProtocol, elements: tuple[Elements, str]
) -> LayerShapes:
    units, config = run.parts.units[layer.name], run.parts.config
    preprocessing = run.parts.network.preprocessing
    field = shape_field(run.parts.graph, layer, preprocessing)
    positions = item_positions(protocol, field)
    settings = {
        **network_settings(run),
        "layer": layer.call,
        "units": list(units),
        "stimuli": "v4_shapes",  # raise the stage's version when they are drawn otherwise
        "width": protocol.width,
        "positions": list(positions.values()),
        "figure": list(protocol.figure or field.colors.white),
        "background": list(protocol.background or field.colors.gray),
    }
    result = run.result(STAGE, layer.name, layer.name, settings, [*positions, BLANK])
    shuffles = config.shape_tuning.shuffles
    return LayerShapes(layer, units, protocol, field, *elements, shuffles, config.seed, result)


def color_faults(_run: ActiveRun, planned: Sequence[LayerShapes]) -> Iterator[str]:
    """Yield which colors do not have one value per channel."""
    for each in planned[:1]:
        channels = each.field.colors.channels
        for name in ("figure", "background"):
            color = getattr(each.protocol, name)
            if color is not None and len(color) != channels:
                yield (
                    f"shape_tuning.{name}: {list(color)} has {len(color)} values; give one per"
                    f" channel, of which the network has {channels}"
                )


def shape_tuning(run: ActiveRun, planned: Sequence[LayerShapes]) -> pd.DataFrame:
    """Return one row per layer and unit."""
    tables = [
        each.tuning.assign(model=run.parts.network.name, layer=each.layer.name) for each in planned
    ]
    if not tables:
        return pd.DataFrame(columns=list(TUNING.columns))
    whole = named_shapes(pd.concat(tables, ignore_index=True))
    return pd.DataFrame(whole, columns=list(TUNING.columns))


def shape_stimuli(_run: ActiveRun, _planned: Sequence[LayerShapes]) -> pd.DataFrame:
    """Return the rows of every array."""
    named = rotations().rename_axis("row").reset_index()
    return pd.DataFrame(named, columns=list(STIMULI.columns))


def shape_tuning_summary(run: ActiveRun, planned: Sequence[LayerShapes]) -> pd.DataFrame:
    """Return one row per layer."""
    table = shape_tuning(run, planned)
    found = shape_summary(table, run.parts.config.seed) if len(table) else pd.DataFrame()
    return pd.DataFrame(found.assign(model=run.parts.network.name), columns=list(SUMMARY.columns))


def summary(run: ActiveRun, planned: Sequence[LayerShapes]) -> list[str]:
    """Return a line for each layer."""
    return [_line(row) for row in shape_tuning_summary(run, planned).to_dict("records")]


def _line(row: dict[Any, Any]) -> str:
    line = "shape_tuning: {layer}: {fitted} of {units} units fitted"
    if row["fitted"]:
        line += ", median APC r {median_r:.2f}, {tuned:.0%} above 0.5"
        line += " [{tuned_low:.0%}, {tuned_high:.0%}]"
    if row["moved"]:
        line += ", median translation invariance {median_invariance:.2f}"
    if row["moved"] > 1:
        line += " [{invariance_low:.2f}, {invariance_high:.2f}]"
    return line.format(**row)
