"""Stop signals from a cluster or a user."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

# EX_TEMPFAIL of sysexits.h: nothing is wrong, try again. Schedulers can be told to requeue on it.
STOPPED = 75


class Stopped(BaseException):
    """The process received a stop signal (preemption, time limit or ``kill``); not an error."""


_told: list[str] = []  # the received signals


def check_stopped() -> None:
    """Raise ``Stopped`` if the process has received a stop signal.

    An exception from a signal handler can be lost if other code catches it.
    """
    if _told:
        raise Stopped(_told[0])


def listen() -> None:
    """Raise ``Stopped`` in the main thread on SIGTERM and SIGUSR1; a second signal changes nothing.

    Jobs ask Slurm to send SIGUSR1 some time before their limit (``--signal=USR1@120``).
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, _stop)
        sys.unraisablehook = _raise_again


def _stop(number: int, _frame: FrameType | None) -> None:
    for other in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(other, signal.SIG_IGN)
    _told.append(signal.Signals(number).name)
    check_stopped()


AGAIN = 0.05  # seconds
_report = sys.unraisablehook


def _raise_again(lost: UnraisableHookArgs) -> None:
    """Raise a stop again if Python dropped it because it arrived while an object was deleted."""
    stop = lost.exc_value
    if not isinstance(stop, Stopped | KeyboardInterrupt):
        _report(lost)
        return

    def again(_number: int, _frame: FrameType | None) -> None:
        raise type(stop)(*stop.args)

    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, AGAIN)
