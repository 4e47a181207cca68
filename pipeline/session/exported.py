"""What exports leave: every layer's network as ONNX, in the store and as files."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pipeline.networks.layers import Layer
from pipeline.networks.onnx.network import OnnxNetwork
from pipeline.session.searched import settings_of_network
from pipeline.session.session import Session
from pipeline.store.results import Result

FILES = ("forward", "gradient")
ITEMS = ("network",)
VERSION = 1  # raised whenever networks are written in another way


def onnx_result(session: Session, layer: Layer) -> Result:
    """Return the place of one layer's network."""
    return session.result("export", layer.name, layer.name, _settings(session, layer), ITEMS)


def exported_network(session: Session, layer: Layer) -> OnnxNetwork | None:
    """Return a layer's network if the store holds it, which a run need not ask for."""
    found = session.find("export", layer.name, _settings(session, layer), ITEMS)
    return None if found.missing() else read_network(onnx_result(session, layer))


def _settings(session: Session, layer: Layer) -> dict[str, Any]:
    plan = session.parts.canvas(layer)
    return {
        **settings_of_network(session),
        "layer": layer.call,
        "canvas": [*plan.size, *plan.position, *plan.box],
        "version": VERSION,
    }


def write_network(result: Result, network: OnnxNetwork) -> None:
    """Write a layer's network to the store."""
    arrays = {name: np.frombuffer(getattr(network, name), np.uint8) for name in FILES}
    notes = {
        "units": network.units,
        "size": list(network.size),
        "deviations": network.deviations,
    }
    result.write("network", arrays, notes)


def read_network(result: Result) -> OnnxNetwork:
    """Return a layer's network.

    Raises:
        StoreError: it has not been exported, or is damaged.
    """
    arrays, notes = result.read("network")
    height, width = notes["size"]
    forward, gradient = (arrays[name].tobytes() for name in FILES)
    return OnnxNetwork(forward, gradient, notes["units"], (height, width), notes["deviations"])


def meaning(session: Session, layer: Layer, network: OnnxNetwork) -> dict[str, Any]:
    """Return what the files of a layer mean, as plain data."""
    parts, plan = session.parts, session.parts.canvas(layer)
    height, width = network.size
    preprocessing = parts.network.preprocessing
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
            "formula": "images = (pixels - mean) / std per channel (RGB), pixels in 0..1",
        },
        "forward": {
            "inputs": {"images": ["float32", [1, 3, height, width]]},
            "outputs": {"responses": ["float32", [1, network.units]]},
        },
        "gradient": {
            "inputs": {"images": ["float32", [1, 3, height, width]], "unit": ["int64", [1]]},
            "outputs": {
                "responses": ["float32", [1, network.units]],
                "response": ["float32", [1]],
                "gradient": ["float32", [1, 3, height, width]],
            },
        },
        "response": "of each unit to an image of exactly its receptive field, before any"
        " nonlinearity that follows the layer",
        "deviations_from_pytorch": network.deviations,
    }


def as_json(document: dict[str, Any]) -> bytes:
    """Return a document as indented JSON."""
    return (json.dumps(document, indent=2) + "\n").encode()
