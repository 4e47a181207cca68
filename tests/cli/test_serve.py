"""``artiphys serve``: which folder is served, and that nobody else is."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from pipeline.cli.serve import find_site, start
from pipeline.errors import ConfigError, StoreError


def made(run: Path) -> Path:
    (run / "site").mkdir(parents=True)
    (run / "site" / "index.html").write_text(f"<h1>{run.name}</h1>")
    return run


def test_the_newest_run_with_pages_is_found(tmp_path: Path):
    for name in ("2026-01-02_03-04-05", "2026-01-02_03-04-05_2", "2026-01-02_03-04-05_10"):
        made(tmp_path / name)
    (tmp_path / "2026-05-01_00-00-00" / "site").mkdir(parents=True)  # not whole
    newest = tmp_path / "2026-01-02_03-04-05_10"
    assert find_site(tmp_path) == find_site(newest) == find_site(newest / "site") == newest / "site"


@pytest.mark.parametrize(
    ("folder", "message"),
    [("nowhere", "there is no folder '.*nowhere'"), ("run", "'.*run' has no pages; give the")],
)
def test_without_pages_one_sentence_says_so(tmp_path: Path, folder: str, message: str):
    (tmp_path / "run").mkdir()
    with pytest.raises(StoreError, match=f"serve: {message}"):
        find_site(tmp_path / folder)


def test_files_are_served_on_the_loopback_alone(tmp_path: Path):
    site = made(tmp_path / "run") / "site"
    (site / "a.js").write_text("1")
    with start(site, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
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
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(HTTPError) as refused:
            urlopen(f"http://127.0.0.1:{server.server_port}{path}", timeout=10)
        assert refused.value.code == 404
        refused.value.close()
        server.shutdown()


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
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert errors == ""
