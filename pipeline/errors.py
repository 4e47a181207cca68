"""The named errors of the project.

Every message is one sentence: what was wrong and where (configuration key or file), what was
allowed, and what to do. The command line prints the message alone; anything else is a defect.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class ArtiphysError(Exception):
    """Anything a user can cause and mend."""


class ConfigError(ArtiphysError):
    """A configuration value is wrong; the message starts with its key."""


class NetworkError(ArtiphysError):
    """A network, its weights or one of its layers cannot be used as asked."""


class ImageError(ArtiphysError):
    """An image or an image set cannot be used."""


class TransientError(ArtiphysError):
    """A file cannot be read now and may be later: nothing is concluded from it."""


class StoreError(ArtiphysError):
    """A stored result is missing, damaged or in the way."""


def first_line(error: BaseException, most: int = 200) -> str:
    """Return the first line of what an exception says, or its kind where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0][:most] if text else type(error).__name__


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return ``'; nearest: X'`` for the allowed name closest to ``name``, or an empty string."""
    matches = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.5)
    return f"; nearest: {matches[0]}" if matches else ""


def listed(names: Sequence[object], most: int, separator: str = ", ", last: str = " ") -> str:
    """Return the first few names in one line, and how many more there are.

    Args:
        names: in order.
        most: how many are named.
        separator: between two names.
        last: between the names and ``and 3 more``.
    """
    shown = separator.join(map(str, names[:most]))
    return f"{shown}{last}and {len(names) - most} more" if len(names) > most else shown
