"""Jobs: one run each, single or in a sweep, and how they ended."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, cast

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, read_write

from pipeline.cli.output import say
from pipeline.cli.slurm import own_id
from pipeline.config.overrides import quoted
from pipeline.config.schema import CHECK, DEFAULT_STAGES, Config
from pipeline.errors import ArtiphysError, ConfigError
from pipeline.runner.outside import leads_outside
from pipeline.runner.stopping import Stopped
from pipeline.store.identity import Effect, with_effect
from pipeline.store.layout import SweepPaths


@dataclass(frozen=True)
class Job:
    """The job that a run belongs to.

    Attributes:
        overrides: overrides from the command line.
        sweep: folder of the sweep that it belongs to, if any.
        number: number of the job in the sweep, from 0.
    """

    overrides: tuple[str, ...] = ()
    sweep: Path | None = None
    number: int = 0

    def group(self, config: Config) -> str | None:
        """Return the name that the runs of a sweep share in tracking, which is their run name."""
        return config.name if self.sweep is not None else None

    def identity(self, config: Config) -> str:
        """Return a name for tracking that stays the same when the job is run again.

        It depends only on the configuration and the name of the run, so a job that is requeued or
        repeated continues the same tracked run.
        """
        values = with_effect(asdict(config), Effect.NUMBERS, Effect.FILES, Effect.NAME)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

    def facts(self, config: Config) -> dict[str, Any]:
        """Return the entries about the job for the record of the run."""
        group = self.group(config)
        sweep = {"group": group, "job": self.number} if group is not None else {}
        return {"overrides": list(self.overrides), "tracked_as": self.identity(config), **sweep}

    def began(self) -> None:
        """Record that the job has begun; its run begins once the configuration is checked."""
        if self.sweep is not None:
            known = own_id()
            self._note("starting", **({"slurm": known} if known else {}))

    def ran(self, folder: Path) -> None:
        """Record the folder of the job's run."""
        if self.sweep is not None:
            self._note("running", run=os.path.relpath(folder, self.sweep))

    def ended(self, state: str, reason: str = "") -> None:
        """Record how the job ended."""
        if self.sweep is not None:
            self._note(state, reason=reason)

    def _note(self, state: str, **more: str) -> None:
        from pipeline.store.checksummed import write_document

        if self.sweep is None or not leads_outside():
            return
        known = read_job(self.sweep, self.number)
        write_document(
            SweepPaths(self.sweep).job(self.number),
            {"overrides": list(self.overrides), **known, "state": state, "reason": "", **more},
        )


ALONE = Job()


def read_job(sweep: Path, number: int) -> dict[str, Any]:
    """Return the recorded overrides, state, reason and run of a job; empty if it never ran."""
    from pipeline.store.checksummed import DamagedError, read_document

    with suppress(OSError, DamagedError):
        return read_document(SweepPaths(sweep).job(number))
    return {}


def hydra_job() -> Job:
    """Return the job that Hydra runs."""
    if not HydraConfig.initialized():
        return Job()
    hydra = HydraConfig.get()
    overrides = tuple(given_overrides())
    if hydra.mode is not RunMode.MULTIRUN:
        return Job(overrides)
    return Job(overrides, Path(hydra.sweep.dir).absolute(), int(hydra.job.num))


def given_overrides() -> list[str]:
    """Return the overrides of Hydra's job as they were given, with references unresolved."""
    return cast("list[str]", OmegaConf.to_container(HydraConfig.get().overrides.task))


def otherwise_run() -> list[str]:
    """Return the stages that Hydra's job would run without the override ``stages=[check]``."""
    if not HydraConfig.initialized() or not GlobalHydra.instance().is_initialized():
        return list(DEFAULT_STAGES)
    others = [o for o in given_overrides() if o.lstrip("+").partition("=")[0] != "stages"]
    whole = compose(HydraConfig.get().job.config_name, others)
    return [stage for stage in whole.stages if stage != CHECK] or list(DEFAULT_STAGES)


_sweeps: list[tuple[Path, int]] = []  # sweeps begun by this process, with the number of jobs


class RememberSweep(Callback):
    """Records for ``summarize`` which sweep Hydra begins; configured in ``hydra.callbacks``."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Create and record a new folder for the sweep, so that no other command writes to it."""
        jobs = combinations(list(config.hydra.overrides.task))
        folder = _new_folder(Path(str(config.hydra.sweep.dir)).expanduser().absolute())
        with read_write(config):
            config.hydra.sweep.dir = str(folder)
            # The configuration is composed again for every job.
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(str(folder))}")
        _sweeps.append((folder, len(jobs)))


def _new_folder(wanted: Path) -> Path:
    """Create a folder; if it exists already, append a number to its name."""
    for suffix in ("", *(f"_{number}" for number in range(2, 10_000))):
        folder = wanted.with_name(wanted.name + suffix)
        with suppress(OSError):  # an error here is reported at the first write into the folder
            folder.mkdir(parents=True)
            return folder
        if not folder.is_dir():
            break
    return wanted


def summarize() -> int:
    """Print how the jobs of this process's sweeps ended; return how many did not finish."""
    failed = 0
    for sweep, total in _sweeps:
        if _left_empty(sweep):  # a setting was refused before any job began
            failed += total
            continue
        numbers = sorted(int(path.stem) for path in SweepPaths(sweep).jobs.glob("[0-9]*.json"))
        jobs = {number: read_job(sweep, number) for number in numbers}
        bad = {number: job for number, job in jobs.items() if job.get("state") != "finished"}
        failed += total - len(jobs) + len(bad)
        lines = [f"sweep: {len(jobs) - len(bad)} of {total} jobs finished"]
        own = dict(
            zip(
                jobs, own_settings([job.get("overrides", []) for job in jobs.values()]), strict=True
            )
        )
        for number, job in bad.items():
            said = f": {job['reason']}" if job.get("reason") else ""
            state = job.get("state", "left a damaged record")
            lines.append(f"  job {number} ({own[number]}) {state}{said}")
        if len(jobs) < total:
            lines.append(f"  {total - len(jobs)} not begun")
        if len(jobs) < total or bad:
            lines.append("the same command runs only what is missing")
        say("\n".join(lines))
    return failed


def _left_empty(sweep: Path) -> bool:
    """Delete a sweep's folder, and those around it, unless jobs wrote there; return whether so."""
    with suppress(OSError):
        if [each.name for each in sweep.iterdir()] == ["multirun.yaml"]:  # Hydra's
            (sweep / "multirun.yaml").unlink()
        for folder in (sweep, *list(sweep.parents)[:2]):  # sweeps, and the folder of all results
            folder.rmdir()
    return not sweep.exists()


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of every job: all combinations of the swept values.

    Raises:
        ConfigError: anything other than lists, choices and ranges is swept.
    """
    choices: dict[str, list[str]] = {}
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.get_key_element()
        if not override.is_sweep_override():
            choices[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            raise ConfigError(f"{key}: only lists, choices and ranges can be swept")
    return [list(job) for job in product(*choices.values())]


def own_settings(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Return for every job of a sweep the overrides that not all jobs share, as one text."""
    common = set[str].intersection(*map(set, jobs)) if len(jobs) > 1 else set[str]()
    return [" ".join(given for given in job if given not in common) for job in jobs]


@contextmanager
def report(job: Job) -> Generator[None]:
    """Record how a job ends, even if it fails."""
    job.began()
    try:
        yield
    except KeyboardInterrupt:
        job.ended("stopped", "it was interrupted")
        raise
    except Stopped as stop:
        job.ended("stopped", f"it was stopped by {stop}")
        raise
    except ArtiphysError as error:
        job.ended("failed", str(error))
        raise
    except Exception as error:
        job.ended("failed", f"{type(error).__name__}: {error}")
        raise
    job.ended("finished")
