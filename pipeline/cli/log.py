"""Log messages of a run: on standard output, and in its log file."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.output import Console

if TYPE_CHECKING:
    from pipeline.store.layout import RunPaths

log = logging.getLogger("pipeline")


class _Early(logging.Handler):
    """Keeps what is said before a run has its folder, such as how its weights were read."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


_early = _Early()


def tell_places(paths: RunPaths, lines: list[str]) -> None:
    """Log the findings, and where the files are."""
    for line in lines:
        log.info("%s", line)
    for label, path in (
        ("tables", paths.tables),
        ("figures", paths.figures),
        ("pages", paths.site / "index.html"),
    ):
        if path.exists():
            log.info("%-8s %s", label, short(path))
    log.info("%-8s %s", "run", short(paths.folder))


def short(path: Path) -> str:
    """Return a path for display: relative if it is below the working directory."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)


def log_to_console(leads: bool = True) -> None:
    """Log to standard output; all processes but the leading one only log warnings."""
    # Hydra sets the root logger to INFO, so that messages of libraries would clutter the output.
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("hydra").setLevel(logging.INFO)
    logging.raiseExceptions = False  # a reader that closes the pipe is not an error
    logger = logging.getLogger("pipeline")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if not [each for each in logger.handlers if each is not _early]:
        handler = Console(sys.stdout)
        handler.setFormatter(logging.Formatter("%(message)s"))
        handler.setLevel(logging.INFO if leads else logging.ERROR)
        logger.addHandler(handler)
    _early.records.clear()
    logger.addHandler(_early)


@contextmanager
def log_to_file(path: Path) -> Generator[None]:
    """Also write log messages to a file, from the first since ``log_to_console``."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("pipeline")
    logger.removeHandler(_early)
    for record in _early.records:
        handler.handle(record)
    _early.records.clear()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
