"""Results of the responses stage: an array per layer, and tables that describe its axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.identity import network_settings
from pipeline.run.image_blocks import image_blocks
from pipeline.stages.responses import IMAGES, STAGE, UNITS
from pipeline.stages.stage import Plan
from pipeline.store.results import Result


@dataclass(frozen=True)
class LayerResponses:
    """The responses of some units of a layer to all images.

    Attributes:
        layer: the layer.
        units: units of the columns, in order.
        result: the stored result, each item of which is a block of images.
    """

    layer: Layer
    units: Sequence[int]
    result: Result


def plan_responses(run: ActiveRun) -> Plan[LayerResponses]:
    """Return the response arrays of a run, one for each of its layers."""
    return Plan(_layer(run, layer) for layer in run.parts.layers if run.parts.units[layer.name])


def _layer(run: ActiveRun, layer: Layer) -> LayerResponses:
    config, units = run.parts.config.responses, run.parts.units[layer.name]
    blocks = image_blocks(run)
    settings = {
        **network_settings(run),
        "layer": layer.identity,
        "units": units,
        "images": dict(run.images.settings),
        "at": config.at,
        "dtype": config.dtype,
        "batch_size": run.parts.config.search.batch_size,
        "block": len(blocks["block-0000"]),
    }
    result = run.result(STAGE, layer.name, layer.name, settings, list(blocks))
    return LayerResponses(layer, units, result)


def response_images(run: ActiveRun, planned: Sequence[LayerResponses]) -> pd.DataFrame:
    """Return the table that describes the rows of all arrays."""
    names = run.images.names
    unreadable = read_unreadable(planned)
    table = {
        "row": range(len(names)),
        "image": list(names),
        "read": [name not in unreadable for name in names],
    }
    return pd.DataFrame(table, columns=list(IMAGES.columns))


def response_units(run: ActiveRun, planned: Sequence[LayerResponses]) -> pd.DataFrame:
    """Return the table that describes the columns of every array."""
    rows = [
        (run.parts.network.name, each.layer.name, column, unit)
        for each in planned
        for column, unit in enumerate(each.units)
    ]
    return pd.DataFrame(rows, columns=list(UNITS.columns))


def read_unreadable(planned: Sequence[LayerResponses]) -> dict[str, str]:
    """Return the images that could not be read, with the reasons."""
    unreadable: dict[str, str] = {}
    for each in planned[:1]:  # the images are the same for all layers
        for item in each.result.items:
            unreadable.update(each.result.read(item, ())[1]["unreadable"])
    return unreadable
