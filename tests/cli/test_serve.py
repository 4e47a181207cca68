"""``artiphys serve``: which folder is served, and that nobody else is."""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from pipeline.cli.serve import find_site, start
from pipeline.errors import ConfigError, StoreError

Connection = tuple[str, int]


def made(run: Path) -> Path:
    (run / "site").mkdir(parents=True)
    (run / "site" / "index.html").write_text(f"<h1>{run.name}</h1>")
    return run


@pytest.fixture
def served(tmp_path: Path):
    """Return where the pages of a run are served."""
    with start(made(tmp_path / "run") / "site", 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield ("127.0.0.1", server.server_port)
        server.shutdown()


def answer(served: Connection, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = HTTPConnection(*served, timeout=10)
    connection.request("GET", path, headers=headers)
    with connection.getresponse() as response:
        return response.status, response.read()


def test_the_newest_run_with_pages_is_found(tmp_path: Path):
    for name in ("2026-01-02_03-04-05", "2026-01-02_03-04-05_2", "2026-01-02_03-04-05_10"):
        made(tmp_path / name)
    (tmp_path / "2026-05-01_00-00-00" / "site").mkdir(parents=True)  # not whole
    newest = tmp_path / "2026-01-02_03-04-05_10"
    assert find_site(tmp_path) == find_site(newest) == find_site(newest / "site") == newest / "site"


@pytest.mark.parametrize(
    ("folder", "message"),
    [("nowhere", "there is no folder '.*nowhere'"), ("run", "'.*run' has no pages; repeat the")],
)
def test_without_pages_one_sentence_says_so(tmp_path: Path, folder: str, message: str):
    (tmp_path / "run").mkdir()
    with pytest.raises(StoreError, match=f"serve: {message}"):
        find_site(tmp_path / folder)


def test_files_are_served_on_the_loopback_alone(tmp_path: Path):
    site = made(tmp_path / "run") / "site"
    (site / "a.js").write_text("1")
    with start(site, 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        assert server.server_address[0] == "127.0.0.1"
        with urlopen(f"http://127.0.0.1:{server.server_port}/a.js") as answer:
            assert answer.read() == b"1"
            assert answer.headers["Content-Type"] == "text/javascript"
        with pytest.raises(ConfigError, match=f"serve: port {server.server_port} cannot be used"):
            start(site, server.server_port)
        server.shutdown()
    with pytest.raises(ConfigError, match="serve: port 123456 cannot be used"):
        start(site, 123456)


@pytest.mark.parametrize("path", ["/%00", "/assets/"])
def test_what_is_no_file_is_not_there(tmp_path: Path, path: str):
    site = made(tmp_path / "run") / "site"
    (site / "assets").mkdir()
    with start(site, 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with pytest.raises(HTTPError) as refused:
            urlopen(f"http://127.0.0.1:{server.server_port}{path}", timeout=10)
        assert refused.value.code == 404
        refused.value.close()
        server.shutdown()


@pytest.mark.parametrize("name", ["localhost:9000", "127.0.0.1", "[::1]:80", "LOCALHOST:1"])
def test_who_asks_for_this_machine_is_answered(served: Connection, name: str):
    assert answer(served, "/", {"Host": name}) == (200, b"<h1>run</h1>")


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example:80", "", "::1"])
def test_who_asks_for_another_name_is_not(served: Connection, name: str):
    assert answer(served, "/", {"Host": name})[0] == 421


@pytest.mark.parametrize(
    "path", ["/out", "/folder/a", "/folder", "/folder/", "/pipe", "/piped/", "/zero", "/%2e%2e/b"]
)
def test_only_files_of_the_folder_are_served(served: Connection, tmp_path: Path, path: str):
    site = tmp_path / "run" / "site"
    (tmp_path / "run" / "b").write_text("secret")
    (site / "out").symlink_to(tmp_path / "run" / "b")
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "index.html").write_text("secret")
    (site / "folder").symlink_to(tmp_path / "else")
    os.mkfifo(site / "pipe")
    (site / "piped").mkdir()
    os.mkfifo(site / "piped" / "index.html")
    (site / "zero").symlink_to("/dev/zero")
    assert answer(served, path, {"Host": "localhost"})[0] == 404


def test_a_link_within_the_folder_and_a_folder_with_a_page_are_served(
    served: Connection, tmp_path: Path
):
    site = tmp_path / "run" / "site"
    (site / "more").mkdir()
    (site / "more" / "index.html").write_text("more")
    (site / "link").symlink_to("more/index.html")
    for path in ("/link", "/more/"):
        assert answer(served, path, {"Host": "localhost"}) == (200, b"more")
    assert answer(served, "/more", {"Host": "localhost"})[0] == 301


def test_a_browser_that_goes_away_is_no_word_worth(served: Connection, tmp_path: Path, capfd):
    (tmp_path / "run" / "site" / "big").write_bytes(bytes(30_000_000))
    with socket.create_connection(served) as browser:
        browser.sendall(b"GET /big HTTP/1.0\r\nHost: localhost\r\n\r\n")
        browser.recv(1000)
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert answer(served, "/", {"Host": "localhost"})[0] == 200
    time.sleep(0.3)
    assert capfd.readouterr().err == ""


def test_it_says_where_and_ends_quietly(tmp_path: Path):
    made(tmp_path / "run")
    command = [sys.executable, "-m", "pipeline", "serve", str(tmp_path / "run")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == str(tmp_path / "run" / "site")
        address = re.findall(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
        with urlopen(address) as answer:
            assert answer.read() == b"<h1>run</h1>"
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()  # else this would wait for it
    assert process.returncode == 0
    assert errors == ""
