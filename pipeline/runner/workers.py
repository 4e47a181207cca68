"""Workers: parallel work in the threads of one process, with results in order.

On a CPU every worker computes on one thread: small maps are not worth splitting among threads, and
results cannot depend on the number of cores.
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
    """Threads that work in parallel.

    Args:
        threads: number of workers, and of torch's threads while there are none.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._stopped = threading.Event()

    def check(self) -> None:
        """Raise ``StoppedError`` if the work should stop; long parts call this regularly."""
        if self._stopped.is_set():
            raise StoppedError

    def map(
        self, parts: Iterable[Part], work: Callable[[Part], Done], workers: int
    ) -> Generator[Done]:
        """Do the work of every part and yield the results in order.

        If the caller stops or a part fails, pending parts are dropped and running ones are asked to
        stop (``check``).
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
    """Write files in the background: yields a function that accepts writes and returns quickly.

    It blocks while every writer is busy, so that a killed run loses little. At the end everything
    is written, even if the work has failed. An error of a write is raised by a later one, or at the
    end.
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
