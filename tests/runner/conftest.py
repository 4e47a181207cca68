"""Ranks that are threads of one process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pipeline.runner.ranks import Ranks
from pipeline.runner.rendezvous import FarBoard, Host, OwnBoard


def together(size: int, work):
    """Do something in several ranks at once and return what each gives or raises.

    The first has the board; the others reach it as other processes do.
    """
    board = OwnBoard()
    host = Host(board)

    def one(number: int):
        try:
            ranks = Ranks(number, size, board if number == 0 else FarBoard(host.invitation))
            try:
                done = work(ranks)
                ranks.leave()
            except BaseException as error:
                ranks.fail(error)
                raise
            return done
        except BaseException as error:  # noqa: BLE001 - looked at by the tests
            return error

    try:
        with ThreadPoolExecutor(size) as pool:
            return list(pool.map(one, range(size)))
    finally:
        host.close()
