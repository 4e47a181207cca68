"""Downloads from a real server: whole, short, refused or killed, and what the cache then holds."""

import hashlib
import logging
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from pipeline.errors import NetworkError, StoreError
from pipeline.networks.loading import downloads
from pipeline.networks.loading.downloads import cached, download

# Longer than two chunks, and no whole number of them.
CONTENT = bytes(range(256)) * 10_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
VERIFIED = f"net-{DIGEST[:8]}.pth"
REMEDY = "; give model.weights the path of a file, or model.weights=random"


class Server(ThreadingHTTPServer):
    """Answers each request by ``answer(handler)`` and counts them."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = give()
        self.requests = 0
        self.ended = threading.Event()

    def url(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def shutdown_request(self, request):
        self.close_request(request)  # without the orderly end that comes before by default

    def handle_error(self, request, client_address):
        """Clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        self.server.answer(self)

    def log_message(self, *_):
        pass


def give(content=CONTENT, announced=True, missing=0):
    """Answer with content, of which the last ``missing`` bytes never come."""

    def answer(handler):
        handler.send_response(200)
        if announced:
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) - missing])
        handler.wfile.flush()

    return answer


def give_half_and(act):
    """Answer with half of the content, act, and keep the connection open."""

    def answer(handler):
        give(missing=len(CONTENT) // 2)(handler)
        act()
        handler.server.ended.wait(60)

    return answer


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.ended.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of an empty cache of torch's downloads; it is not there yet."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch_home"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path / "torch_home" / "hub" / "checkpoints"


def refused(url):
    with pytest.raises(NetworkError) as caught:
        download(url)
    return str(caught.value)


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def put(folder, name, content=CONTENT):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def note(url, digest=DIGEST):
    host, _, name = url.removeprefix("http://").rpartition("/")
    return f"# from {host}/{name}\n{digest}  {name}\n"


@pytest.mark.parametrize("name", [VERIFIED, f"net-{DIGEST}.safetensors"])
@pytest.mark.parametrize("announced", [True, False])
def test_a_file_with_a_digest_in_its_name_lies_where_torch_looks(server, home, announced, name):
    server.answer = give(announced=announced)
    path = download(server.url(name))
    assert path == home / name
    assert path.read_bytes() == CONTENT
    assert files(home) == [name]
    assert download(server.url(name)) == path
    assert server.requests == 1


@pytest.mark.parametrize("name", ["net.pth", "resnet-50.pth", "net-v2.safetensors"])
def test_any_other_file_gets_a_note_that_sha256sum_reads(server, home, name):
    path = download(server.url(name))
    assert path.read_bytes() == CONTENT
    assert files(home) == [name, f"{name}.sha256"]
    assert (home / f"{name}.sha256").read_text() == note(server.url(name))
    checked = subprocess.run(["sha256sum", "-c", f"{name}.sha256"], cwd=home, capture_output=True)
    assert checked.stdout == f"{name}: OK\n".encode()
    assert checked.stderr == b""
    assert download(server.url(name)) == path
    assert server.requests == 1


def test_a_file_url_is_a_download_too(tmp_path, home):
    source = put(tmp_path, "w.pth")
    path = download(source.as_uri())
    assert path == home / "w.pth"
    assert path.read_bytes() == CONTENT
    source.unlink()
    assert download(source.as_uri()) == path


def test_what_is_cached_is_known_without_a_request(server, home):
    url = server.url("net.pth")
    assert cached(url) is None
    path = put(home, "net.pth", b"anything")
    assert cached(url) == path
    path.unlink()
    path.mkdir()
    assert cached(url) is None
    assert server.requests == 0


def test_the_folder_that_torch_was_told_is_used(server, home, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "told"))
    path = download(server.url("w.pth"))
    assert path == cached(server.url("w.pth")) == tmp_path / "told" / "checkpoints" / "w.pth"


def test_a_query_is_neither_in_the_name_nor_written_down(server, home):
    path = download(server.url("w.pth?token=secret"))
    assert path == home / "w.pth"
    assert "secret" not in (home / "w.pth.sha256").read_text()
    # Another query may stand for another file: it is asked for again.
    assert download(server.url("w.pth?token=another")) == path
    assert server.requests == 2
    assert download(server.url("w.pth?token=another")) == path
    assert server.requests == 2


@pytest.mark.parametrize("name", ["net.pth", VERIFIED])
@pytest.mark.parametrize("missing", [1, len(CONTENT) // 2, len(CONTENT)])
def test_a_short_body_is_refused_and_not_kept(server, home, name, missing):
    server.answer = give(missing=missing)
    url, whole = server.url(name), len(CONTENT)
    assert refused(url) == (
        f"model.weights: '{url}' could not be downloaded (it ended after {whole - missing} of"
        f" {whole} bytes){REMEDY}"
    )
    assert files(home) == []
    server.answer = give()
    assert download(url).read_bytes() == CONTENT


def test_a_body_in_chunks_that_ends_early_is_refused(server, home):
    def answer(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"100\r\n" + CONTENT[:0x80])
        handler.close_connection = True

    server.answer = answer
    url = server.url("net.pth")
    assert refused(url) == (
        f"model.weights: '{url}' could not be downloaded (the connection ended early){REMEDY}"
    )
    assert files(home) == []


def test_a_lost_connection_is_refused(server, home):
    def answer(handler):
        give(missing=1000)(handler)
        # Closing without lingering resets the connection.
        linger = struct.pack("ii", 1, 0)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    server.answer = answer
    url = server.url("net.pth")
    assert refused(url) == (
        f"model.weights: '{url}' could not be downloaded (Connection reset by peer){REMEDY}"
    )
    assert files(home) == []


def test_a_silent_server_is_given_up(server, home, monkeypatch):
    monkeypatch.setattr(downloads, "_SILENCE", 0.5)
    server.answer = give_half_and(lambda: None)
    assert f"timed out){REMEDY}" in refused(server.url("net.pth"))
    assert files(home) == []


def test_another_digest_is_refused_and_not_kept(server, home):
    server.answer = give(CONTENT[:-1])
    url = server.url(VERIFIED)
    found = hashlib.sha256(CONTENT[:-1]).hexdigest()
    assert refused(url) == (
        f"model.weights: '{url}' could not be downloaded (invalid hash value (expected"
        f' "{DIGEST[:8]}", got "{found}")){REMEDY}'
    )
    assert files(home) == []


@pytest.mark.parametrize(("code", "phrase"), [(404, "Not Found"), (503, "Service Unavailable")])
def test_a_refusing_server_is_quoted(server, home, code, phrase):
    server.answer = lambda handler: handler.send_error(code)
    url = server.url("net.pth")
    assert refused(url) == (
        f"model.weights: '{url}' could not be downloaded (HTTP error {code} {phrase}){REMEDY}"
    )
    assert files(home) == []


def test_no_server_is_told_by_host(home, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as unused:  # bound, but not listening
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/net.pth"
        assert refused(url) == (
            f"model.weights: '{url}' could not be downloaded (no connection to 127.0.0.1:"
            f" Connection refused){REMEDY}"
        )
    assert files(home) == []


def test_no_encryption_is_told_in_one_line(server, home):
    url = server.url("net.pth").replace("http", "https", 1)
    server.answer = lambda handler: None
    message = refused(url)
    assert "could not be downloaded (no connection to 127.0.0.1: " in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http:///w.pth", "no host given"),
        ("http://127.0.0.1:port/w.pth", "nonnumeric port: 'port'"),
        ("http://127.0.0.1:1/a b.pth", "URL can't contain control characters."),
        ("http://[::1/w.pth", "Invalid IPv6 URL"),
        ("https://host.invalid/", "the URL names no file"),
        ("https://host.invalid", "the URL names no file"),
        ("https://host.invalid/models/", "the URL names no file"),
        ("https://host.invalid/models/..", "the URL names no file"),
        ("file:///nowhere/w.pth", "No such file or directory"),
        ("file:///usr", "Is a directory"),
    ],
)
def test_a_url_that_leads_nowhere_is_refused(home, url, reason):
    message = refused(url)
    assert message.startswith(f"model.weights: '{url}' could not be downloaded ({reason}")
    assert message.endswith(REMEDY)
    assert files(home) == []


def test_a_server_that_speaks_no_http_is_refused(server, home):
    server.answer = lambda handler: handler.wfile.write(b"\r\n\r\n")
    url = server.url("net.pth")
    message = refused(url)
    assert message.startswith(f"model.weights: '{url}' could not be downloaded (")
    assert "()" not in message
    assert "\n" not in message


def damaged(path):
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    return bytes(content)


@pytest.mark.parametrize("name", ["net.pth", VERIFIED])
def test_a_file_damaged_in_the_cache_is_set_aside_and_downloaded_again(server, home, caplog, name):
    url = server.url(name)
    path = download(url)
    content = damaged(path)
    with caplog.at_level(logging.WARNING):
        assert download(url).read_bytes() == CONTENT
    assert server.requests == 2
    assert (home / f"{name}.damaged").read_bytes() == content
    found, expected = hashlib.sha256(content).hexdigest(), DIGEST[: 8 if name == VERIFIED else 64]
    assert [record.getMessage() for record in caplog.records] == [
        f"'{path}' is damaged (its SHA-256 is {found}, not {expected}): set aside as"
        f" '{name}.damaged', downloaded again"
    ]


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"x"])
def test_a_partial_file_left_by_another_program_is_not_accepted(server, home, content):
    put(home, VERIFIED, content)
    assert download(server.url(VERIFIED)).read_bytes() == CONTENT


def test_a_damaged_file_is_not_used_where_it_cannot_be_downloaded_again(server, home):
    path = download(server.url(VERIFIED))
    damaged(path)
    server.answer = lambda handler: handler.send_error(500)
    assert "HTTP error 500" in refused(server.url(VERIFIED))
    assert cached(server.url(VERIFIED)) is None
    assert files(home) == [f"{VERIFIED}.damaged"]


def test_a_file_without_digest_and_note_is_taken_as_it_is(server, home):
    path = put(home, "net.pth", b"put there by torch")
    assert download(server.url("net.pth")) == path
    assert files(home) == ["net.pth"]
    assert server.requests == 0


@pytest.mark.parametrize("text", [f"# mine\n{DIGEST}  net.pth\n", f"{DIGEST.upper()} *net", DIGEST])
def test_a_note_by_the_user_is_heeded(server, home, text):
    path = put(home, "net.pth")
    (home / "net.pth.sha256").write_text(text)
    assert download(server.url("net.pth")) == path
    assert server.requests == 0
    damaged(path)
    assert download(server.url("net.pth")).read_bytes() == CONTENT
    assert server.requests == 1


def test_a_note_that_says_nothing_is_none(server, home):
    path = put(home, "net.pth", b"other")
    (home / "net.pth.sha256").write_text("\n")
    assert download(server.url("net.pth")) == path


def test_a_file_of_the_same_name_from_elsewhere_is_not_taken(server, home):
    path = download(server.url("one/model.safetensors"))
    url = server.url("other/model.safetensors")
    host = f"127.0.0.1:{server.server_port}"
    assert refused(url) == (
        f"model.weights: '{path}' was downloaded from {host}/one/model.safetensors, and '{url}' has"
        " the same file name; remove that file, or give model.weights the path of the one to use"
    )
    path.unlink()  # as the message says; the note need not go with it
    assert download(url) == path
    assert download(url) == path
    assert server.requests == 2


class Killed(BaseException):
    """Stands for the end of the process."""


def kill_before_the_note(monkeypatch):
    write_whole = downloads.write_whole

    def killed(path, write):
        if path.suffix == ".sha256":
            raise Killed
        write_whole(path, write)

    monkeypatch.setattr(downloads, "write_whole", killed)


def test_a_kill_between_file_and_note_leaves_a_file_that_is_accepted(server, home, monkeypatch):
    url = server.url("net.pth")
    # The file of an earlier day, with its note, which the user then removed.
    server.answer = give(b"of an earlier day")
    download(url).unlink()
    server.answer = give()
    with monkeypatch.context() as patch:
        kill_before_the_note(patch)
        with pytest.raises(Killed):
            download(url)
    assert files(home) == ["net.pth"]
    assert download(url).read_bytes() == CONTENT
    assert files(home) == ["net.pth"]
    assert server.requests == 2


@pytest.mark.parametrize("name", ["net.pth", VERIFIED])
def test_an_interrupt_in_the_middle_leaves_nothing(server, home, name):
    main = threading.main_thread().ident
    server.answer = give_half_and(lambda: signal.pthread_kill(main, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        download(server.url(name))
    assert files(home) == []


def process(url):
    code = f"from pipeline.networks.loading.downloads import download; download({url!r})"
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], stderr=subprocess.PIPE
    )


@pytest.mark.commands
@pytest.mark.parametrize("name", ["net.pth", VERIFIED])
def test_what_a_kill_in_the_middle_leaves_is_not_accepted(server, home, name):
    url, reached = server.url(name), threading.Event()
    server.answer = give_half_and(reached.set)
    with process(url) as killed:
        assert reached.wait(120)
        killed.kill()
    assert cached(url) is None
    assert all(name.startswith(".") for name in files(home))
    server.answer = give()
    assert download(url).read_bytes() == CONTENT


def test_only_what_was_left_long_ago_is_cleared(server, home):
    stem, suffix = VERIFIED[:-4], ".pth"
    old, fresh = (put(home, f".{stem}-{digits}{suffix}") for digits in ("0a1b2c3d", "4e5f6a7b"))
    other = put(home, ".another-0a1b2c3d.pth")
    for path in (old, other):
        os.utime(path, (0, 0))
    download(server.url(VERIFIED))
    assert files(home) == sorted([other.name, fresh.name, VERIFIED])


def wait_for(count):
    """Answer only once ``count`` requests are there."""
    together = threading.Barrier(count, timeout=120)

    def answer(handler):
        together.wait()
        give()(handler)

    return answer


@pytest.mark.commands
def test_two_processes_at_once_end_with_one_good_file(server, home):
    server.answer = wait_for(2)
    both = [process(server.url("net.pth")) for _ in range(2)]
    for one in both:
        _, told = one.communicate(timeout=120)
        assert one.returncode == 0, told
    assert files(home) == ["net.pth", "net.pth.sha256"]
    assert download(server.url("net.pth")).read_bytes() == CONTENT
    assert server.requests == 2


@pytest.mark.parametrize("name", ["net.pth", VERIFIED])
def test_all_who_find_a_damaged_file_end_with_a_good_one(server, home, name):
    url = server.url(name)
    damaged(download(url))
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(download, [url] * 8))
    assert {path.read_bytes() for path in paths} == {CONTENT}


def test_a_file_mended_by_another_process_is_not_set_aside(server, home, monkeypatch, caplog):
    url = server.url(VERIFIED)
    path = put(home, VERIFIED, b"damaged")
    file_digest = hashlib.file_digest

    def mended(file, name):
        found = file_digest(file, name)
        if path.read_bytes() != CONTENT:
            put(home, "mended").replace(path)
        return found

    monkeypatch.setattr(downloads.hashlib, "file_digest", mended)
    with caplog.at_level(logging.WARNING):
        assert download(url).read_bytes() == CONTENT
    assert files(home) == [VERIFIED]
    assert server.requests == 0
    assert caplog.records == []


@pytest.fixture
def small_disk():
    """Let the system refuse to write more than a part of the content into any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(CONTENT) // 2, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_without_room_is_told_with_a_remedy(server, home, small_disk):
    url = server.url("net.pth")
    assert refused(url) == (
        f"model.weights: '{url}' could not be downloaded ('{home}' cannot be used: File too large);"
        " set TORCH_HOME to another folder, or give model.weights the path of a file"
    )
    assert files(home) == []


def test_a_cache_that_cannot_be_written_is_told_with_a_remedy(server, home):
    put(home.parent.parent, "hub")  # a file where the folder should be
    url = server.url(VERIFIED)
    assert refused(url) == (
        f"model.weights: '{url}' could not be downloaded ('{home}' cannot be used: Not a directory)"
        "; set TORCH_HOME to another folder, or give model.weights the path of a file"
    )
    assert server.requests == 0


def test_a_folder_in_place_of_the_file_is_told(server, home):
    (home / "net.pth").mkdir(parents=True)
    assert f"'{home}' cannot be used: Is a directory" in refused(server.url("net.pth"))
    assert files(home) == []


def test_any_refusal_of_the_store_is_told(server, home, monkeypatch):
    def refuse(path, write):
        raise StoreError("out: no")

    monkeypatch.setattr(downloads, "write_whole", refuse)
    assert f"'{home}' cannot be used: out: no)" in refused(server.url("net.pth"))


@pytest.mark.parametrize("announced", [True, False])
def test_size_and_host_are_told_once(server, home, caplog, announced):
    server.answer = give(announced=announced)
    with caplog.at_level(logging.INFO, "pipeline"):
        download(server.url("net.pth"))
        download(server.url("net.pth"))
    size = "2.6 MB" if announced else "of unknown size"
    assert caplog.messages == [f"downloading net.pth ({size}) from 127.0.0.1"]


def test_a_copy_from_this_computer_is_told(tmp_path, home, caplog):
    with caplog.at_level(logging.INFO, "pipeline"):
        download(put(tmp_path, "w.pth").as_uri())
    assert caplog.messages == ["downloading w.pth (2.6 MB) from this computer"]


def test_a_server_that_gives_another_file_for_another_query_is_asked_again(server, home):
    first = download(server.url("net.pth") + "?id=1")
    asked = server.requests
    assert download(server.url("net.pth") + "?id=1") == first
    assert server.requests == asked
    download(server.url("net.pth") + "?id=2")
    assert server.requests == asked + 1


def test_a_local_file_that_is_written_anew_is_taken_anew(home, tmp_path):
    source = tmp_path / "net.pth"
    source.write_bytes(b"first")
    assert download(source.as_uri()).read_bytes() == b"first"
    source.write_bytes(b"other")
    assert download(source.as_uri()).read_bytes() == b"other"
