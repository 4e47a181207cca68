"""Ranks that are threads of one process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.runner import ranks
from pipeline.runner.ranks import Ranks
from pipeline.runner.rendezvous import FarBoard, Host, OwnBoard


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ranks look after each other several times a second."""
    monkeypatch.setattr(ranks, "BEAT", 0.3)


def together(size: int, work):
    """Do something in several ranks at once and return what each gives or raises.

    The first has the board; the others reach it as other processes do.
    """
    board = OwnBoard()
    host = Host(board)

    def one(number: int):
        try:
            own = Ranks(number, size, board if number == 0 else FarBoard(host.invitation))
            try:
                done = work(own)
                own.leave()
            except BaseException as error:
                own.fail(error)
                raise
            return done
        except BaseException as error:  # noqa: BLE001 - looked at by the tests
            return error

    try:
        with ThreadPoolExecutor(size) as pool:
            return list(pool.map(one, range(size)))
    finally:
        host.close()
