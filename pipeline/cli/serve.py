"""``artiphys serve RUN``: the pages of a run on this machine, for a browser on it."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import ConfigError, StoreError
from pipeline.runner.stopping import Stopped
from pipeline.store.layout import RunPaths
from pipeline.store.runs import by_time

LOOPBACK = "127.0.0.1"  # nobody else can connect


def main(arguments: Sequence[str]) -> int:
    """Serve until stopped.

    Raises:
        StoreError: there is no such run, or it has no pages.
        ConfigError: the port is taken.
    """
    about = "serve the pages of a run on this machine, until Ctrl-C"
    parser = argparse.ArgumentParser(prog="artiphys serve", description=about)
    parser.add_argument("run", help="folder of a run, or of all runs of one name: the newest")
    parser.add_argument("--port", type=int, default=0, help="a free one by default")
    chosen = parser.parse_args(arguments)
    folder = find_site(Path(chosen.run))
    with start(folder, chosen.port) as server:
        sys.stdout.write(f"{folder}\nhttp://{LOOPBACK}:{server.server_port}/  (Ctrl-C ends it)\n")
        sys.stdout.flush()
        try:
            server.serve_forever()
        except (KeyboardInterrupt, Stopped):
            sys.stdout.write("\n")
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
    runs = [run, *sorted((path for path in run.iterdir() if path.is_dir()), key=by_time)]
    sites = [site for site in (RunPaths(path).site for path in runs) if _is_whole(site)]
    if not sites:
        raise StoreError(
            f"serve: '{run}' has no pages; give the command of the run again with stages=[pages],"
            " which builds them from what is in the store"
        )
    return sites[-1].absolute()


def _is_whole(site: Path) -> bool:
    return (site / "index.html").is_file()  # it is written last


def start(folder: Path, port: int) -> ThreadingHTTPServer:
    """Return a server of a folder, not yet serving.

    Raises:
        ConfigError: the port is taken, or is none.
    """
    try:
        return ThreadingHTTPServer((LOOPBACK, port), partial(_Quiet, directory=str(folder)))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"serve: port {port} cannot be used ({reason}); leave --port out for a free one"
        ) from error


class _Quiet(SimpleHTTPRequestHandler):
    """Says nothing of requests, and lets pages that were built again be read again."""

    def guess_type(self, path: str | os.PathLike[str]) -> str:
        """Return the type of a file; what an operating system says of scripts may be wrong."""
        return "text/javascript" if str(path).endswith(".js") else super().guess_type(path)

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        """Send the headers of a file; of what no file can be called, that there is none."""
        try:
            return super().send_head()
        except ValueError:  # a null byte
            self.send_error(HTTPStatus.NOT_FOUND)
            return None

    def list_directory(self, path: str | os.PathLike[str]) -> None:
        """List no folders."""
        del path
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def end_headers(self) -> None:
        """Send headers."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()
