"""Artificial neurophysiology: what every unit of a vision network wants to see."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.store.runs import Run as Run
    from pipeline.store.runs import open_run as open_run
    from pipeline.store.sweeps import Sweep as Sweep
    from pipeline.store.sweeps import collect as collect

# Loaded when asked for: the command line must answer before pandas is imported.
_HOMES = {
    "Run": "pipeline.store.runs",
    "Sweep": "pipeline.store.sweeps",
    "collect": "pipeline.store.sweeps",
    "open_run": "pipeline.store.runs",
}
__all__ = ["Run", "Sweep", "collect", "open_run"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pipeline' has no attribute '{name}'")
