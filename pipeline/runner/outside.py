"""Processes of a run started by srun or torchrun, detected without loading torch."""

from __future__ import annotations

import hashlib
import os


def processes_outside() -> int:
    """Return the number of processes started for this run; 1 without a launcher."""
    # A batch script has Slurm's variables too, but is not a step with several tasks.
    step = os.environ.get("SLURM_STEP_NUM_TASKS") if "SLURM_PROCID" in os.environ else None
    torchrun = os.environ.get("WORLD_SIZE") if "TORCHELASTIC_RUN_ID" in os.environ else None
    return int(torchrun or step or 1)


def leads_outside() -> bool:
    """Return whether this process is the first of those started for the run."""
    return processes_outside() == 1 or os.environ.get("RANK", os.environ.get("SLURM_PROCID")) == "0"


def machines_outside() -> int:
    """Return the number of machines of this run's processes."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return processes_outside() // int(os.environ["LOCAL_WORLD_SIZE"])
    return int(os.environ.get("SLURM_STEP_NUM_NODES", "1"))


def launch_id() -> str:
    """Return an identifier shared by the processes of one launch, and unique among launches."""
    told = (
        ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT")
        if "TORCHELASTIC_RUN_ID" in os.environ
        else ("SLURM_CLUSTER_NAME", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")
    )
    text = "\n".join(os.environ.get(name, "") for name in told)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
