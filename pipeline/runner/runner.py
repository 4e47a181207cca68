"""The runner: distributes work items to processes and workers, without affecting the results.

It knows nothing about searches or ascents, only the common interface ``Work``.
"""

from __future__ import annotations

import ctypes
import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import accumulate
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from pipeline.runner.exhausted import in_words
from pipeline.runner.ranks import Ranks
from pipeline.runner.stopping import check_stopped
from pipeline.runner.workers import Workers, writing

log = logging.getLogger(__name__)
Item = TypeVar("Item")
Part = TypeVar("Part")
Loaded = TypeVar("Loaded")
Done = TypeVar("Done")
Taken = TypeVar("Taken", contravariant=True)
Planned = TypeVar("Planned", contravariant=True)
Module = TypeVar("Module", bound=nn.Module)
Show = Callable[[int], None]


@runtime_checkable
class Gathered(Protocol[Taken]):
    """A collector for one work item: parts are added in order, then it is written."""

    def add(self, done: Taken, /) -> None:
        """Add the result of one part."""
        ...

    def write(self) -> None:
        """Write the item to the store; called in another thread once all parts are in."""
        ...


@runtime_checkable
class Work(Protocol[Planned, Part, Loaded, Done]):
    """Work for the runner: items, each written as one file, made of parts for workers."""

    def needed(self, item: Planned, /) -> bool:
        """Return whether an item still has to be done."""
        ...

    def size(self, item: Planned, /) -> int:
        """Return the size of an item for the progress display."""
        ...

    def parts(self, item: Planned, /) -> Sequence[Part]:
        """Return the parts of an item, at least one."""
        ...

    def load(self, part: Part, /) -> Loaded:
        """Load the data of a part."""
        ...

    def run(self, loaded: Loaded, /) -> Done:
        """Do one part; a long one calls ``Runner.check``."""
        ...

    def begin(self, item: Planned, /) -> Gathered[Done]:
        """Return the collector for the parts of an item."""
        ...


class Runner:
    """Runs work on one device, as one of the processes of a run.

    Args:
        ranks: the processes.
        device: device of this process.
        threads: CPU threads, and therefore parts at a time.

    Attributes:
        at: last displayed progress, such as ``counting: 64 of 640 numbers``.
    """

    def __init__(self, ranks: Ranks, device: torch.device, threads: int) -> None:
        self.ranks = ranks
        self.device = device
        self.workers = Workers(threads)
        self.at = ""
        torch.set_num_threads(threads)
        # Float32 means float32: TF32 changes the final images of deep units.
        self.allow_tf32(False)
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        _keep_freed_memory()

    def place(self, module: Module) -> Module:
        """Return a module on the device, its weights channels-last."""
        # Module.to has no type for the form with only a memory format.
        module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        return module.to(self.device)

    def allow_tf32(self, allowed: bool) -> None:
        """Set whether float32 products may be rounded to TF32 on devices that support it."""
        torch.backends.cudnn.allow_tf32 = allowed
        torch.backends.cuda.matmul.allow_tf32 = allowed

    @contextmanager
    def in_float32(self) -> Generator[None]:
        """Return a context without TF32, even if it is allowed."""
        allowed = bool(torch.backends.cuda.matmul.allow_tf32)
        self.allow_tf32(False)
        try:
            yield
        finally:
            self.allow_tf32(allowed)

    def check(self) -> None:
        """Raise an error if the work should stop; long parts call this regularly.

        Raises:
            StoppedError: another part of this process has failed, or the caller has stopped.
            RankError: another process has failed.
            Stopped: another process has received a stop signal.
        """
        self.workers.check()
        self.ranks.check()

    def do(
        self,
        plan: Sequence[Item],
        work: Work[Item, Any, Any, Any],
        label: str,
        tell: Callable[[float], None] = lambda _share: None,
    ) -> int:
        """Do this process's share of a plan, and wait until all of it is done.

        Every item that is still needed goes to one process, which collects its parts and writes
        them while the next item is computed. A stop or a failure drops unfinished items; all others
        are written.

        Args:
            plan: the items, the same in all processes, the heaviest first.
            work: computes the items.
            label: activity and unit of count, such as ``counting: numbers``.
            tell: called after every item with the finished share of the plan.

        Returns:
            The number of items done by all processes.

        Raises:
            RankError: another process has failed.
        """
        written = 0
        with writing() as write, self._progress(label, sum(map(work.size, plan))) as show:
            for number, gathered in self._gather(plan, work, show):
                check_stopped()
                self.ranks.check()
                write(gathered.write)
                written += 1
                tell((number + 1) / len(plan))
        return self.ranks.all_reduce(written)

    def _gather(
        self, plan: Sequence[Item], work: Work[Item, Any, Any, Any], show: Show
    ) -> Iterator[tuple[int, Gathered[Any]]]:
        """Yield the items of this process as they are completed, with their numbers."""
        before = [0, *accumulate(map(work.size, plan))]
        taken: deque[tuple[int, Item, int]] = deque()

        def parts() -> Iterator[Any]:
            for number, item in self.ranks.queue(plan):
                if work.needed(item):
                    divided = work.parts(item)
                    taken.append((number, item, len(divided)))
                    yield from divided

        with closing(self.stream(parts(), work.load, work.run)) as results:
            for done in results:
                number, item, count = taken.popleft()
                gathered = work.begin(item)
                gathered.add(done)
                for part in range(1, count):
                    show(before[number] + work.size(item) * part // count)
                    gathered.add(next(results))
                show(before[number + 1])
                yield number, gathered

    def stream(
        self,
        parts: Iterable[Part],
        load: Callable[[Part], Loaded],
        run: Callable[[Loaded], Done],
    ) -> Generator[Done]:
        """Load every part and run it, and yield the results in order.

        On a CPU, the thread that loads a part also runs it; other devices run one part while
        threads load the next.
        """
        workers = self.workers
        if self.device.type == "cpu":
            yield from workers.map(parts, lambda part: run(load(part)), workers.threads)
        else:
            yield from map(run, workers.map(parts, load, workers.threads))

    @contextmanager
    def _progress(self, label: str, total: int) -> Generator[Show]:
        """Show progress in the leader: a bar on a terminal, occasional lines in a log."""
        what, _, counted = label.partition(": ")

        def tell(done: int) -> None:
            self.at = f"{what}: {done} of {total} {counted}"

        tell(0)
        console = Console(stderr=True)
        if not self.ranks.leads:
            yield tell
        elif console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=console, transient=True) as bar:
                task = bar.add_task(label, total=total)
                yield lambda done: (bar.update(task, completed=done), tell(done))[1]
        else:
            logged = _LoggedProgress(total)

            def show(done: int) -> None:
                tell(done)
                logged(done, self.at)

            yield show


def work_as(
    ranks: Ranks,
    device: torch.device,
    threads: int | None,
    work: Callable[..., int],
    arguments: Sequence[Any],
) -> int:
    """Do the work of one process of a run: return what ``work(runner, *arguments)`` returns.

    Args:
        ranks: the processes, which are informed if this one fails.
        device: device of the process.
        threads: CPU threads; as many as torch would use by default.
        work: the function to call.
        arguments: arguments of the work.
    """
    runner = Runner(ranks, device, threads or torch.get_num_threads())
    try:
        with in_words():
            code = work(runner, *arguments)
        ranks.leave()
    except BaseException as error:
        ranks.fail(error)
        raise
    return code


def _keep_freed_memory() -> None:
    """Let the C library keep freed memory instead of giving it back at once.

    Every step of an ascent frees and takes the same few megabytes; having the system clear them
    each time takes 10% of the time. Only glibc has this setting.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        trim_threshold, mmap_threshold, all_of_it = -1, -3, 2**30
        mallopt(mmap_threshold, all_of_it)
        mallopt(trim_threshold, all_of_it)


class _LoggedProgress:
    """Logs the progress, at most every ten seconds."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.spoken = time.monotonic()

    def __call__(self, done: int, line: str) -> None:
        if time.monotonic() - self.spoken > 10 and done < self.total:
            self.spoken = time.monotonic()
            log.info("%s", line)
