"""What many tests share: the reference data and a way to run the pipeline."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import settings
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

import tests.typechecker  # noqa: F401 - before the package, whose functions it checks
from pipeline.cli import share_cores
from pipeline.cli.run import run_anew
from pipeline.config.build import typed
from pipeline.config.schema import Config, register
from pipeline.config.search_path import conf_dir
from pipeline.run.active_run import ActiveRun
from pipeline.runner.processes import Processes
from pipeline.runner.runner import Runner
from pipeline.stages.catalog import all_stages

share_cores()  # before any test imports torch
# A shell's background job ignores interrupts, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

register()  # once, for all that tests compose

Compose = Callable[..., Config]
RunPipeline = Callable[..., ActiveRun]


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays to the end: every look at it takes a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


def pytest_unconfigure() -> None:
    """Let what was spared be freed at exit, or extensions in C++ (triton) call it leaked."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _logging_as_before_any_run() -> None:
    """Undo what commands inside earlier tests have set up: what is logged reaches the root."""
    logger = logging.getLogger("pipeline")
    logger.setLevel(logging.NOTSET)
    logger.propagate, logger.handlers = True, []


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Undo what runs inside earlier tests have set: last bits depend on the number of threads."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _unsynced() -> Iterator[None]:
    """Wait for no disk: what tests write need not outlast a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of real weights, photographs and independent results."""
    folder = os.environ.get("ARTIPHYS_REFERENCE_DATA")
    if not folder:
        pytest.skip("ARTIPHYS_REFERENCE_DATA is not set")
    return Path(folder)


def here() -> Runner:
    """Return the runner of this process, on the CPU."""
    return Processes("cpu").here()


def compose_config(*overrides: str) -> Config:
    """Compose the configuration from overrides, as the command line does."""
    outs = [override for override in overrides if override.startswith("out=")]
    config = deepcopy(_composed(tuple(each for each in overrides if each not in outs)))
    if outs:
        config.out = outs[-1].removeprefix("out=")
    return config


@cache
def _composed(overrides: tuple[str, ...]) -> Config:
    """Compose what differs in its folder alone only once."""
    choices = tuple(each for each in overrides if _chooses(each))
    values = [each for each in overrides if each not in choices]
    config = deepcopy(_chosen(choices))
    try:  # what Hydra does after it has put the files of the choices together
        parsed = OverridesParser.create().parse_overrides(values)
        ConfigLoaderImpl._apply_overrides_to_config(parsed, config)
    except (HydraException, OmegaConfBaseException):
        config = _chosen(overrides)  # for its own message
    return typed(config)


@cache
def _chosen(choices: tuple[str, ...]) -> DictConfig:
    """Compose the options that are chosen only once, as it takes a tenth of a second."""
    with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
        return compose(config_name="config", overrides=list(choices))


def _chooses(override: str) -> bool:
    """Return whether an override chooses or removes files of options, not only values."""
    key = override.partition("=")[0].lstrip("+")
    return any(sign in key for sign in "~/@") or (conf_dir() / key).is_dir()


@pytest.fixture(scope="session")
def composed() -> Compose:
    """Compose the configuration from overrides, as the command line does."""
    return compose_config


@pytest.fixture(scope="session")
def run_pipeline() -> RunPipeline:
    """Run the pipeline in this process, on the CPU and without tracking."""

    def run_overrides(*overrides: str) -> ActiveRun:
        # The caller's overrides come last, so that they win.
        return run_anew(compose_config("tracking=none", "runner.accelerator=cpu", *overrides))

    return run_overrides


@contextmanager
def few_models() -> Iterator[None]:
    """Fit 768 models of curvature tuning instead of 65,536, where it does not matter which."""
    from pipeline.analysis import curvature_tuning
    from pipeline.analysis.curvature_models import ModelBank

    whole = ModelBank()
    few = ModelBank(
        whole.angles[::2],
        whole.curvatures[::3],
        whole.angle_spreads[::4],
        whole.curvature_spreads[::4],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curvature_tuning, "ModelBank", lambda: few)
        yield


def table_columns() -> dict[str, tuple[str, ...]]:
    """Return the columns of every table that a stage writes, by its name."""
    tables = [table for stage in all_stages().values() for table in stage.tables]
    return {table.name: tuple(table.columns) for table in tables}
