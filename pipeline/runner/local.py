"""The runner: a device, and work items done side by side, with the same result however many.

On a CPU every item runs on one thread, as many at a time as there are cores: small maps leave
nothing to share among the threads of one operation, and what an item computes cannot depend on how
many cores there are. On other devices items run one after the other. Either way the caller writes
one result while the next are being computed.
"""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TypeVar

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from pipeline.errors import ConfigError

log = logging.getLogger(__name__)
Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Done = TypeVar("Done")
Module = TypeVar("Module", bound=nn.Module)
Advance = Callable[[int], None]


class StoppedError(Exception):
    """The run is being stopped; raised in work items by ``Runner.check``."""


class Runner:
    """Runs work on one device.

    Args:
        accelerator: ``auto`` (what the machine has), ``cpu``, ``cuda``, ``cuda:1``, ``mps`` ...
        threads: CPU threads, and so items at a time; torch's own choice by default.

    Raises:
        ConfigError: the accelerator is not there, or a number is not positive.
    """

    def __init__(self, accelerator: str = "auto", threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise ConfigError(f"runner.threads: {threads} is not null or a number from 1")
        self.accelerator = accelerator
        self.threads = threads or torch.get_num_threads()
        torch.set_num_threads(self.threads)
        # Float32 means float32: TF32 changes what deep units climb to.
        self.allow_tf32(False)
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        self._stopped = threading.Event()
        _keep_freed_memory()

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
        """Return a module on the device, its weights channels-last."""
        # Module.to is typed without the form that takes a memory format alone.
        module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        return module.to(self.device)

    def allow_tf32(self, allowed: bool) -> None:
        """Say whether float32 products may be rounded to TF32 on devices that can."""
        torch.backends.cudnn.allow_tf32 = allowed
        torch.backends.cuda.matmul.allow_tf32 = allowed

    def check(self) -> None:
        """Raise ``StoppedError`` when the run is being stopped; long items call it now and then."""
        if self._stopped.is_set():
            raise StoppedError

    def run(self, items: Iterable[Item], work: Callable[[Item], Done]) -> Generator[Done]:
        """Do the work of every item and yield the results in order.

        When the caller stops, or an item fails, items that have not begun are dropped and those
        under way are asked to stop (``check``).
        """
        lanes = self.threads if self.device.type == "cpu" else 1
        yield from self._side_by_side(items, work, lanes)

    def stream(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Loaded],
        work: Callable[[Loaded], Done],
    ) -> Generator[Done]:
        """Load every item and do its work, and yield the results in order.

        On a CPU a thread that loads an item goes on to do its work; other devices work on one item
        while threads load the next.
        """
        if self.device.type == "cpu":
            yield from self.run(items, lambda item: work(load(item)))
        else:
            yield from map(work, self._side_by_side(items, load, self.threads))

    def _side_by_side(
        self, items: Iterable[Item], work: Callable[[Item], Done], lanes: int
    ) -> Generator[Done]:
        self._stopped.clear()
        waiting: deque[Future[Done]] = deque()
        pool = ThreadPoolExecutor(lanes, initializer=torch.set_num_threads, initargs=(1,))
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * lanes:  # enough to keep every lane busy
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            self._stopped.set()
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(self.threads)

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


def _keep_freed_memory() -> None:
    """Let the C library keep freed memory instead of giving it back at once.

    Every step of an ascent frees and takes the same few megabytes; having the system clear them
    anew each time costs a tenth of the time. Only glibc has this setting.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        trim_threshold, mmap_threshold, all_of_it = -1, -3, 2**30
        mallopt(mmap_threshold, all_of_it)
        mallopt(trim_threshold, all_of_it)


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


def local(accelerator: str = "auto", threads: int | None = None) -> Runner:
    """Return a runner on one device of this machine (see ``Runner``)."""
    return Runner(accelerator, threads)
