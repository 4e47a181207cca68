"""Messages for exhausted resources: a run may be correct but too large for the machine."""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager

from pipeline.errors import ArtiphysError

_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")


class ExhaustedError(ArtiphysError):
    """A resource of the machine is exhausted; finished work is kept."""


@contextmanager
def in_words() -> Generator[None]:
    """Convert errors about exhausted threads, open files or memory into a sentence.

    Raises:
        ExhaustedError: in place of the original error.
    """
    try:
        yield
    except (RuntimeError, OSError, MemoryError) as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        raise ExhaustedError(f"runner: {sentence}; finished work is kept") from error


def _sentence(error: BaseException) -> str | None:
    text = str(error).lower()
    if isinstance(error, RuntimeError) and "can't start new thread" in text:
        return (
            "this machine allows no more threads; use a smaller runner.threads, end other"
            " programs, or raise the limit (ulimit -u)"
        )
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return "this machine allows no more open files; raise the limit (ulimit -n)"
    full = isinstance(error, OSError) and error.errno == errno.ENOMEM
    if full or isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY):
        return "the memory is used up; use fewer runner.threads, smaller images or smaller batches"
    return None
