"""Workers: work done side by side in the threads of one process, with results in order.

On a CPU every worker computes on one thread: small maps leave nothing to share among the threads of
one operation, and what is computed cannot depend on how many cores there are.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Part = TypeVar("Part")
Done = TypeVar("Done")
Write = Callable[[Callable[[], None]], None]

WRITERS = 4  # files written at a time: each waits for the disk most of the time


class StoppedError(Exception):
    """The run is being stopped; raised in work items by ``Workers.check``."""


class Workers:
    """Threads that work side by side.

    Args:
        threads: how many, and torch's number of threads in between.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._stopped = threading.Event()

    def check(self) -> None:
        """Raise ``StoppedError`` when the work is to stop; long parts call it now and then."""
        if self._stopped.is_set():
            raise StoppedError

    def map(
        self, parts: Iterable[Part], work: Callable[[Part], Done], workers: int
    ) -> Generator[Done]:
        """Do the work of every part and yield the results in order.

        When the caller stops, or a part fails, parts that have not begun are dropped and those
        under way are asked to stop (``check``).
        """
        self._stopped.clear()
        waiting: deque[Future[Done]] = deque()
        pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
        try:
            for part in parts:
                waiting.append(pool.submit(work, part))
                if len(waiting) > 2 * workers:  # enough to keep every worker busy
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            self._stopped.set()
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(self.threads)


@contextmanager
def writing() -> Generator[Write]:
    """Write files beside the work: a function that takes writes and soon returns.

    It waits while every writer is busy, so that a run that is killed loses little. At the end all
    are written, also when the work has failed. What a write raises is raised by a later one, or at
    the end.
    """
    waiting: deque[Future[None]] = deque()

    def write(task: Callable[[], None]) -> None:
        waiting.append(pool.submit(task))
        while len(waiting) > WRITERS or (waiting and waiting[0].done()):
            waiting.popleft().result()

    with ThreadPoolExecutor(WRITERS, thread_name_prefix="write") as pool:
        yield write
        while waiting:
            waiting.popleft().result()
