"""Results of exports: the network up to each layer as ONNX, in the store and as files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.networks.layers import Layer
from pipeline.networks.onnx.network import OnnxNetwork
from pipeline.run.active_run import ActiveRun
from pipeline.run.identity import network_settings
from pipeline.stages.export import STAGE
from pipeline.stages.stage import Plan
from pipeline.store.results import Result

FILES = ("forward", "gradient")
ITEMS = ("network",)


@dataclass(frozen=True)
class Export:
    """The exported network up to one layer."""

    layer: Layer
    result: Result


def plan_exports(run: ActiveRun) -> Plan[Export]:
    """Return the exports of a run, one for each of its layers."""
    return Plan(_export(run, layer) for layer in run.parts.layers)


def exported_network(run: ActiveRun, layer: Layer) -> OnnxNetwork | None:
    """Return the network up to a layer if the store holds it."""
    result = next(each.result for each in run.plan(STAGE) if each.layer.name == layer.name)
    return None if result.missing() else read_network(result)


def _export(run: ActiveRun, layer: Layer) -> Export:
    canvas = run.parts.canvas(layer)
    settings = {
        **network_settings(run),
        "layer": layer.identity,
        "canvas": [*canvas.size, *canvas.position, *canvas.box],
    }
    return Export(layer, run.result(STAGE, layer.name, layer.name, settings, ITEMS))


def write_network(result: Result, network: OnnxNetwork) -> None:
    """Write the network up to a layer to the store."""
    arrays = {name: np.frombuffer(getattr(network, name), np.uint8) for name in FILES}
    notes = {
        "units": network.units,
        "size": list(network.size),
        "deviations": network.deviations,
    }
    result.write("network", arrays, notes)


def read_network(result: Result) -> OnnxNetwork:
    """Return the network up to a layer.

    Raises:
        StoreError: it has not been exported, or is damaged.
    """
    arrays, notes = result.read("network")
    height, width = notes["size"]
    forward, gradient = (arrays[name].tobytes() for name in FILES)
    return OnnxNetwork(forward, gradient, notes["units"], (height, width), notes["deviations"])


def meaning(run: ActiveRun, layer: Layer, network: OnnxNetwork) -> dict[str, Any]:
    """Return the description of a layer's files as plain data."""
    parts, plan = run.parts, run.parts.canvas(layer)
    height, width = network.size
    preprocessing = parts.network.preprocessing
    channels = preprocessing.channels
    per = "channel (RGB)" if channels == 3 else "channel"
    return {
        "model": parts.network.name,
        "weights": {"source": parts.network.weights, "sha256": parts.network.digest},
        "layer": layer.name,
        "module": layer.call,
        "units": network.units,
        "receptive_field": {"height": height, "width": width},
        "canvas": {"size": list(plan.size), "position": list(plan.position)},
        "preprocessing": {
            **preprocessing.settings(),
            "formula": f"images = (pixels - mean) / std per {per}, pixels in 0..1",
        },
        "forward": {
            "inputs": {"images": ["float32", [1, channels, height, width]]},
            "outputs": {"responses": ["float32", [1, network.units]]},
        },
        "gradient": {
            "inputs": {"images": ["float32", [1, channels, height, width]], "unit": ["int64", [1]]},
            "outputs": {
                "responses": ["float32", [1, network.units]],
                "response": ["float32", [1]],
                "gradient": ["float32", [1, channels, height, width]],
            },
        },
        "response": "of each unit to an image of exactly its receptive field, before any"
        " nonlinearity that follows the layer",
        "deviations_from_pytorch": network.deviations,
    }


def as_json(document: dict[str, Any]) -> bytes:
    """Return a document as indented JSON."""
    return (json.dumps(document, indent=2) + "\n").encode()
