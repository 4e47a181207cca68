"""The status of a sweep's jobs: what each reported, and what the store holds."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pipeline.cli.frozen import Sweep
from pipeline.cli.jobs import read_job
from pipeline.store.layout import RunPaths
from pipeline.store.records import recorded_files

UNDER_WAY = ("starting", "running")
KILLED = "killed"
_GONE = (
    "it is no longer in Slurm and did not report how it ended, for example because it ran out "
    "of memory; the same submit command continues it"
)


@dataclass(frozen=True)
class JobStatus:
    """The status of a job.

    Attributes:
        state: its last reported state, or ``waiting`` if there is none; ``incomplete`` if results
            of a finished job have since disappeared, ``killed`` if it ended without a report.
        reason: why it failed or was stopped, if so.
        done: number of its result files in the store.
        items: total number of its result files, as far as reported.
        seen: time since it last wrote to its log, such as ``3 min ago``.
    """

    state: str
    reason: str
    done: int
    items: int
    seen: str


def standing(sweep: Sweep, number: int, queued: Collection[str] | None = None) -> JobStatus:
    """Return the status of one job of a sweep.

    Args:
        sweep: sweep of the job.
        number: which of its jobs.
        queued: jobs of the sweep in Slurm's queue; ``None`` if Slurm does not answer.
    """
    job = read_job(sweep.paths.folder, number)
    if queued is not None and job.get("state") in UNDER_WAY:
        known = job.get("slurm")
        if (known is not None and known not in queued) or not queued:
            job |= {"state": KILLED, "reason": _GONE}
    if "run" not in job:
        return JobStatus(job.get("state", "waiting"), job.get("reason", ""), 0, 0, "")
    paths = RunPaths((sweep.paths.folder / job["run"]).resolve())
    try:
        files = recorded_files(paths)
    except (OSError, ValueError, KeyError):  # the run has just begun
        files = []
    done = sum(file.is_file() for file in files)
    state = job["state"]
    if state == "finished" and done < len(files):
        state = "incomplete"
    return JobStatus(state, job.get("reason", ""), done, len(files), _age(paths.log))


def _age(log: Path) -> str:
    try:
        seconds = time.time() - log.stat().st_mtime
    except OSError:
        return ""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
