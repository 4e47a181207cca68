"""Processes that srun or torchrun has started for a run; known without loading torch."""

from __future__ import annotations

import os


def processes_outside() -> int:
    """Return how many processes have been started for this run; 1 where nothing started more."""
    # A batch script has Slurm's variables too, but is no step of several tasks.
    step = os.environ.get("SLURM_STEP_NUM_TASKS") if "SLURM_PROCID" in os.environ else None
    torchrun = os.environ.get("WORLD_SIZE") if "TORCHELASTIC_RUN_ID" in os.environ else None
    return int(torchrun or step or 1)


def leads_outside() -> bool:
    """Say whether this process is the first of those that have been started for a run."""
    return processes_outside() == 1 or os.environ.get("RANK", os.environ.get("SLURM_PROCID")) == "0"
