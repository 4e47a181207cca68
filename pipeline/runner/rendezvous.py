"""The rendezvous of a run's processes: a board of numbers and sentences that all read and write.

Anyone who can write to the board can stop the run. So on one machine it uses a socket in a private
folder, without an open port; between machines, both sides must authenticate with a key that only
the user's own processes can read.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import (
    Client,
    Connection,
    Listener,
    answer_challenge,
    deliver_challenge,
)
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError

LARGEST = 2**20  # largest message in bytes
_POLL = 0.1
# Errors of sockets, and of unrelated programs that listen at an address.
UNREACHED = (OSError, EOFError, AuthenticationError)


class OwnBoard:
    """A board of numbers and sentences by name, in the memory of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        self._texts: dict[str, str] = {}

    def add(self, name: str, number: int) -> int:
        """Add to a number, which is initially zero, and return it."""
        with self._lock:
            self._numbers[name] = self._numbers.get(name, 0) + number
            return self._numbers[name]

    def write(self, name: str, text: str) -> None:
        """Write a sentence."""
        self._texts[name] = text

    def read(self, name: str) -> str | None:
        """Return a sentence, if it has been written."""
        return self._texts.get(name)


@dataclass(frozen=True)
class Invitation:
    """The address and key of a board.

    Attributes:
        address: a socket's path, or host and port.
        key: key for authentication.
    """

    address: str | tuple[str, int]
    key: bytes


class Host:
    """Serves a board to other processes, each in its own thread.

    Args:
        board: the board to serve.
        name: name of this machine, if processes on other machines connect too.
    """

    def __init__(self, board: OwnBoard, name: str | None = None) -> None:
        self._board = board
        self._key = secrets.token_bytes(32)
        # By default, a socket in a folder that only this user can enter.
        self._listener = Listener() if name is None else Listener(("", 0), backlog=128)
        self._open = True
        reached: Any = self._listener.address
        self.invitation = Invitation(reached if name is None else (name, reached[1]), self._key)
        self._start(self._receive)

    def close(self) -> None:
        """Accept no more connections."""
        self._open = False
        with suppress(*UNREACHED):
            Client(self._listener.address).close()  # wakes the thread that waits for connections
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=work, args=arguments, name="meeting", daemon=True).start()

    def _receive(self) -> None:
        while self._open:
            try:
                self._start(self._answer, self._listener.accept())
            except (OSError, RuntimeError):  # a closed connection, or one too many
                time.sleep(_POLL)

    def _answer(self, connection: Any) -> None:
        known = {"add": self._board.add, "write": self._board.write, "read": self._board.read}
        with connection, suppress(*UNREACHED, ValueError, KeyError, TypeError):
            deliver_challenge(connection, self._key)
            answer_challenge(connection, self._key)
            while True:
                what, *given = json.loads(connection.recv_bytes(LARGEST))
                connection.send_bytes(json.dumps(known[what](*given)).encode())


class FarBoard:
    """The board of another process.

    Raises:
        OSError: it cannot be reached; this also applies to every use.
        EOFError: likewise.
        AuthenticationError: another program is at its address.
    """

    def __init__(self, invitation: Invitation) -> None:
        self._invitation = invitation
        self._lock = threading.Lock()
        self._connection: Any = self._connect()

    def add(self, name: str, number: int) -> int:
        """Add to a number, which is initially zero, and return it."""
        return self._ask("add", name, number)

    def write(self, name: str, text: str) -> None:
        """Write a sentence."""
        self._ask("write", name, text)

    def read(self, name: str) -> str | None:
        """Return a sentence, if it has been written."""
        return self._ask("read", name)

    def _connect(self) -> Connection:
        return Client(self._invitation.address, authkey=self._invitation.key)

    def _ask(self, *question: str | int) -> Any:
        with self._lock:
            connection = self._connection or self._connect()
            # After an interruption, the answer would be read as that of the next request.
            self._connection = None
            connection.send_bytes(json.dumps(question).encode())
            answer = json.loads(connection.recv_bytes(LARGEST))
            self._connection = connection
            return answer


Board = OwnBoard | FarBoard


def meet(rank: int, size: int, file: Path, name: str | None, patience: float) -> Board:
    """Return the board of processes started by a launcher, once all have connected.

    Args:
        rank: number of this process; the first has the board.
        size: number of processes.
        file: path of the invitation, on a file system that all processes see.
        name: name of the first process's machine, if there are several.
        patience: seconds to wait.

    Raises:
        ConfigError: they do not connect, or the file cannot be written.
    """
    until = time.monotonic() + patience
    board: Board | None = OwnBoard() if rank == 0 else follow(file, until)
    if isinstance(board, OwnBoard):
        try:
            invite(Host(board, name).invitation, file)
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(
                f"runner: the processes cannot meet at '{file}' ({reason})"
            ) from error
    came = board.add("came", 1) if board is not None else 0
    while board is not None and came < size and time.monotonic() < until:
        time.sleep(_POLL)
        came = board.add("came", 0)
    if rank == 0:
        file.unlink(missing_ok=True)
    if board is None or came < size:
        raise ConfigError(
            f"runner: the processes do not find each other: process {rank} of {size} has waited for"
            f" {patience:.0f} s; all must see the folder '{file.parent}', and reach the machine of"
            " the first"
        )
    return board


def invite(invitation: Invitation, file: Path) -> None:
    """Write an invitation that only processes of this user can read.

    Raises:
        OSError: the file cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}-{secrets.token_hex(4)}")
    content = json.dumps({"address": invitation.address, "key": invitation.key.hex()})
    descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(content)
    new.replace(file)  # an invitation of a killed run is invalid


def follow(file: Path, until: float) -> FarBoard | None:
    """Return the board of an invitation; ``None`` if there is none in time.

    Args:
        file: file of the invitation, which may not exist yet.
        until: end of waiting, on the monotonic clock.
    """
    while time.monotonic() < until:
        with suppress(*UNREACHED, ValueError, KeyError, TypeError):
            return FarBoard(_read(file))
        time.sleep(_POLL)
    return None


def _read(file: Path) -> Invitation:
    _ = list(file.parent.iterdir())  # network file systems cache that a file did not exist
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)) as opened:
        found = os.fstat(opened.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
            raise ValueError(f"'{file}' was left by somebody else")
        content = json.loads(opened.read(LARGEST))
    address: Any = content["address"]
    reached = address if isinstance(address, str) else (str(address[0]), int(address[1]))
    return Invitation(reached, bytes.fromhex(content["key"]))
