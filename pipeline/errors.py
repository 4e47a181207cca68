"""The named errors of the project.

Every message is one sentence: what was wrong and where (configuration key or file), what was
allowed, and what to do. The command line prints only the message; any other exception is a bug.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class ArtiphysError(Exception):
    """An error that a user can cause and correct."""


class ConfigError(ArtiphysError):
    """A configuration value is wrong; the message starts with its key."""


class NetworkError(ArtiphysError):
    """A network, its weights or one of its layers cannot be used as requested."""


class ImageError(ArtiphysError):
    """An image or an image set cannot be used."""


class TransientError(ArtiphysError):
    """A file cannot be read now, but perhaps later, so nothing is stored about it."""


class StoreError(ArtiphysError):
    """A stored result is missing, damaged or conflicts with a new one."""


def first_line(error: BaseException, most: int = 200) -> str:
    """Return the first line of an exception's message, or its type if there is no message."""
    text = str(error).strip()
    return text.splitlines()[0][:most] if text else type(error).__name__


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return ``'; nearest: X'`` for the allowed name closest to ``name``, or an empty string."""
    matches = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.5)
    return f"; nearest: {matches[0]}" if matches else ""


def listed(names: Sequence[object], most: int, separator: str = ", ", last: str = " ") -> str:
    """Return the first few names in one line, and how many more there are.

    Args:
        names: names in order.
        most: largest number of names.
        separator: text between two names.
        last: text between the names and ``and 3 more``.
    """
    shown = separator.join(map(str, names[:most]))
    return f"{shown}{last}and {len(names) - most} more" if len(names) > most else shown
