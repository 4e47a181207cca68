"""Downloads from the Hugging Face hub, which timm and transformers make by themselves."""

from __future__ import annotations

import logging
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

# Whose warnings are about attempts, and about weights that do not fit, which is told here.
LOGGERS = ("huggingface_hub", "transformers", "timm")
PATIENCE = 5.0  # seconds to wait for the hub


@contextmanager
def hub() -> Generator[None]:
    """Use the hub if it can be reached, and only what has been downloaded if it cannot.

    Its client would try for a minute, and tell of every attempt.
    """
    from huggingface_hub import constants

    settings, loggers = constants, [logging.getLogger(name) for name in LOGGERS]
    offline, levels = settings.HF_HUB_OFFLINE, [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    _set(settings, offline or not _reached(settings.ENDPOINT))
    try:
        yield
    finally:
        _set(settings, offline)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _set(settings: Any, offline: bool) -> None:
    settings.HF_HUB_OFFLINE = offline


def _reached(address: str) -> bool:
    """Return whether a server answers; behind a proxy, that is left to the client."""
    if getproxies():
        return True
    parts = urlsplit(address)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    try:
        with socket.create_connection((parts.hostname or "", port), PATIENCE):
            return True
    except OSError:
        return False
