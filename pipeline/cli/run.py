"""One run: check the configuration, run the chosen stages in order, keep the record."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import OmegaConf

from pipeline.cli.jobs import ALONE, Job
from pipeline.cli.log import log_to_console, log_to_file, tell_places
from pipeline.config.build import build
from pipeline.config.schema import CHECK, DEFAULT_STAGES, Config
from pipeline.errors import ConfigError
from pipeline.runner.outside import leads_outside, processes_outside
from pipeline.runner.stopping import Stopped, check_stopped
from pipeline.stages.catalog import (
    all_stages,
    asks_network,
    chosen_stages,
    own_code,
    own_faults,
    stage_faults,
    stage_versions,
)
from pipeline.stages.stage import Stage, naming
from pipeline.store.secrets import without_queries

if TYPE_CHECKING:
    from pipeline.run.active_run import ActiveRun
    from pipeline.run.parts import Parts
    from pipeline.runner.runner import Runner

log = logging.getLogger("pipeline")
Stages = Sequence[Stage[Any]]


def run(
    config: Config,
    job: Job = ALONE,
    otherwise: Callable[[], list[str]] = lambda: list(DEFAULT_STAGES),
) -> None:
    """Check a configuration and run its stages, or reuse a finished run of the same configuration.

    Args:
        config: what to run.
        job: job that the run belongs to.
        otherwise: returns the stages that are checked where the check alone is chosen.

    Raises:
        ArtiphysError: as in ``run_anew``.
    """
    log_to_console(leads_outside())
    from pipeline.config.checks import check_values

    if CHECK in config.stages:
        from pipeline.cli.check import check

        config = check(config, otherwise)
        if not config.stages:
            return
    check_values(config)
    _check_own(config)

    from pipeline.cli.repeat import answer
    from pipeline.run.repeats import find_finished
    from pipeline.store.layout import Layout

    layout = Layout(config.out)
    key = run_fingerprint(config)
    # Each of several processes would answer; they quickly find all results in the store instead.
    former = find_finished(layout, key) if processes_outside() == 1 else None
    if former is not None and answer(config, job, layout, former):
        return

    build(config.runner, "runner").launch(_in_process, config, job, key, place=layout.out)


def _check_own(config: Config) -> None:
    """Reject no stages, unknown ones, and settings of the user's stages that are not chosen."""
    if not config.stages:
        raise ConfigError(next(iter(stage_faults([]))))
    for fault in own_faults(config):
        raise ConfigError(fault)


def run_fingerprint(config: Config) -> str:
    """Return a digest of everything that a run depends on."""
    from pipeline.run.repeats import fingerprint

    named = any(stage.shows_name for stage in chosen_stages(config.stages))
    return fingerprint(config, own_code(config.stages), named=named)


def _in_process(runner: Runner, config: Config, job: Job, key: str) -> int:
    """Run the stages in one of the processes of a run."""
    from pipeline.run.repeats import known_by_files, remember

    log_to_console(runner.ranks.leads)
    finished = run_anew(config, runner, job)
    repeatable = all(stage.repeats for stage in chosen_stages(config.stages))
    if finished.leads and repeatable and known_by_files(asdict(config)):
        remember(finished.layout, key, finished.paths)
    return 0


def run_anew(config: Config, runner: Runner | None = None, job: Job = ALONE) -> ActiveRun:
    """Check a configuration, run its stages and return the finished run.

    Args:
        config: what to run; results in the store are not computed again.
        runner: runner of this process; a single process by default.
        job: job that the run belongs to.

    Raises:
        ArtiphysError: bad input; if it was found before work started, nothing has been written.
    """
    log_to_console()
    from pipeline.config.checks import check_values
    from pipeline.run.active_run import ActiveRun
    from pipeline.run.parts import Parts
    from pipeline.store.format import check_format, mark_format
    from pipeline.store.layout import Layout, RunPaths

    stages = chosen_stages(config.stages)
    check_values(config)
    _check_own(config)
    if runner is None:
        runner = cast("Runner", build(config.runner, "runner").here())
    parts, layout = Parts(config, runner), Layout(config.out)
    check_format(layout)
    with runner.ranks.leader_first():  # the other processes find the downloaded files
        _check_parts(parts, asks_network(config.stages))
    active = ActiveRun.planned(parts, layout, own_code(config.stages))
    if asks_network(config.stages):
        # All processes at once: a single one that came later would wait for the others forever.
        _ = active.images
    _check_stages(active, stages)
    leads = runner.ranks.leads
    made = layout.new_run(config.name, datetime.now()).folder if leads else Path()
    active.paths = paths = RunPaths(Path(runner.ranks.broadcast(str(made))))
    with log_to_file(paths.log if leads else paths.folder / f"log.{runner.ranks.rank}"):
        if leads:
            _start_tracking(active, stages, job)
            mark_format(layout, stage_versions(()))
            job.ran(paths.folder)
        active.facts |= job.facts(config)
        _run_stages(active, stages)
    return active


def _check_parts(parts: Parts, network: bool) -> None:
    """Build everything that the stages need, so that bad input is found before work starts."""
    from pipeline.run.faults import Faults
    from pipeline.run.inspection import inspect, inspect_settings, precision_faults

    faults = Faults()
    inspect_settings(parts, faults, network=network)
    faults.raise_first()  # before weights are read and images listed
    found = inspect(parts, faults, network=network)
    faults.add(precision_faults(parts.config.precision, parts.runner.device.type))
    faults.raise_first()
    for note in found.notes:
        log.warning("%s", note)


def _check_stages(active: ActiveRun, stages: Stages) -> None:
    """Plan the stages, and reject faults and results too large for the disk."""
    from pipeline.run.faults import Faults
    from pipeline.run.room import check_disk

    faults, missing = Faults(), 0
    for stage in stages:
        with naming(stage):
            plan = active.plan(stage)
            faults.add(stage.check(active, plan))
        faults.raise_first()
        missing += stage.cost(active, plan, None).missing
        active.enlist(plan.results)
    check_disk(active.layout.out, missing)


def _start_tracking(active: ActiveRun, stages: Stages, job: Job) -> None:
    from pipeline.errors import ArtiphysError
    from pipeline.store.files import watch, write_bytes

    parts, config, paths = active.parts, active.parts.config, active.paths
    groups = [job.group(config), *(stage.group(active.plan(stage)) for stage in stages)]
    group = next((group for group in groups if group is not None), None)
    values = without_queries(asdict(config))
    watch(paths.folder)
    write_bytes(paths.config, OmegaConf.to_yaml(values).encode())
    try:
        started = parts.start_tracking(paths.folder, values, group, job.identity(config))
    except ArtiphysError:
        shutil.rmtree(paths.folder, ignore_errors=True)
        raise
    active.tracker = started


def _run_stages(active: ActiveRun, stages: Stages) -> None:
    start, state, ranks = time.monotonic(), "failed", active.parts.runner.ranks
    _write_record(active, "running", 0.0)
    try:
        for stage in stages:
            _run_stage(active, stage)
        if active.leads:
            _write_remaining_tables(active, stages)
            active.mend()
            active.facts["findings"] = _findings(active, stages)
            active.check_files()
        ranks.barrier()
        state = "finished"
    except (KeyboardInterrupt, Stopped):
        state = "stopped"
        active.facts["stopped_at"] = active.parts.runner.at
        log.info("stopped at %s", active.parts.runner.at or "the start")
        raise
    except BaseException as error:
        active.facts["error"] = str(error)
        raise
    finally:
        seconds = time.monotonic() - start
        _close(active, state, lambda: _write_record(active, state, seconds))
    if active.leads:
        found = _found_everything(active, stages)
        nothing = ": everything was in the store already" if found else ""
        log.info("done in %.1f s%s", seconds, nothing)
        tell_places(active.paths, active.facts["findings"])


def _run_stage(active: ActiveRun, stage: Stage[Any]) -> None:
    """Do the work of a stage in all processes, and write its files in the leading one."""
    check_stopped()
    with naming(stage):
        plan = active.plan(stage)
        for todo in stage.work(active, plan):
            active.make(todo.results, todo.items, todo.work, todo.label, tf32=todo.tf32)
        if active.leads:
            stage.write(active, plan)
    if active.leads:
        _write_tables(active, stage)


def _write_tables(active: ActiveRun, stage: Stage[Any]) -> None:
    from pipeline.errors import StoreError

    for table in stage.tables:
        with naming(stage):
            content = table.read(active, active.plan(stage))
        if not hasattr(content, "columns"):
            kind = type(content).__name__
            raise StoreError(f"table '{table.name}' of '{stage.name}' is a {kind}, not a DataFrame")
        active.table(table.name, list(table.columns), content, table.csv)


def _write_remaining_tables(active: ActiveRun, stages: Stages) -> None:
    """Write the tables of stages that this run left out, if the store holds all their results."""
    if not {stage.name for stage in stages} & set(DEFAULT_STAGES):
        return  # a dream has its own tables
    for name, stage in all_stages().items():
        if name not in DEFAULT_STAGES or stage in stages or not stage.tables:
            continue
        results = active.plan(stage).results
        if results and not any(result.missing() for result in results):
            active.enlist(results)
            _write_tables(active, stage)


def _findings(active: ActiveRun, stages: Stages) -> list[str]:
    """Return a summary of the run's findings."""
    lines: list[str] = []
    if active.unreadable:
        lines.append(f"images left out: {len(active.unreadable)} (see record.json)")
    for stage in stages:
        lines += stage.summary(active, active.plan(stage))
    return lines


def _found_everything(active: ActiveRun, stages: Stages) -> bool:
    """Return whether all requested or displayed results were in the store before the run."""
    if any(s.name not in all_stages() and not active.plan(s).results for s in stages):
        return False  # a user's own stage may compute its tables anew, and keep nothing
    shown = [result for name in DEFAULT_STAGES for result in active.planned_results(name)]
    results = [*active.enlisted.values(), *shown]
    return not active.done and not any(result.missing() for result in results)


def _write_record(active: ActiveRun, state: str, seconds: float) -> None:
    from pipeline.run.record import write_run_record

    names = active.parts.config.stages
    write_run_record(active, state, seconds, stage_versions(names), network=asks_network(names))


def _close(active: ActiveRun, state: str, write_record: Callable[[], None]) -> None:
    """Write the record of a run and end its tracking."""
    from pipeline.errors import StoreError

    try:
        write_record()
    except StoreError as error:  # such as a full disk: the error that stopped the run matters more
        log.warning("the record of the run is not up to date: %s", error)
    active.tracker.finish(failed=state != "finished")
