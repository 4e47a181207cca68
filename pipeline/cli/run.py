"""One run: check the configuration, run the chosen stages in order, keep the record."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from omegaconf import OmegaConf

from pipeline.cli.jobs import ALONE, Job
from pipeline.cli.output import Console
from pipeline.config.build import asks_network, build
from pipeline.config.parts import Parts
from pipeline.config.schema import CHECK, STAGES, Config
from pipeline.runner.outside import leads_outside, processes_outside
from pipeline.runner.stopping import Stopped, check_stopped

if TYPE_CHECKING:
    from pipeline.runner.runner import Runner
    from pipeline.session.session import Session
    from pipeline.store.layout import Layout, RunPaths

from pipeline.store.secrets import without_queries

log = logging.getLogger("pipeline")


def run(config: Config, job: Job = ALONE) -> None:
    """Check a configuration and run its stages, or repeat a finished run of the same.

    Raises:
        ArtiphysError: as in ``run_anew``.
    """
    log_to_console(leads_outside())
    from pipeline.config.checks import check_values

    if CHECK in config.stages:
        from pipeline.stages.check import check

        config = check(config)
        if not config.stages:
            return
    check_values(config)

    from pipeline.session.repeated import find_finished, fingerprint
    from pipeline.store.layout import Layout

    layout, key = Layout(config.out), fingerprint(config)
    # Of several processes each would answer; they find all work in the store soon enough.
    former = find_finished(layout, key) if processes_outside() == 1 else None
    if former is not None and _repeat(config, job, layout, former):
        return

    build(config.runner, "runner").launch(_in_process, config, job, key, place=layout.out)


def _in_process(runner: Runner, config: Config, job: Job, key: str) -> int:
    """Run the stages in one of the processes of a run."""
    from pipeline.session.repeated import remember

    log_to_console(runner.ranks.leads)
    session = run_anew(config, runner, job)
    # What is collected may be more the next time.
    if session.leads and asks_network(config) and "collect" not in config.stages:
        remember(session.layout, key, session.paths)
    return 0


def _repeat(config: Config, job: Job, layout: Layout, former: RunPaths) -> bool:
    """Answer from the folder of a finished run, if it is whole; torch is not even loaded."""
    from pipeline.errors import StoreError
    from pipeline.session.repeated import repeat
    from pipeline.store.files import write_bytes
    from pipeline.store.provenance import provenance
    from pipeline.store.records import write_record

    start = time.monotonic()
    if OmegaConf.select(OmegaConf.load(former.config), "runner") != config.runner:
        build(config.runner, "runner")  # which alone finds its faults
    paths = layout.new_run(config.name, datetime.now())
    try:
        write_bytes(paths.config, OmegaConf.to_yaml(without_queries(asdict(config))).encode())
        record = repeat(former, paths)
    except StoreError:
        shutil.rmtree(paths.folder, ignore_errors=True)
        raise
    if record is None:
        shutil.rmtree(paths.folder, ignore_errors=True)
        return False
    seconds = time.monotonic() - start
    changes = {"seconds": round(seconds, 2), "computed": 0, **job.facts(config)}
    origin = former.folder.relative_to(layout.out).as_posix()
    write_record(paths, record | provenance() | changes | {"repeats": origin})
    job.ran(paths.folder)
    log.info("everything was in the store already: repeats %s", _short(former.folder))
    _tell(paths, record["findings"])
    return True


def run_anew(config: Config, runner: Runner | None = None, job: Job = ALONE) -> Session:
    """Check a configuration and run its stages; what the store holds is not computed again.

    Args:
        config: what to run.
        runner: of this process; one process by default.
        job: where the run belongs.

    Returns:
        The finished session.

    Raises:
        ArtiphysError: bad input; nothing has been written if it was found before work started.
    """
    log_to_console()
    from pipeline.config.checks import check_parts, check_values
    from pipeline.session.session import Session
    from pipeline.store.format import check_format, mark_format
    from pipeline.store.layout import Layout, RunPaths

    check_values(config)
    if runner is None:
        runner = cast("Runner", build(config.runner, "runner").here())
    parts, layout = Parts(config, runner), Layout(config.out)
    check_format(layout)
    with runner.ranks.leader_first():  # what it downloads, the others find
        check_parts(parts)
    session = Session.planned(parts, layout)
    if asks_network(config):
        # By all processes at once: one that asked later, alone, would wait for the others forever.
        _ = session.images
        _check_room(session)
    leads = runner.ranks.leads
    made = layout.new_run(config.name, datetime.now()).folder if leads else Path()
    session.paths = paths = RunPaths(Path(runner.ranks.tell(str(made))))
    with _log_to_file(paths.log if leads else paths.folder / f"log.{runner.ranks.rank}"):
        if leads:
            _start_tracking(session, job)
            mark_format(layout)
            job.ran(paths.folder)
        session.facts |= job.facts(config)
        _run_stages(session)
    return session


def _check_room(session: Session) -> None:
    """Refuse a run that would fill the disk, or could not dream, before it leaves anything."""
    from pipeline.config.checks import check_disk
    from pipeline.session.climbed import missing_bytes

    if "dream" in session.parts.config.stages:
        from pipeline.session.dreaming import check_dreams

        check_dreams(session)
    if "animate" in session.parts.config.stages:
        from pipeline.session.animating import check_animations

        check_animations(session)
    if "ascent" in session.parts.config.stages:
        from pipeline.session.trial import check_ascents

        check_ascents(session)
        check_disk(session.layout.out, missing_bytes(session), "the ascents")


def _start_tracking(session: Session, job: Job) -> None:
    from pipeline.errors import ArtiphysError
    from pipeline.store.files import watch, write_bytes

    parts, config, paths = session.parts, session.parts.config, session.paths
    collected = parts.collected.group if "collect" in config.stages else None
    values, group = without_queries(asdict(config)), job.group(config) or collected
    watch(paths.folder)
    write_bytes(paths.config, OmegaConf.to_yaml(values).encode())
    try:
        started = parts.start_tracking(paths.folder, values, group, job.identity(config))
    except ArtiphysError:
        shutil.rmtree(paths.folder, ignore_errors=True)
        raise
    session.tracker = started


def _run_stages(session: Session) -> None:
    from pipeline.session.report import findings, write_remaining_tables, write_run_record

    start, state, ranks = time.monotonic(), "failed", session.parts.runner.ranks
    write_run_record(session, "running", 0.0)
    try:
        for stage in STAGES:
            if stage in session.parts.config.stages:
                _run_stage(session, stage)
        if session.leads:
            if asks_network(session.parts.config):
                write_remaining_tables(session)
                session.mend()
            session.facts["findings"] = findings(session)
            session.check_files()
        ranks.meet()
        state = "finished"
    except (KeyboardInterrupt, Stopped):
        state = "stopped"
        session.facts["stopped_at"] = session.parts.runner.at
        log.info("stopped at %s", session.parts.runner.at or "the start")
        raise
    except BaseException as error:
        session.facts["error"] = str(error)
        raise
    finally:
        seconds = time.monotonic() - start
        _close(session, state, lambda: write_run_record(session, state, seconds))
    if session.leads:
        nothing = ": everything was in the store already" if session.found_everything else ""
        log.info("done in %.1f s%s", seconds, nothing)
        _tell(session.paths, session.facts["findings"])


def _close(session: Session, state: str, write_record: Callable[[], None]) -> None:
    """Write the record of a run and end its tracking."""
    from pipeline.errors import StoreError

    try:
        write_record()
    except StoreError as error:  # a full disk, say: what stopped the run is the thing to tell
        log.warning("the record of the run is not up to date: %s", error)
    session.tracker.finish(failed=state != "finished")


def _run_stage(session: Session, name: str) -> None:
    """Do the work of a stage in all processes, and what comes of it in the one that leads."""
    check_stopped()
    stage = import_module(f"pipeline.stages.{name}")
    if hasattr(stage, "work"):
        stage.work(session)
    if session.leads:
        stage.run(session)


def _tell(paths: RunPaths, lines: list[str]) -> None:
    """Say what was found, and where everything is."""
    for line in lines:
        log.info("%s", line)
    for label, path in (
        ("tables", paths.tables),
        ("figures", paths.figures),
        ("pages", paths.site / "index.html"),
    ):
        if path.exists():
            log.info("%-8s %s", label, _short(path))
    log.info("%-8s %s", "run", _short(paths.folder))


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)


def log_to_console(leads: bool = True) -> None:
    """Say on standard output what the run does; processes that do not lead only warn."""
    # Hydra opens the root logger at INFO, through which libraries tell more than anyone asked.
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("hydra").setLevel(logging.INFO)
    logging.raiseExceptions = False  # a reader who closes the pipe is no error
    logger = logging.getLogger("pipeline")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if not logger.handlers:
        handler = Console(sys.stdout)
        handler.setFormatter(logging.Formatter("%(message)s"))
        handler.setLevel(logging.INFO if leads else logging.ERROR)
        logger.addHandler(handler)


@contextmanager
def _log_to_file(path: Path) -> Generator[None]:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("pipeline")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
