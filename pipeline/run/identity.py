"""The settings that determine the network of a run, as plain data for keys."""

from __future__ import annotations

from typing import Any

from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.store.identity import described


def network_settings(run: ActiveRun) -> dict[str, Any]:
    """Return the settings that determine the network: its weights and its computation.

    Its code is not among them, unless a part of it could not be traced: what that computes may
    depend on the function that made the network, and on its arguments.

    Raises:
        ConfigError: a part could not be traced, and its code cannot be found.
    """
    parts, model = run.parts, run.parts.config.model
    settings = {"weights": parts.network.digest, "network": parts.graph.digest}
    if parts.graph.identity.has_own_code:
        return {**settings, "model": described(model, parts.network.digest)}
    return settings


def canvas_settings(run: ActiveRun, layer: Layer) -> dict[str, Any]:
    """Return the settings that determine how a layer responds to what fills its canvas.

    The canvas is among them because the network alone does not determine it: a layer behind a
    global operation sees the whole image, however large it is.
    """
    canvas = run.parts.canvas(layer)
    shown = [*canvas.size, *canvas.position, *canvas.box]
    return {**network_settings(run), "layer": layer.identity, "canvas": shown}
