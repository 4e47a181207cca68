"""The runner: a device, a number of threads, and work items done one after the other."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TypeVar

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from pipeline.errors import ConfigError

log = logging.getLogger(__name__)
Item = TypeVar("Item")
Module = TypeVar("Module", bound=nn.Module)
Advance = Callable[[int], None]


class Runner:
    """Runs work on one device.

    Args:
        accelerator: ``auto`` (what the machine has), ``cpu``, ``cuda``, ``cuda:1``, ``mps`` ...
        threads: CPU threads of torch; torch's own choice by default.
        workers: processes that decode images; one per spare core by default.

    Raises:
        ConfigError: the accelerator is not there, or a number is negative.
    """

    def __init__(
        self, accelerator: str = "auto", threads: int | None = None, workers: int | None = None
    ) -> None:
        for name, value, least in (("threads", threads, 1), ("workers", workers, 0)):
            if value is not None and value < least:
                raise ConfigError(f"runner.{name}: {value} is not null or a number from {least}")
        self.accelerator = accelerator
        if threads is not None:
            torch.set_num_threads(threads)
        # Float32 means float32: TF32 changes what deep units climb to.
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        self.workers = workers if workers is not None else min(8, max(1, (os.cpu_count() or 1) - 1))

    @cached_property
    def device(self) -> torch.device:
        """The device that the work runs on."""
        if self.accelerator == "auto":
            return torch.accelerator.current_accelerator(check_available=True) or torch.device(
                "cpu"
            )
        try:
            device = torch.device(self.accelerator)
            torch.zeros(1, device=device).item()
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = str(error).strip().splitlines()[0][:120]
            raise ConfigError(
                f"runner.accelerator: '{self.accelerator}' cannot be used ({reason}); use auto or"
                " cpu"
            ) from error
        return device

    def place(self, module: Module) -> Module:
        """Return a module on the device."""
        return module.to(self.device)

    def run(self, label: str, items: Sequence[Item], work: Callable[[Item], None]) -> None:
        """Do the work of every item, in order.

        Args:
            label: what is being done, for the progress display.
            items: the work items.
            work: does one item.
        """
        with self.progress(label, len(items)) as advance:
            for item in items:
                work(item)
                advance(1)

    @contextmanager
    def progress(self, label: str, total: int) -> Generator[Advance]:
        """Show progress: a bar on a terminal, a line now and then in a log."""
        console = Console(stderr=True)
        if console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=console, transient=True) as bar:
                task = bar.add_task(label, total=total)
                yield lambda done: bar.advance(task, done)
        else:
            yield _LoggedProgress(label, total)


class _LoggedProgress:
    """Logs how far the work is, at most every ten seconds."""

    def __init__(self, label: str, total: int) -> None:
        self.label = label
        self.total = total
        self.done = 0
        self.spoken = time.monotonic()

    def __call__(self, done: int) -> None:
        self.done += done
        if time.monotonic() - self.spoken > 10 and self.done < self.total:
            self.spoken = time.monotonic()
            log.info("%s: %d of %d", self.label, self.done, self.total)


def local(
    accelerator: str = "auto", threads: int | None = None, workers: int | None = None
) -> Runner:
    """Return a runner on one device of this machine (see ``Runner``)."""
    return Runner(accelerator, threads, workers)
