"""Ranks that are threads of one process."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from pipeline.runner.ranks import Ranks


class Meeting:
    """As much of Fabric as ranks ask for, for ranks that are threads of this process."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.port: int | None = None
        self.told = threading.Event()

    def fabric(self, rank: int):
        def broadcast(port: int) -> int:
            if rank == 0:
                self.port = port
                self.told.set()
            assert self.told.wait(10)
            return self.port or 0

        environment = SimpleNamespace(main_address="127.0.0.1")
        strategy = SimpleNamespace(cluster_environment=environment)
        return SimpleNamespace(
            global_rank=rank, world_size=self.size, strategy=strategy, broadcast=broadcast
        )


def together(size: int, work):
    """Do something in several ranks at once and return what each gives or raises."""
    meeting = Meeting(size)

    def one(number: int):
        try:
            ranks = Ranks(meeting.fabric(number))
            try:
                done = work(ranks)
                ranks.leave()
            except BaseException as error:
                ranks.fail(error)
                raise
            return done
        except BaseException as error:  # noqa: BLE001 - looked at by the tests
            return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(one, range(size)))
