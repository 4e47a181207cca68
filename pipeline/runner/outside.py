"""Processes that srun or torchrun has started for a run; known without loading torch."""

from __future__ import annotations

import hashlib
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


def machines_outside() -> int:
    """Return on how many machines the processes of this run have been started."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return processes_outside() // int(os.environ["LOCAL_WORLD_SIZE"])
    return int(os.environ.get("SLURM_STEP_NUM_NODES", "1"))


def launch_id() -> str:
    """Return what the processes of one launch share, and no other launch at the same time has."""
    told = (
        ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT")
        if "TORCHELASTIC_RUN_ID" in os.environ
        else ("SLURM_CLUSTER_NAME", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")
    )
    text = "\n".join(os.environ.get(name, "") for name in told)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
