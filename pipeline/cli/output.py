"""Output of the command line, even with a full disk, a closed pipe or an ASCII-only terminal."""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from typing import TextIO

from pipeline.errors import ArtiphysError


class OutputError(ArtiphysError):
    """Standard output cannot be written."""


class Console(logging.StreamHandler[TextIO]):
    """A log on standard output; if writing fails, the run continues after a single warning."""

    told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        """Warn once that output cannot be written; a closed pipe is not an error."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError) and not self.told:
            self.told = True
            complain(f"warning: {_unwritable(error)}; the log in the run folder has every line")


def open_outputs() -> None:
    """Make sure that there is an output, and that it escapes characters it cannot encode."""
    logging.raiseExceptions = False  # a reader that closes the pipe is not an error
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed: reserve its descriptor
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Write a line to standard output.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError):  # buffered text must not be written again at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # the reader closed the pipe
            raise SystemExit(1) from None
        raise OutputError(_unwritable(error)) from error


def complain(text: str) -> None:
    """Write a line to standard error, if possible."""
    with suppress(OSError):
        sys.stderr.write(f"{text}\n")


def _unwritable(error: OSError) -> str:
    return f"standard output cannot be written ({error.strerror})"
