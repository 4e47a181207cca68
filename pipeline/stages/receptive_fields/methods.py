"""Methods that need no stimulus set: from the top and bottom patches of units, or from noise."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from pipeline.run.active_run import ActiveRun

METHODS: tuple[str, ...] = ()
NEED_PATCHES: tuple[str, ...] = ()


@dataclass(frozen=True)
class MethodBlock:
    """A work item: some units of a layer.

    Attributes:
        of: the maps.
        item: name of the item.
    """

    of: Any
    item: str


class MethodWork:
    """Blocks of units as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun) -> None:
        self.active = run
        self.building = threading.Lock()
