"""Frozen sweeps: jobs that are composed and checked once, and run later from that frozen state."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from pipeline.cli.jobs import Job, combinations, read_job, report
from pipeline.cli.slurm import own_id
from pipeline.config.build import typed
from pipeline.config.overrides import readable
from pipeline.config.refusals import refusal
from pipeline.config.schema import Config, register
from pipeline.config.search_path import conf_dir
from pipeline.errors import ConfigError, StoreError
from pipeline.runner.stopping import STOPPED, Stopped, listen
from pipeline.store.checksummed import DamagedError, read_document, write_document
from pipeline.store.layout import Layout, SweepPaths
from pipeline.store.provenance import code_version

log = logging.getLogger("pipeline")


@dataclass(frozen=True)
class Sweep:
    """The jobs of a sweep.

    Attributes:
        paths: files of the sweep.
        overrides: overrides of every job, in the order of their numbers.
        submitted: ids of the arrays in Slurm, the newest last.
    """

    paths: SweepPaths
    overrides: Sequence[Sequence[str]]
    submitted: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The name of its runs, and eight hexadecimal digits that identify its jobs."""
        return self.paths.folder.name


def composed(overrides: Sequence[str]) -> list[tuple[list[str], Config]]:
    """Return the jobs for some overrides, as ``-m`` would compose them, in order.

    Raises:
        ConfigError: an override is wrong.
    """
    register()
    try:
        jobs = combinations(readable(overrides, several=True))
        with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
            configs = [compose("config", [*job]) for job in jobs]
    except ConfigError:
        raise
    except Exception as error:  # Hydra's parser also raises other errors than its own
        raise ConfigError(refusal(error)) from error
    return [(job, typed(config)) for job, config in zip(jobs, configs, strict=True)]


def launcher(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the settings of ``hydra/launcher=slurm``, with overrides of Hydra's own keys.

    Raises:
        ConfigError: an override is wrong.
    """
    register()
    try:
        with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
            whole = compose(
                "config", ["hydra/launcher=slurm", *overrides], return_hydra_config=True
            )
        node = cast("DictConfig", whole.hydra.launcher)
        node.submitit_folder = ""  # refers to values that only exist while Hydra runs
        found = OmegaConf.to_container(node, resolve=True)
    except (HydraException, ValueError) as error:
        raise ConfigError(refusal(error)) from error
    return cast("dict[str, Any]", found)


def freeze(jobs: Sequence[tuple[list[str], Config]], given: Sequence[str]) -> Sweep:
    """Write every job with its resolved configuration, and the version of the code.

    The same jobs always belong to the same sweep, so jobs that finished earlier stay finished.

    Raises:
        StoreError: the files cannot be written.
    """
    sweep = find_sweep(jobs)
    for number, (overrides, config) in enumerate(jobs):
        values = asdict(config) | {"out": str(Layout(config.out).out)}
        write_document(sweep.paths.config(number), {"overrides": overrides, "config": values})
    _write_plan(sweep, given)
    return sweep


def find_sweep(jobs: Sequence[tuple[list[str], Config]]) -> Sweep:
    """Return the sweep of some jobs, whether or not it exists already.

    Raises:
        StoreError: it exists, but its files are damaged.
    """
    first = jobs[0][1]
    canonical = json.dumps([asdict(config) for _, config in jobs], sort_keys=True)
    name = f"{first.name}-{hashlib.sha256(canonical.encode()).hexdigest()[:8]}"
    paths = Layout(first.out).sweep(name)
    submitted = open_sweep(first.out, name).submitted if paths.plan.is_file() else ()
    return Sweep(paths, [overrides for overrides, _ in jobs], submitted)


def open_sweep(out: str | Path, name: str) -> Sweep:
    """Return a sweep by its name.

    Raises:
        StoreError: there is no such sweep, or its files are damaged.
    """
    layout = Layout(out)
    paths = layout.sweep(name)
    try:
        plan = read_document(paths.plan)
    except FileNotFoundError:
        known = sorted(path.parent.name for path in layout.sweeps.glob("*/sweep.json"))
        raise StoreError(
            f"sweep: there is no '{name}' in '{layout.sweeps}', which has"
            f" {', '.join(known) or 'none'}"
        ) from None
    except (OSError, DamagedError) as error:
        raise StoreError(f"sweep: '{paths.plan}' cannot be read ({error})") from error
    return Sweep(paths, plan["jobs"], plan["submitted"])


def note_submitted(sweep: Sweep, slurm: str) -> None:
    """Record the Slurm id of an array of the sweep's jobs."""
    plan = read_document(sweep.paths.plan)
    write_document(sweep.paths.plan, plan | {"submitted": [*plan["submitted"], slurm]})


class FrozenJob:
    """One job of a sweep, which submitit calls in a separate process under Slurm.

    Args:
        folder: folder of the sweep.
        number: number of the job in the sweep.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder
        self.number = number

    def __call__(self) -> None:
        """Run the job.

        Raises:
            ArtiphysError: the job fails with this message.
        """
        from pipeline.cli import share_cores
        from pipeline.cli.run import log_to_console, run

        share_cores()
        register()
        listen()
        log_to_console()
        frozen = read_document(SweepPaths(self.folder).config(self.number))
        job = Job(tuple(frozen["overrides"]), self.folder, self.number)
        say_if_code_changed(self.folder)
        try:
            with report(job):
                run(_config(frozen["config"]), job)
        except Stopped as stop:
            if str(stop) == "SIGUSR1":  # the time limit; at SIGTERM, Slurm itself requeues the job
                _requeue()
            raise SystemExit(STOPPED) from None

    def checkpoint(self) -> Any:
        """Return what submitit resubmits when the job is preempted or reaches its time limit."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def say_if_code_changed(folder: Path) -> None:
    """Warn if the code is not the version with which the sweep was frozen."""
    frozen, now = read_document(SweepPaths(folder).plan)["code"], code_version()
    if frozen["digest"] != now["digest"]:
        log.warning(
            "the code has changed since the sweep was frozen: it was %s, and is now %s; results "
            "of both are distinguished only by their result version and provenance",
            describe_code(frozen),
            describe_code(now),
        )


def describe_code(code: dict[str, Any]) -> str:
    """Return a short description of a version of the code."""
    git = code["git"] or {}
    commit = f", commit {git['commit'][:8]}" if git else ""
    dirty = " with changes" if git.get("dirty") else ""
    return f"{code['version']} ({code['digest'][:8]}{commit}{dirty})"


def unfinished(sweep: Sweep) -> list[int]:
    """Return the numbers of the jobs that have not finished."""
    count = range(len(sweep.overrides))
    return [n for n in count if read_job(sweep.paths.folder, n).get("state") != "finished"]


def _write_plan(sweep: Sweep, given: Sequence[str]) -> None:
    write_document(
        sweep.paths.plan,
        {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "overrides": list(given),
            "code": code_version(),
            "jobs": [list(job) for job in sweep.overrides],
            "submitted": list(sweep.submitted),
        },
    )


def _config(values: dict[str, Any]) -> Config:
    return cast(
        "Config", OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), values))
    )


def _requeue() -> None:
    job = own_id()
    if job and os.environ.get("SLURM_PROCID", "0") == "0":
        subprocess.run(["scontrol", "requeue", job], check=False)
