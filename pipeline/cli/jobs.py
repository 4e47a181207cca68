"""Jobs: one run each, alone or of a sweep, and what became of them."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from pipeline.config.schema import Config
from pipeline.errors import ArtiphysError
from pipeline.runner.outside import leads_outside
from pipeline.runner.stopping import Stopped
from pipeline.store.layout import SweepPaths

_WITHOUT_EFFECT = ("out", "runner", "tracking")


@dataclass(frozen=True)
class Job:
    """Where a run belongs.

    Attributes:
        overrides: what was given on the command line.
        sweep: folder of the sweep that it is a job of, if it is.
        number: which of its jobs, from 0.
    """

    overrides: tuple[str, ...] = ()
    sweep: Path | None = None
    number: int = 0

    def group(self, config: Config) -> str | None:
        """Return the name that the runs of a sweep share in tracking: the name of the runs."""
        return config.name if self.sweep is not None else None

    def identity(self, config: Config) -> str:
        """Return a name for tracking that the job keeps when it is run again.

        It follows from what the run computes, under which name: so a job that is requeued, or given
        again, goes on with its own tracked run.
        """
        values = {key: v for key, v in asdict(config).items() if key not in _WITHOUT_EFFECT}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

    def facts(self, config: Config) -> dict[str, Any]:
        """Return what the record of the run says of it."""
        group = self.group(config)
        sweep = {"group": group, "job": self.number} if group is not None else {}
        return {"overrides": list(self.overrides), **sweep}

    def ran(self, folder: Path) -> None:
        """Note the folder of the run that does the job."""
        if self.sweep is not None:
            self._note("running", run=os.path.relpath(folder, self.sweep))

    def ended(self, state: str, reason: str = "") -> None:
        """Note how the job ended."""
        if self.sweep is not None:
            self._note(state, reason=reason)

    def _note(self, state: str, **more: str) -> None:
        from pipeline.store.sealed import write_document

        if self.sweep is None or not leads_outside():
            return
        known = read_job(self.sweep, self.number)
        write_document(
            SweepPaths(self.sweep).job(self.number),
            {"overrides": list(self.overrides), **known, "state": state, "reason": "", **more},
        )


ALONE = Job()


def read_job(sweep: Path, number: int) -> dict[str, Any]:
    """Return what is known of a job: overrides, state, reason and run; nothing if it never ran."""
    from pipeline.store.sealed import DamagedError, read_document

    with suppress(OSError, DamagedError):
        return read_document(SweepPaths(sweep).job(number))
    return {}


def hydra_job() -> Job:
    """Return the job that Hydra runs."""
    if not HydraConfig.initialized():
        return Job()
    hydra = HydraConfig.get()
    overrides = tuple(hydra.overrides.task)
    if hydra.mode is not RunMode.MULTIRUN:
        return Job(overrides)
    return Job(overrides, Path(hydra.sweep.dir).absolute(), int(hydra.job.num))


_sweeps: list[Path] = []  # that this process has begun


class RememberSweep(Callback):
    """Lets ``summarize`` know which sweep Hydra begins; named in ``hydra.callbacks``."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Note the folder of the sweep."""
        _sweeps.append(Path(str(config.hydra.sweep.dir)).absolute())


def summarize() -> int:
    """Say how the jobs of the sweeps of this process ended; return how many did not finish."""
    failed = 0
    for sweep in _sweeps:
        numbers = sorted(int(path.stem) for path in SweepPaths(sweep).jobs.glob("*.json"))
        jobs = {number: read_job(sweep, number) for number in numbers}
        bad = {number: job for number, job in jobs.items() if job.get("state") != "finished"}
        failed += len(bad)
        lines = [f"sweep: {len(jobs) - len(bad)} of {len(jobs)} jobs finished"]
        own = dict(
            zip(jobs, own_settings([job["overrides"] for job in jobs.values()]), strict=True)
        )
        for number, job in bad.items():
            said = f": {job['reason']}" if job["reason"] else ""
            lines.append(f"  job {number} ({own[number]}) {job['state']}{said}")
        if bad:
            lines.append("the same command runs only what is missing")
        sys.stdout.write("\n".join(lines) + "\n")
    return failed


def own_settings(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Return for every job of a sweep what only some of its jobs were given, as one text."""
    common = set[str].intersection(*map(set, jobs)) if len(jobs) > 1 else set[str]()
    return [" ".join(given for given in job if given not in common) for job in jobs]


@contextmanager
def report(job: Job) -> Generator[None]:
    """Note how a job ends, also when it fails."""
    try:
        yield
    except (KeyboardInterrupt, Stopped):
        job.ended("stopped", "it was told to stop")
        raise
    except ArtiphysError as error:
        job.ended("failed", str(error))
        raise
    except Exception as error:
        job.ended("failed", f"{type(error).__name__}: {error}")
        raise
    job.ended("finished")
