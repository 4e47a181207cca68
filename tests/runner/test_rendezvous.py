"""Where processes meet: who gets in, and who does not."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.runner.rendezvous import (
    UNREACHED,
    FarBoard,
    Host,
    Invitation,
    OwnBoard,
    follow,
    invite,
    meet,
)


@pytest.fixture(params=[None, "127.0.0.1"], ids=["one machine", "several"])
def host(request: pytest.FixtureRequest):
    found = Host(OwnBoard(), request.param)
    yield found
    found.close()


def test_what_one_writes_all_read(host: Host):
    first, second = FarBoard(host.invitation), FarBoard(host.invitation)
    assert second.read("word") is None
    first.write("word", "été")
    assert second.read("word") == "été"
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda at: (first, second)[at % 2].add("n", 1), range(200)))
    assert sorted(numbers) == list(range(1, 201))


def test_nobody_comes_in_without_the_key(host: Host):
    with pytest.raises(AuthenticationError):
        FarBoard(replace(host.invitation, key=b"x" * 32))
    with Client(host.invitation.address) as stranger:  # and one that does not even try
        for _ in range(3):
            with suppress(OSError):
                stranger.send_bytes(json.dumps(["write", "failed", "stop"]).encode())
        with suppress(EOFError, OSError):
            while True:
                assert b"null" not in stranger.recv_bytes()
    assert FarBoard(host.invitation).read("failed") is None


def test_only_what_a_board_does_can_be_asked(host: Host):
    board = FarBoard(host.invitation)
    with pytest.raises(UNREACHED):
        board._ask("__class__")
    assert board.add("n", 2) == 2  # over another connection


def test_on_one_machine_no_port_is_open_and_others_cannot_reach_the_socket():
    host = Host(OwnBoard())
    address = host.invitation.address
    assert isinstance(address, str)
    assert stat.S_ISSOCK(Path(address).stat().st_mode)
    assert stat.S_IMODE(Path(address).parent.stat().st_mode) == 0o700
    host.close()
    with pytest.raises(UNREACHED):
        FarBoard(host.invitation)


def test_an_interrupted_question_is_not_answered_with_the_next(monkeypatch: pytest.MonkeyPatch):
    host = Host(OwnBoard())
    board = FarBoard(host.invitation)
    board.write("b", "right")

    loads = json.loads

    def interrupted(text: bytes) -> object:
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        return loads(text)  # the host's thread reads the question with the same function

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.runner.rendezvous.json.loads", interrupted)
        with pytest.raises(KeyboardInterrupt):
            board._ask("read", "a")
    assert board.read("b") == "right"
    host.close()


def test_an_invitation_is_followed_once_it_is_there_and_leads_somewhere(tmp_path: Path, host: Host):
    file = tmp_path / "out" / ".meeting"
    invite(Invitation(str(tmp_path / "gone"), b"former"), file)
    found: list[FarBoard | None] = []
    waiting = threading.Thread(
        target=lambda: found.append(follow(file, time.monotonic() + 20)), daemon=True
    )
    waiting.start()
    time.sleep(0.2)
    assert not found
    invite(host.invitation, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    waiting.join()
    assert found[0] is not None
    assert found[0].add("n", 1) == 1
    assert [path.name for path in file.parent.iterdir()] == [".meeting"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a file of somebody else's")
def test_what_somebody_else_has_left_is_not_followed(tmp_path: Path):
    host = Host(OwnBoard())
    invite(host.invitation, tmp_path / "planted")
    os.chown(tmp_path / "planted", 65534, 65534)
    assert follow(tmp_path / "planted", time.monotonic() + 0.3) is None
    invite(host.invitation, tmp_path / "own")
    (tmp_path / "link").symlink_to(tmp_path / "own")
    assert follow(tmp_path / "link", time.monotonic() + 0.3) is None
    host.close()


def test_an_address_of_something_else_is_not_taken_for_a_board(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        invitation = Invitation(("127.0.0.1", other.getsockname()[1]), b"k")
        threading.Thread(target=lambda: other.accept()[0].close(), daemon=True).start()
        with pytest.raises(UNREACHED):
            FarBoard(invitation)


def test_all_come_or_it_is_said_who_waited_where(tmp_path: Path):
    def come(rank: int, size: int, patience: float) -> int:
        return meet(rank, size, tmp_path / "out" / ".meeting", None, patience).add("met", 1)

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(lambda rank: come(rank, 3, 20.0), range(3))) == [1, 2, 3]
    assert list((tmp_path / "out").iterdir()) == []
    for rank in (0, 1):
        with pytest.raises(ConfigError) as refused:
            come(rank, 2, 0.3)
        assert str(refused.value) == (
            f"runner: the processes do not find each other: process {rank} of 2 has waited for 0 s;"
            f" all must see the folder '{tmp_path}/out', and reach the machine of the first"
        )
