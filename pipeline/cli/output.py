"""What the command line says, wherever that leads: to a full disk, a closed pipe, ASCII alone."""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from typing import TextIO

from pipeline.errors import ArtiphysError


class OutputError(ArtiphysError):
    """Standard output takes nothing more."""


class Console(logging.StreamHandler[TextIO]):
    """A log on standard output; if that is full, the run goes on after a single warning."""

    told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        """Warn once that output cannot be written; a reader who has gone is no fault."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError) and not self.told:
            self.told = True
            complain(f"warning: {_unwritable(error)}; the log in the run folder has every line")


def open_outputs() -> None:
    """Make sure that there is an output, which shows letters that it does not know as codes."""
    logging.raiseExceptions = False  # a reader who closes the pipe is no error
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed: a file that is opened must not take its place
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Write a line to standard output.

    Raises:
        OutputError: it takes nothing more.
    """
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError):  # what is left must not be tried again at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # who reads has read enough
            raise SystemExit(1) from None
        raise OutputError(_unwritable(error)) from error


def complain(text: str) -> None:
    """Write a line to standard error, if that takes it."""
    with suppress(OSError):
        sys.stderr.write(f"{text}\n")


def _unwritable(error: OSError) -> str:
    return f"standard output cannot be written ({error.strerror})"
