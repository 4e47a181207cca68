"""What a run says: on standard output, and in its log."""

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


def tell_places(paths: RunPaths, lines: list[str]) -> None:
    """Say what was found, and where everything is."""
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
    """Return a path as it is shown: relative, where it lies below the working folder."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)


def log_to_console(leads: bool = True) -> None:
    """Say on standard output what the run does; processes that do not lead only warn."""
    # Hydra opens the root logger at INFO, through which libraries tell more than anyone asked.
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("hydra").setLevel(logging.INFO)
    logging.raiseExceptions = False  # a reader who closes the pipe is no error
    logger = logging.getLogger("pipeline")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if not logger.handlers:
        handler = Console(sys.stdout)
        handler.setFormatter(logging.Formatter("%(message)s"))
        handler.setLevel(logging.INFO if leads else logging.ERROR)
        logger.addHandler(handler)


@contextmanager
def log_to_file(path: Path) -> Generator[None]:
    """Write what is said to a file, too."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("pipeline")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
