"""Responses to shapes at every position, and the tuning computed from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
from pipeline.run.identity import canvas_settings
from pipeline.search.shape_responses import (
    ShapeProtocol,
    as_color,
    read_elements,
    shape_elements,
    shape_field,
)
from pipeline.stages.shape_tuning import STAGE, STIMULI, SUMMARY, TUNING
from pipeline.stages.stage import Plan
from pipeline.stages.stored_tables import read_rows
from pipeline.stimuli.field import Field
from pipeline.stimuli.shapes import named_shapes, rotations
from pipeline.store.results import Result

BLANK = "blank"  # the item of the responses to the background alone
PLACE = "shape_tuning_fits"  # folder of the store
TABLE = "tuning"
# Units of a work item of fits: the bank of models is made again for each. It is in the key.
FITTED = 256


@dataclass(frozen=True)
class LayerShapes:
    """The responses of some units of a layer to shapes.

    Attributes:
        layer: the layer.
        units: the columns of every array, in order.
        protocol: what is shown.
        field: the canvas.
        result: an item of each position, and one of the blank.
    """

    layer: Layer
    units: Sequence[int]
    protocol: ShapeProtocol
    field: Field
    result: Result

    @property
    def positions(self) -> dict[str, float]:
        """The positions by the names of their items, in pixels to the right of the center."""
        return item_positions(self.protocol, self.field)

    def shown(self, columns: slice = slice(None)) -> ShapeResponses:
        """Read the responses of all units, or of some columns of them."""
        read = {
            item: self.result.read(item)[0]["responses"][:, columns] for item in self.result.items
        }
        blank = read.pop(BLANK)[0]
        places = np.array(list(self.positions.values()))
        responses = np.stack(list(read.values()))
        return ShapeResponses(responses, blank, places, self.protocol.width, self.field.width)

    def central(self) -> Float[np.ndarray, "shapes units"]:
        """Read the responses to the shapes at the center."""
        items = {x: item for item, x in self.positions.items()}
        return self.result.read(items[0.0])[0]["responses"]


@dataclass(frozen=True)
class LayerFits:
    """The tuning computed from these responses, which takes longer than showing the shapes.

    Attributes:
        shapes: the responses.
        elements: returns the boundary elements of the shapes.
        source: SHA-256 of the file that they were read from; empty for those of the outlines.
        shuffles: how often responses are shuffled for the null.
        seed: of the shuffles.
        result: the stored table, an item for each block of units.
    """

    shapes: LayerShapes
    elements: Callable[[], Elements]
    source: str
    shuffles: int
    seed: int
    result: Result

    @property
    def layer(self) -> Layer:
        """The layer."""
        return self.shapes.layer

    def columns(self, item: str) -> slice:
        """Return which columns of the responses an item is made of."""
        first = self.result.items.index(item) * FITTED
        return slice(first, min(first + FITTED, len(self.shapes.units)))

    def size(self, item: str) -> int:
        """Return the number of units of an item."""
        columns = self.columns(item)
        return columns.stop - columns.start

    def make(self, item: str) -> dict[str, pd.DataFrame]:
        """Compute the tuning of the units of an item."""
        columns = self.columns(item)
        units, shown = self.shapes.units[columns], self.shapes.shown(columns)
        return {TABLE: tuning(shown, self.elements(), units, self.shuffles, self.seed)}

    def read(self) -> pd.DataFrame:
        """Read the table: one row per unit."""
        return read_rows(self.result)[TABLE]


class ShapePlan(Plan[LayerShapes | LayerFits]):
    """The responses of a run to shapes, then the tables that are made of them."""

    @property
    def shapes(self) -> list[LayerShapes]:
        """The responses."""
        return [each for each in self if isinstance(each, LayerShapes)]

    @property
    def fits(self) -> list[LayerFits]:
        """The tables."""
        return [each for each in self if isinstance(each, LayerFits)]


def item_positions(protocol: ShapeProtocol, field: Field) -> dict[str, float]:
    """Return the positions by the names of their items."""
    return {f"position-{n:03d}": x for n, x in enumerate(protocol.places(field))}


def plan_shapes(run: ActiveRun) -> ShapePlan:
    """Return the responses of a run and the fits to them, one of each for each of its layers."""
    config = run.parts.config.shape_tuning
    protocol = ShapeProtocol(
        config.width,
        None if config.positions is None else tuple(map(float, config.positions)),
        as_color("shape_tuning.figure", config.figure),
        as_color("shape_tuning.background", config.background),
    )
    elements = _elements(config.elements)
    layers = [layer for layer in run.parts.layers if run.parts.units[layer.name]]
    shapes = [_layer(run, layer, protocol) for layer in layers]
    return ShapePlan([*shapes, *(_fits(run, each, *elements) for each in shapes)])


def _elements(path: str | None) -> tuple[Callable[[], Elements], str]:
    if path is None:
        return shape_elements, ""  # found on the outlines when responses are fitted
    try:
        elements, source = read_elements(path)
    except ConfigError as error:
        raise ConfigError(f"shape_tuning.{error}") from error
    return lambda: elements, source


def _layer(run: ActiveRun, layer: Layer, protocol: ShapeProtocol) -> LayerShapes:
    units = run.parts.units[layer.name]
    field = shape_field(run.parts.graph, layer, run.parts.network.preprocessing)
    positions = item_positions(protocol, field)
    settings = {
        **canvas_settings(run, layer),
        "units": list(units),
        "stimuli": "v4_shapes",  # raise the stage's version when they are drawn otherwise
        "width": protocol.width,
        "positions": list(positions.values()),
        "figure": list(protocol.figure or field.colors.white),
        "background": list(protocol.background or field.colors.gray),
    }
    result = run.result(STAGE, layer.name, layer.name, settings, [*positions, BLANK])
    return LayerShapes(layer, units, protocol, field, result)


def _fits(
    run: ActiveRun, shapes: LayerShapes, elements: Callable[[], Elements], source: str
) -> LayerFits:
    shuffles, seed = run.parts.config.shape_tuning.shuffles, run.parts.config.seed
    settings = {
        "responses": shapes.result.key,
        "elements": source,  # raise the stage's version when those of the outlines are others
        "shuffles": shuffles,
        "seed": seed if shuffles else None,
        "block": FITTED,
    }
    items = [f"block-{n:04d}" for n in range(-(-len(shapes.units) // FITTED))]
    name = f"{shapes.layer.name}/fits"
    result = run.result(STAGE, shapes.layer.name, name, settings, items, PLACE)
    return LayerFits(shapes, elements, source, shuffles, seed, result)


def color_faults(_run: ActiveRun, plan: ShapePlan) -> Iterator[str]:
    """Yield which colors do not have one value per channel."""
    for each in plan.shapes[:1]:
        channels = each.field.colors.channels
        for name in ("figure", "background"):
            color = getattr(each.protocol, name)
            if color is not None and len(color) != channels:
                yield (
                    f"shape_tuning.{name}: {list(color)} has {len(color)} values; give one per"
                    f" channel, of which the network has {channels}"
                )


def shape_tuning(run: ActiveRun, plan: ShapePlan) -> pd.DataFrame:
    """Return one row per layer and unit."""
    name = run.parts.network.name
    tables = [each.read().assign(model=name, layer=each.layer.name) for each in plan.fits]
    if not tables:
        return pd.DataFrame(columns=list(TUNING.columns))
    whole = named_shapes(pd.concat(tables, ignore_index=True))
    return pd.DataFrame(whole, columns=list(TUNING.columns))


def shape_stimuli(_run: ActiveRun, _plan: ShapePlan) -> pd.DataFrame:
    """Return the rows of every array."""
    named = rotations().rename_axis("row").reset_index()
    return pd.DataFrame(named, columns=list(STIMULI.columns))


def shape_tuning_summary(run: ActiveRun, plan: ShapePlan) -> pd.DataFrame:
    """Return one row per layer."""
    table = shape_tuning(run, plan)
    found = shape_summary(table, run.parts.config.seed) if len(table) else pd.DataFrame()
    return pd.DataFrame(found.assign(model=run.parts.network.name), columns=list(SUMMARY.columns))


def summary(run: ActiveRun, plan: ShapePlan) -> list[str]:
    """Return a line for each layer."""
    return [_line(row) for row in shape_tuning_summary(run, plan).to_dict("records")]


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
