"""The command line: compose the configuration, check it, run the chosen stages in order."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from dataclasses import asdict
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from pipeline.config.schema import STAGES, Config, register
from pipeline.config.search_path import conf_dir
from pipeline.errors import ArtiphysError

if TYPE_CHECKING:
    from pipeline.session.session import Session
    from pipeline.store.layout import Layout, RunPaths

log = logging.getLogger("pipeline")


def main() -> None:
    """Run the command line."""
    share_cores()
    register()
    hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(task)()


def share_cores() -> None:
    """Let threads that wait for each other spin only briefly; call before torch loads.

    GNU OpenMP spins for milliseconds. Where another process works on the same cores, that makes
    small networks run up to twenty times slower; where none does, a brief spin is as fast.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "30000")


def task(config: DictConfig) -> None:
    """Run one composed configuration (one job of a multirun)."""
    try:
        from pipeline.config.build import typed

        run(typed(config))
    except ArtiphysError as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: finished work is kept; the same command continues it\n")
        raise SystemExit(130) from None


def run(config: Config) -> None:
    """Check a configuration and run its stages, or repeat a finished run of the same.

    Raises:
        ArtiphysError: as in ``run_anew``.
    """
    _log_to_console()
    from pipeline.config.checks import check_values

    check_values(config)

    from pipeline.session.repeated import find_finished, fingerprint, remember
    from pipeline.store.layout import Layout

    layout, key = Layout(config.out), fingerprint(config)
    former = find_finished(layout, key)
    if former is not None:
        _repeat(config, layout, former)
        return
    session = run_anew(config)
    if session.parts.asks_network:
        remember(layout, key, session.paths)


def _repeat(config: Config, layout: Layout, former: RunPaths) -> None:
    """Answer from the folder of a finished run; torch is not even loaded."""
    from pipeline.session.repeated import repeat
    from pipeline.store.provenance import provenance
    from pipeline.store.runs import write_record

    start = time.monotonic()
    paths = layout.new_run(config.name, datetime.now())
    paths.config.write_text(OmegaConf.to_yaml(asdict(config)), encoding="utf-8")
    record = repeat(former, paths)
    seconds = time.monotonic() - start
    changes = {"seconds": round(seconds, 2), "computed": 0, "overrides": _overrides()}
    origin = former.folder.relative_to(layout.out).as_posix()
    write_record(paths, record | provenance() | changes | {"repeats": origin})
    log.info("everything was in the store already: repeats %s", _short(former.folder))
    _tell(paths, record["findings"])


def run_anew(config: Config) -> Session:
    """Check a configuration and run its stages; what the store holds is not computed again.

    Returns:
        The finished session.

    Raises:
        ArtiphysError: bad input; nothing has been written if it was found before work started.
    """
    _log_to_console()
    from pipeline.config.build import Parts
    from pipeline.config.checks import check_parts, check_values
    from pipeline.session.session import Session
    from pipeline.store.layout import Layout

    check_values(config)
    parts = Parts(config)
    check_parts(parts)
    layout = Layout(config.out)
    paths = layout.new_run(config.name, datetime.now())
    handler = logging.FileHandler(paths.log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger("pipeline").addHandler(handler)
    try:
        values = asdict(config)
        paths.config.write_text(OmegaConf.to_yaml(values), encoding="utf-8")
        try:
            tracker = parts.start_tracking(paths.folder, values)
        except ArtiphysError:
            shutil.rmtree(paths.folder, ignore_errors=True)
            raise
        session = Session(parts, layout, paths, tracker)
        _run_stages(session)
    finally:
        logging.getLogger("pipeline").removeHandler(handler)
        handler.close()
    return session


def _overrides() -> list[str]:
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def _run_stages(session: Session) -> None:
    from pipeline.session.report import findings, write_remaining_tables, write_run_record

    start = time.monotonic()
    state = "failed"
    session.facts["overrides"] = _overrides()
    write_run_record(session, "running", 0.0)
    try:
        for stage in STAGES:
            if stage in session.parts.config.stages:
                import_module(f"pipeline.stages.{stage}").run(session)
        if session.parts.asks_network:
            write_remaining_tables(session)
        session.facts["findings"] = findings(session)
        state = "finished"
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    finally:
        seconds = time.monotonic() - start
        write_run_record(session, state, seconds)
        session.tracker.finish(failed=state != "finished")
    nothing = ": everything was in the store already" if session.found_everything else ""
    log.info("done in %.1f s%s", seconds, nothing)
    _tell(session.paths, session.facts["findings"])


def _tell(paths: RunPaths, lines: list[str]) -> None:
    """Say what was found, and where everything is."""
    for line in lines:
        log.info("%s", line)
    for label, folder in (("tables", paths.tables), ("figures", paths.figures)):
        if folder.is_dir():
            log.info("%-8s %s", label, _short(folder))
    log.info("%-8s %s", "run", _short(paths.folder))


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)


def _log_to_console() -> None:
    # Hydra opens the root logger at INFO, through which libraries tell more than anyone asked.
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("hydra").setLevel(logging.INFO)
    logging.raiseExceptions = False  # a reader who closes the pipe is no error
    logger = logging.getLogger("pipeline")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)


def _refuse(message: str) -> NoReturn:
    """Say what is wrong, without a traceback; in a multirun the other jobs go on."""
    sys.stderr.write(f"error: {message}\n")
    if HydraConfig.get().mode is RunMode.MULTIRUN:
        raise CompactHydraException(message)
    raise SystemExit(1)
