"""The command line: Hydra's for runs, and a few sub-commands for other tasks."""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from pipeline.cli.output import complain, open_outputs, say
from pipeline.config.schema import CHECK, register
from pipeline.config.search_path import conf_dir
from pipeline.errors import ArtiphysError, ConfigError, nearest
from pipeline.runner.exhausted import in_words
from pipeline.runner.outside import leads_outside
from pipeline.runner.stopping import STOPPED, Stopped, listen
from pipeline.stages.catalog import all_stages

SUBCOMMANDS = ("serve", "store", "sweep")
# Hydra's flags that print something instead of running.
PRINTING = ("--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i")


def main() -> None:
    """Run the command line."""
    open_outputs()
    share_cores()
    open_no_windows()
    register()
    look_here()
    name_stages()
    listen()
    try:
        _refuse_word(sys.argv[1:])
        if len(sys.argv) > 1 and sys.argv[1] in SUBCOMMANDS:
            module = import_module(f"pipeline.cli.{sys.argv[1]}")
            with in_words():
                raise SystemExit(module.main(sys.argv[2:]))
        _run_hydra()
    except ArtiphysError as error:
        complain(f"error: {error}")
        raise SystemExit(1) from None
    except (KeyboardInterrupt, Stopped) as stop:
        _say_stopped(stop)


def name_stages() -> None:
    """Make the help text list the available stages."""
    OmegaConf.register_new_resolver(
        "stage_names", lambda: ", ".join([CHECK, *all_stages()]), replace=True
    )


def _refuse_word(arguments: Sequence[str]) -> None:
    """Reject a first word that is neither a sub-command nor an argument for Hydra."""
    word, after = (*arguments[:2], "", "")[:2]
    if after.startswith("="):
        return  # which is told with what to type
    if word and word.isidentifier() and word not in SUBCOMMANDS:
        raise ConfigError(
            f"'{word}' is neither KEY=VALUE nor one of the sub-commands {', '.join(SUBCOMMANDS)}"
            f"{nearest(word, SUBCOMMANDS)}"
        )


def _run_hydra() -> None:
    from pipeline.cli.flags import check_flags
    from pipeline.cli.jobs import summarize
    from pipeline.config.overrides import readable

    given = sys.argv[1:]
    check_flags(given)
    sys.argv[1:] = readable(given)
    command = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")
    if any(argument.split("=")[0] in PRINTING for argument in given):
        with _refusals(given):
            _print(command(task))
        return
    try:
        with _refusals(given):
            command(task)()
    finally:
        failed = summarize()
    if failed:
        raise SystemExit(1)


_begun: list[DictConfig] = []  # configurations that could be composed
FULL_ERROR = "HYDRA_FULL_ERROR"  # with which Hydra raises its errors instead of printing them


@contextmanager
def _refusals(given: Sequence[str]) -> Generator[None]:
    """Turn what Hydra raises before a run begins into one sentence."""
    if os.environ.get(FULL_ERROR) == "1":  # the user wants to see where Hydra raises
        yield
        return
    os.environ[FULL_ERROR] = "1"
    _begun.clear()
    try:
        yield
    except ArtiphysError:
        raise
    except CompactHydraException as error:
        from pipeline.config.refusals import refusal

        raise ConfigError(str(error) if _begun else refusal(error, given)) from error
    except Exception as error:
        if _begun:  # a bug
            raise
        from pipeline.config.refusals import refusal

        raise ConfigError(refusal(error, given)) from error
    finally:
        del os.environ[FULL_ERROR]


def _print(command: Callable[[], None]) -> None:
    """Print a command's output; ``say`` handles a closed pipe and a full disk."""
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            command()
    finally:
        if text := printed.getvalue().rstrip("\n"):
            say(text)


def look_here() -> None:
    """Let Python find a user's modules in the current folder, after all others."""
    if not {"", str(Path.cwd())} & set(sys.path):
        sys.path.append(str(Path.cwd()))


def share_cores() -> None:
    """Limit how long waiting threads spin; call this before torch loads.

    GNU OpenMP spins for milliseconds. If another process uses the same cores, that makes small
    networks run up to twenty times slower; otherwise, a brief spin is as fast.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "30000")


def open_no_windows() -> None:
    """Restrict Matplotlib to drawing into files; call this before it loads.

    Its box plot reads every setting, and reading the backend setting makes it look for a display.
    """
    os.environ.setdefault("MPLBACKEND", "agg")


def task(config: DictConfig) -> None:
    """Run one composed configuration (one job of a multirun)."""
    from pipeline.cli.jobs import hydra_job, otherwise_run, report
    from pipeline.cli.run import run
    from pipeline.config.build import typed

    look_here()  # a launcher may have started this process without ``main``
    listen()
    _begun.append(config)
    job = hydra_job()
    try:
        with report(job):
            run(typed(config), job, otherwise_run)
    except ArtiphysError as error:
        _refuse(str(error))


def _refuse(message: str) -> None:
    """Print the error without a traceback; in a multirun the other jobs continue."""
    hydra_config = HydraConfig.get()
    if hydra_config.mode is not RunMode.MULTIRUN:
        complain(f"error: {message}")
        raise SystemExit(1)
    complain(f"error: job {hydra_config.job.num}: {message}")
    # For jobs in this process, the summary at the end suffices; on a cluster, the job itself must
    # be reported as failed.
    if not str(hydra_config.launcher.get("_target_")).endswith("BasicLauncher"):
        raise CompactHydraException(message)


def _say_stopped(stop: BaseException) -> NoReturn:
    by_hand = isinstance(stop, KeyboardInterrupt)
    if leads_outside():
        command = shlex.join(["artiphys", *sys.argv[1:]])
        why = "interrupted" if by_hand else f"stopped by {stop}"
        complain(f"{why}: finished work is kept; continue it with the same command:\n  {command}")
    raise SystemExit(130 if by_hand else STOPPED)
