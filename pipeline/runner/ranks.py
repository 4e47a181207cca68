"""The processes of one run (ranks): how they share work, wait for each other and detect failures.

All ranks know the same plan, and take its items one by one; results do not depend on which rank
computes an item. Ranks only exchange item numbers: results go to the store.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from pipeline.errors import ArtiphysError
from pipeline.runner.rendezvous import UNREACHED, Board, OwnBoard
from pipeline.runner.stopping import Stopped

log = logging.getLogger(__name__)
Item = TypeVar("Item")

BEAT = 1.0  # seconds between two checks of the other ranks
SILENCE = 20.0  # seconds without a sign of life after which a rank counts as dead
_POLL = 0.05
_STOP = "stop"


class RankError(ArtiphysError):
    """Another process of the run has failed; the message says which, and why."""


class Ranks:
    """One process's view of the others.

    Args:
        rank: number of this process, from 0; rank 0 leads.
        size: number of processes.
        board: board through which they communicate; a local one for a single process.
    """

    def __init__(self, rank: int = 0, size: int = 1, board: Board | None = None) -> None:
        self.rank, self.size = rank, size
        self.failure: RankError | Stopped | None = None
        self._queues = self._barriers = self._sums = self._broadcasts = 0
        self._over = threading.Event()
        self._board = OwnBoard() if board is None else board
        if self.size > 1:
            threading.Thread(target=self._watch, name="ranks", daemon=True).start()

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which writes tables and figures."""
        return self.rank == 0

    def check(self) -> None:
        """Raise the error of another rank that has failed, if there is one."""
        if self.failure is not None:
            raise self.failure

    def queue(self, plan: Sequence[Item]) -> Generator[tuple[int, Item]]:
        """Yield items of a shared plan with their numbers; each item goes to a single rank."""
        self._queues += 1
        if self.size == 1:
            yield from enumerate(plan)
            return
        key = f"dealt/{self._queues}"
        while (number := self._add(key, 1) - 1) < len(plan):
            yield number, plan[number]

    def barrier(self) -> None:
        """Wait until every rank has reached this point.

        Raises:
            RankError: another rank has failed.
        """
        self._barriers += 1
        if self.size > 1:
            key = f"here/{self._barriers}"
            self._add(key, 1)
            self._wait(lambda: self._add(key, 0) == self.size)

    @contextmanager
    def leader_first(self) -> Generator[None]:
        """Let the leader act first, so that the others find the files that it leaves."""
        if self.leads:
            yield
            self.barrier()
        else:
            self.barrier()
            yield

    def all_reduce(self, number: int) -> int:
        """Return the sum of a number over all ranks."""
        self._sums += 1
        if self.size == 1:
            return number
        key = f"sum/{self._sums}"
        self._add(key, number)
        self.barrier()
        return self._add(key, 0)

    def broadcast(self, text: str) -> str:
        """Return the leader's text to every rank."""
        self._broadcasts += 1
        if self.size == 1:
            return text
        key = f"told/{self._broadcasts}"
        with self._reaching():
            if self.leads:
                self._board.write(key, text)
            while (told := self._board.read(key)) is None:
                self.check()
                time.sleep(_POLL)
            return told

    def fail(self, error: BaseException) -> None:
        """Inform the other ranks that this one has failed or is being stopped, and why."""
        if self.size > 1 and self.failure is None:
            self._over.set()
            if isinstance(error, Stopped | KeyboardInterrupt | SystemExit):
                self._tell_failure(_STOP)
                return
            known = isinstance(error, ArtiphysError)
            reason = str(error) if known else "".join(traceback.format_exception(error)).strip()
            who = f"process {self.rank} of {self.size} on {socket.gethostname()}"
            self._tell_failure(f"{who} has failed: {reason}")

    def leave(self) -> None:
        """Report that this rank has finished, and wait for the others; the leader leaves last."""
        if self.size > 1 and not self._over.is_set():
            self.barrier()
            self._over.set()
            self._add("left", 1)
            # The leader may host the board that the others still use.
            deadline = time.monotonic() + SILENCE
            if self.leads:
                self._wait(lambda: self._add("left", 0) == self.size or time.monotonic() > deadline)

    def _add(self, key: str, number: int) -> int:
        with self._reaching():
            return self._board.add(key, number)

    def _wait(self, arrived: Callable[[], bool]) -> None:
        while not arrived():
            self.check()
            time.sleep(_POLL)
        self.check()

    @contextmanager
    def _reaching(self) -> Generator[None]:
        """Convert errors about an unreachable board of the leader into a sentence."""
        try:
            yield
        except UNREACHED as error:
            self.check()  # the leader may have reported the reason before it ended
            raise RankError(f"runner: {self._leader_gone()}; finished work is kept") from error

    def _leader_gone(self) -> str:
        return f"process 0 of {self.size}, which leads, has died or is out of reach"

    def _tell_failure(self, reason: str) -> None:
        try:
            self._board.write("failed", reason)
            if self.leads:  # the board may end with the leader: let the others read it first
                time.sleep(3 * BEAT)
        except UNREACHED:
            log.debug("the leader is gone already")

    def _watch(self) -> None:
        """Report that this rank is alive, and check the others."""
        heard: dict[int, tuple[str, float]] = {}
        beats = 0
        while not self._over.wait(BEAT):
            beats += 1
            try:
                self._board.write(f"alive/{self.rank}", str(beats))
                failed = self._board.read("failed")
                if failed is None and (silent := self._silent(heard)) is not None:
                    failed = (
                        f"process {silent} of {self.size} has died: no sign of life for"
                        f" {SILENCE:.0f} s"
                    )
                    self._board.write("failed", failed)
            except UNREACHED:
                failed = self._leader_gone()
            if failed and not self._over.is_set():
                sentence = f"runner: {failed}; finished work is kept"
                self.failure = Stopped("SIGTERM") if failed == _STOP else RankError(sentence)
                return

    def _silent(self, heard: dict[int, tuple[str, float]]) -> int | None:
        """Return a rank without a recent sign of life, if there is one."""
        now = time.monotonic()
        for rank in range(1, self.size) if self.leads else (0,):
            beat = self._board.read(f"alive/{rank}") or ""
            if rank not in heard or beat != heard[rank][0]:
                heard[rank] = (beat, now)
            elif now - heard[rank][1] > SILENCE:
                return rank
        return None
