"""Queries and commands to Slurm about the jobs of a sweep; a missing answer is an error."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from pipeline.errors import ConfigError, StoreError

FORGOTTEN = "Invalid job id"  # squeue's message for a job that ended some time ago


def in_queue(arrays: Sequence[str]) -> list[str]:
    """Return the ids of waiting or running jobs in Slurm, such as ``77_3``.

    Args:
        arrays: ids of the job arrays.

    Raises:
        StoreError: Slurm does not answer.
    """
    return [job for array in arrays for job in _queued(array)]


def cancel(jobs: Sequence[str]) -> None:
    """Cancel the arrays of some jobs in Slurm.

    Raises:
        ConfigError: Slurm reports an error.
    """
    arrays = dict.fromkeys(job.partition("_")[0] for job in jobs)
    try:
        subprocess.run(["scancel", *arrays], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = _conclusion(getattr(error, "stderr", "")) or str(error)
        raise ConfigError(f"sweep: scancel failed ({reason})") from error


def own_id() -> str | None:
    """Return the id of this process's job, if Slurm started it."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK"))
    return f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")


def _queued(array: str) -> list[str]:
    command = ["squeue", "--noheader", "--array", "--format=%i", "--jobs", array]
    # Slurm's environment variables could hide jobs.
    environment = {name: v for name, v in os.environ.items() if not name.startswith("SQUEUE_")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    except OSError as error:
        raise _unknown(error.strerror or str(error)) from error
    if done.returncode == 0:
        return done.stdout.split()
    if FORGOTTEN in done.stderr:
        return []
    raise _unknown(_conclusion(done.stderr) or f"exit code {done.returncode}")


def _conclusion(said: str) -> str:
    """Return the last line of a Slurm command's output, which states the error."""
    return (said.strip().splitlines() or [""])[-1]


def _unknown(reason: str) -> StoreError:
    return StoreError(
        f"sweep: squeue failed ({reason}), so it is unknown whether jobs still wait or run; try "
        "again when Slurm answers, on a machine that has it"
    )
