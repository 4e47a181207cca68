"""Artificial neurophysiology: what every unit of a vision network wants to see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.store.runs import Run as Run
    from pipeline.store.runs import open_run as open_run

__all__ = ["Run", "open_run"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the command line must answer before pandas is imported.
    if name in __all__:
        from pipeline.store import runs

        return getattr(runs, name)
    raise AttributeError(f"module 'pipeline' has no attribute '{name}'")
