"""How the jobs of a sweep stand: what each said itself, and what the store holds of it."""

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
    "it is not in Slurm any more and did not say how it ended, as where memory has run out; the"
    " same submit command continues it"
)


@dataclass(frozen=True)
class JobStatus:
    """How a job stands.

    Attributes:
        state: what it said of itself, ``waiting`` if nothing yet; ``incomplete`` where results of a
            finished job have gone since, ``killed`` where it had no time to say anything.
        reason: why it failed or was stopped, if it was.
        done: files of its results that the store holds.
        items: files that its results have, as far as it has told yet.
        seen: how long ago it last wrote to its log, such as ``3 min ago``.
    """

    state: str
    reason: str
    done: int
    items: int
    seen: str


def standing(sweep: Sweep, number: int, queued: Collection[str] | None = None) -> JobStatus:
    """Return how one job of a sweep stands.

    Args:
        sweep: that it is of.
        number: which of its jobs.
        queued: the jobs of the sweep that Slurm had before; ``None`` if it does not say.
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
