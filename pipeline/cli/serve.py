"""``artiphys serve RUN``: serve the pages of a run to a browser on this machine."""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from pipeline.cli.output import say
from pipeline.errors import ConfigError, StoreError
from pipeline.runner.stopping import Stopped
from pipeline.store.layout import RunPaths
from pipeline.store.runs import by_time

LOOPBACK = "127.0.0.1"  # no other machine can connect
# With any port, as an SSH tunnel uses a different one.
OWN_NAMES = ("localhost", LOOPBACK, "[::1]")


def main(arguments: Sequence[str]) -> int:
    """Serve until stopped.

    Raises:
        StoreError: there is no such run, or it has no pages.
        ConfigError: the port is taken.
    """
    about = "serve the pages of a run on this machine, until Ctrl-C"
    parser = argparse.ArgumentParser(prog="artiphys serve", description=about)
    parser.add_argument("run", help="folder of a run, or of runs with one name (the newest)")
    parser.add_argument("--port", type=int, default=0, help="a free port by default")
    chosen = parser.parse_args(arguments)
    folder = find_site(Path(chosen.run))
    with start(folder, chosen.port) as server:
        say(f"{folder}\nhttp://{LOOPBACK}:{server.server_port}/  (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except (KeyboardInterrupt, Stopped):
            say("")
    return 0


def find_site(run: Path) -> Path:
    """Return the folder of the pages of a run, or of the newest run that has any.

    Raises:
        StoreError: there is no such folder, or it has no pages.
    """
    run = run.expanduser()
    if not run.is_dir():
        raise StoreError(f"serve: there is no folder '{run}'; give <out>/runs/<name>")
    if (run / "index.html").is_file():
        return run.absolute()
    try:
        runs = [run, *sorted((path for path in run.iterdir() if path.is_dir()), key=by_time)]
    except OSError as error:
        raise StoreError(f"serve: '{run}' cannot be read ({error.strerror})") from error
    sites = [site for site in (RunPaths(path).site for path in runs) if _is_whole(site)]
    if not sites:
        raise StoreError(
            f"serve: '{run}' has no pages; repeat the command of the run with stages=[pages], "
            "which builds them from the store"
        )
    return sites[-1].absolute()


def _is_whole(site: Path) -> bool:
    return (site / "index.html").is_file()  # this file is written last


def start(folder: Path, port: int) -> ThreadingHTTPServer:
    """Return a server for a folder, which is not serving yet.

    Raises:
        ConfigError: the port is taken or invalid.
    """
    try:
        return _Server((LOOPBACK, port), partial(_Quiet, directory=str(folder)))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"serve: port {port} cannot be used ({reason}); leave --port out for a free one"
        ) from error


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore that a browser has disconnected."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Quiet(SimpleHTTPRequestHandler):
    """Logs no requests, and makes browsers reload pages that were rebuilt.

    It only answers requests addressed to this machine by its own name, so that no other web page
    can reach it through DNS rebinding; and it only serves files inside the folder, not targets of
    links out of it.
    """

    def guess_type(self, path: str | os.PathLike[str]) -> str:
        """Return the type of a file; the operating system's type for scripts may be wrong."""
        return "text/javascript" if str(path).endswith(".js") else super().guess_type(path)

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        """Send the headers of a file, or error 404 if it is not a file of the folder."""
        host = re.sub(r":\d*$", "", self.headers.get("Host", "")).lower()
        if host not in OWN_NAMES:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return None
        try:
            if self._is_ours(Path(self.translate_path(self.path))):
                return super().send_head()
        except (OSError, ValueError):  # unreadable files; a null byte in the path
            pass
        self.send_error(HTTPStatus.NOT_FOUND)
        return None

    def _is_ours(self, path: Path) -> bool:
        """Return whether a path leads to a regular file inside the folder."""
        if path.is_dir() and not urlsplit(self.path).path.endswith("/"):
            return path.resolve().is_relative_to(
                Path(self.directory).resolve()
            )  # will be redirected
        file = path / "index.html" if path.is_dir() else path
        return file.is_file() and file.resolve().is_relative_to(Path(self.directory).resolve())

    def list_directory(self, path: str | os.PathLike[str]) -> None:
        """Do not list folders."""
        del path
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def end_headers(self) -> None:
        """Send headers."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()
