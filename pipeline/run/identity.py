"""The settings that determine the network of a run, as plain data for keys."""

from __future__ import annotations

from pipeline.run.active_run import ActiveRun


def network_settings(run: ActiveRun) -> dict[str, str]:
    """Return the settings that determine the network: its weights and its computation."""
    parts = run.parts
    return {"weights": parts.network.digest, "network": parts.graph.digest}
