"""The settings that determine the network of a run, as plain data for keys."""

from __future__ import annotations

from typing import Any

from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun


def network_settings(run: ActiveRun) -> dict[str, str]:
    """Return the settings that determine the network: its weights and its computation."""
    parts = run.parts
    return {"weights": parts.network.digest, "network": parts.graph.digest}


def canvas_settings(run: ActiveRun, layer: Layer) -> dict[str, Any]:
    """Return the settings that determine how a layer responds to what fills its canvas.

    The canvas is among them because the network alone does not determine it: a layer behind a
    global operation sees the whole image, however large it is.
    """
    canvas = run.parts.canvas(layer)
    shown = [*canvas.size, *canvas.position, *canvas.box]
    return {**network_settings(run), "layer": layer.call, "canvas": shown}
